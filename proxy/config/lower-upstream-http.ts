// HTTP towards a cluster: `HttpProtocolOptions` under `typed_extension_protocol_options`, or the older fields of the
// cluster itself. When the typed options are there, the older fields are not looked at, as in Envoy.

import { ConfigError } from '../util/error.ts';
import { unpackAny } from './any.ts';
import { wholeMs } from './lower-duration.ts';
import { lowerHeaderCase } from './lower-http1.ts';
import { bool, type Msg, messageMap, num, oneof, sub } from './message.ts';
import type { ClusterModel, Http1ClientModel } from './model-cluster.ts';

export const HTTP_OPTIONS_KEY = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/** What the HTTP options of a cluster decide. */
export type UpstreamHttpModel = Pick<
  ClusterModel,
  | 'maxRequestsPerConnection'
  | 'idleTimeoutMs'
  | 'maxConnectionDurationMs'
  | 'maxResponseHeadersBytes'
  | 'maxResponseHeadersCount'
  | 'protocol'
  | 'http1'
>;

const HOUR_MS = 3_600_000;
/** Envoy reads larger heads from upstreams than the 60 KiB it reads from clients (seen on 1.40). */
const DEFAULT_HEADERS_KIB = 80;
const DEFAULT_HEADERS_COUNT = 100;

export function lowerUpstreamHttp(cluster: Msg, path: string): UpstreamHttpModel {
  for (const [key, any] of Object.entries(messageMap(cluster, 'typedExtensionProtocolOptions'))) {
    const where = `${path}.typed_extension_protocol_options["${key}"]`;
    if (key === HTTP_OPTIONS_KEY) return typedOptions(unpackAny(any, where).message, where);
  }
  return olderOptions(cluster, path);
}

function typedOptions(options: Msg, path: string): UpstreamHttpModel {
  const common = sub(options, 'commonHttpProtocolOptions');
  const choice = oneof(options, 'upstreamProtocolOptions');
  const where = `${path}.common_http_protocol_options`;
  switch (choice?.case) {
    case 'explicitHttpConfig': {
      const explicit = oneof(choice.value as Msg, 'protocolConfig');
      const http1 = explicit?.case === 'httpProtocolOptions' ? (explicit.value as Msg) : null;
      if (explicit?.case === 'http3ProtocolOptions') {
        throw new ConfigError('HTTP/3 is not supported', `${path}.explicit_http_config.http3_protocol_options`);
      }
      const protocol = explicit?.case === 'http2ProtocolOptions' ? 'http2' : 'http1';
      return build(protocol, common, http1, null, where);
    }
    case 'useDownstreamProtocolConfig':
      return build('downstream', common, sub(choice.value as Msg, 'httpProtocolOptions'), null, where);
    case 'autoConfig':
      return build('auto', common, sub(choice.value as Msg, 'httpProtocolOptions'), null, where);
    default:
      return build('http1', common, null, null, where);
  }
}

const USE_DOWNSTREAM_PROTOCOL = 1;

function olderOptions(cluster: Msg, path: string): UpstreamHttpModel {
  const usesHttp2 = sub(cluster, 'http2ProtocolOptions') !== null;
  const fixed = usesHttp2 ? 'http2' : 'http1';
  const protocol = num(cluster, 'protocolSelection') === USE_DOWNSTREAM_PROTOCOL ? 'downstream' : fixed;
  const common = sub(cluster, 'commonHttpProtocolOptions');
  const where = `${path}.common_http_protocol_options`;
  return build(protocol, common, sub(cluster, 'httpProtocolOptions'), cluster, where);
}

function build(
  protocol: ClusterModel['protocol'],
  common: Msg | null,
  http1: Msg | null,
  cluster: Msg | null,
  path: string,
): UpstreamHttpModel {
  const olderLimit = cluster === null ? 0 : num(cluster, 'maxRequestsPerConnection');
  return {
    protocol,
    maxRequestsPerConnection: common === null ? olderLimit : num(common, 'maxRequestsPerConnection', olderLimit),
    idleTimeoutMs: common === null ? HOUR_MS : wholeMs(common, 'idleTimeout', HOUR_MS, path),
    maxConnectionDurationMs: common === null ? 0 : wholeMs(common, 'maxConnectionDuration', 0, path),
    maxResponseHeadersBytes:
      (common === null ? DEFAULT_HEADERS_KIB : num(common, 'maxResponseHeadersKb', DEFAULT_HEADERS_KIB)) * 1024,
    maxResponseHeadersCount:
      common === null ? DEFAULT_HEADERS_COUNT : num(common, 'maxHeadersCount', DEFAULT_HEADERS_COUNT),
    http1: http1Client(http1, path),
  };
}

function http1Client(message: Msg | null, path: string): Http1ClientModel {
  if (message === null) {
    return { headerCase: 'lower', enableTrailers: false, allowChunkedLength: false, acceptHttp10: false };
  }
  return {
    headerCase: lowerHeaderCase(message, path),
    enableTrailers: bool(message, 'enableTrailers'),
    allowChunkedLength: bool(message, 'allowChunkedLength'),
    acceptHttp10: bool(message, 'acceptHttp10'),
  };
}
