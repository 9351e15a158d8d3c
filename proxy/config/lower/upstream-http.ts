// HTTP towards a cluster: `HttpProtocolOptions` under `typed_extension_protocol_options`, or the older fields of the
// cluster itself. When the typed options are there, the older fields are not looked at, as in Envoy.

import { ConfigError } from '../../util/error.ts';
import type { ClusterModel, Http1ClientModel } from '../model/cluster.ts';
import type { ErrorMatchModel } from '../model/outlier.ts';
import { unpackAny } from '../read/any.ts';
import { bool, list, type Msg, messageMap, num, oneof, sub } from '../schema/message.ts';
import { wholeMs } from './duration.ts';
import { lowerHashPolicies } from './hash.ts';
import { lowerHeaderCase } from './http1.ts';
import { lowerHttp2 } from './http2.ts';
import { lowerMirrors } from './mirror.ts';
import { lowerErrorMatch } from './outlier.ts';
import { lowerRetryPolicy } from './retry.ts';
import { lowerUpstreamHttpTls } from './transport.ts';

export const HTTP_OPTIONS_KEY = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/** What the HTTP options of a cluster decide. */
export type UpstreamHttpModel = Pick<
  ClusterModel,
  | 'maxRequestsPerConnection'
  | 'idleTimeoutMs'
  | 'maxConnectionDurationMs'
  | 'upstreamStreamDurationMs'
  | 'maxResponseHeadersBytes'
  | 'maxResponseHeadersCount'
  | 'protocol'
  | 'http1'
  | 'http2'
  | 'httpTls'
  | 'mirrors'
  | 'hashPolicy'
  | 'retry'
>;

type ProtocolModel = Omit<UpstreamHttpModel, 'httpTls' | 'mirrors' | 'hashPolicy' | 'retry'>;

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

/** Which answers outlier detection takes for errors; `null` = the usual ones. */
export function lowerErrorMatcher(cluster: Msg, path: string): ErrorMatchModel | null {
  const any = messageMap(cluster, 'typedExtensionProtocolOptions')[HTTP_OPTIONS_KEY];
  if (any === undefined) return null;
  const where = `${path}.typed_extension_protocol_options["${HTTP_OPTIONS_KEY}"]`;
  const outlier = sub(unpackAny(any, where).message, 'outlierDetection');
  const matcher = outlier === null ? null : sub(outlier, 'errorMatcher');
  return matcher === null ? null : lowerErrorMatch(matcher, `${where}.outlier_detection.error_matcher`);
}

/** The choice of a protocol, its options, and where they stand. */
interface Choice {
  readonly protocol: ClusterModel['protocol'];
  readonly http1: Msg | null;
  readonly http2: Msg | null;
  readonly path: string;
}

function typedOptions(options: Msg, path: string): UpstreamHttpModel {
  const retry = sub(options, 'retryPolicy');
  return {
    ...build(typedChoice(options, path), sub(options, 'commonHttpProtocolOptions'), null, path),
    httpTls: lowerUpstreamHttpTls(sub(options, 'upstreamHttpProtocolOptions')),
    // A name that is not known is no mistake here, as in Envoy.
    mirrors: lowerMirrors(options, null, [], path),
    retry: retry === null ? null : lowerRetryPolicy(retry, `${path}.retry_policy`),
    hashPolicy: lowerHashPolicies(list(options, 'hashPolicy'), `${path}.hash_policy`),
  };
}

function typedChoice(options: Msg, path: string): Choice {
  const choice = oneof(options, 'upstreamProtocolOptions');
  switch (choice?.case) {
    case 'explicitHttpConfig': {
      const where = `${path}.explicit_http_config`;
      const explicit = oneof(choice.value as Msg, 'protocolConfig');
      if (explicit?.case === 'http3ProtocolOptions')
        throw new ConfigError('HTTP/3 is not supported', `${where}.http3_protocol_options`);
      const set = (explicit?.value as Msg | undefined) ?? null;
      return explicit?.case === 'http2ProtocolOptions'
        ? { protocol: 'http2', http1: null, http2: set, path: where }
        : { protocol: 'http1', http1: set, http2: null, path: where };
    }
    case 'useDownstreamProtocolConfig':
      return { protocol: 'downstream', ...both(choice.value as Msg), path: `${path}.use_downstream_protocol_config` };
    case 'autoConfig':
      return { protocol: 'auto', ...both(choice.value as Msg), path: `${path}.auto_config` };
    default:
      return { protocol: 'http1', http1: null, http2: null, path };
  }
}

function both(config: Msg): Pick<Choice, 'http1' | 'http2'> {
  return { http1: sub(config, 'httpProtocolOptions'), http2: sub(config, 'http2ProtocolOptions') };
}

const USE_DOWNSTREAM_PROTOCOL = 1;

function olderOptions(cluster: Msg, path: string): UpstreamHttpModel {
  const options = both(cluster);
  const fixed = options.http2 === null ? 'http1' : 'http2';
  const protocol = num(cluster, 'protocolSelection') === USE_DOWNSTREAM_PROTOCOL ? 'downstream' : fixed;
  return {
    ...build({ protocol, ...options, path }, sub(cluster, 'commonHttpProtocolOptions'), cluster, path),
    httpTls: lowerUpstreamHttpTls(sub(cluster, 'upstreamHttpProtocolOptions')),
    mirrors: [],
    retry: null,
    hashPolicy: [],
  };
}

function build(choice: Choice, common: Msg | null, cluster: Msg | null, path: string): ProtocolModel {
  const olderLimit = cluster === null ? 0 : num(cluster, 'maxRequestsPerConnection');
  const where = `${path}.common_http_protocol_options`;
  return {
    protocol: choice.protocol,
    maxRequestsPerConnection: common === null ? olderLimit : num(common, 'maxRequestsPerConnection', olderLimit),
    idleTimeoutMs: common === null ? HOUR_MS : wholeMs(common, 'idleTimeout', HOUR_MS, where),
    maxConnectionDurationMs: common === null ? 0 : wholeMs(common, 'maxConnectionDuration', 0, where),
    upstreamStreamDurationMs: common === null ? 0 : wholeMs(common, 'maxStreamDuration', 0, where),
    maxResponseHeadersBytes:
      (common === null ? DEFAULT_HEADERS_KIB : num(common, 'maxResponseHeadersKb', DEFAULT_HEADERS_KIB)) * 1024,
    maxResponseHeadersCount:
      common === null ? DEFAULT_HEADERS_COUNT : num(common, 'maxHeadersCount', DEFAULT_HEADERS_COUNT),
    http1: http1Client(choice.http1, choice.path),
    http2: lowerHttp2(choice.http2, null, `${choice.path}.http2_protocol_options`),
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
