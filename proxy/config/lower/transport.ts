// Transport sockets of filter chains and clusters.

import { ConfigError } from '../../util/error.ts';
import { missingImplementation } from '../fields/extensions.ts';
import type { UpstreamHttpTlsModel } from '../model/cluster.ts';
import type { DownstreamTransportModel, TlvModel, TransportMatchModel, UpstreamTransportModel } from '../model/tls.ts';
import { unpackAny } from '../read/any.ts';
import { bool, list, type Msg, num, numbers, oneof, oneofCase, str, struct, sub } from '../schema/message.ts';
import { lowerFormat } from './access-log.ts';
import { asciiLower, type LowerContext } from './common.ts';
import { lowerDownstreamTls, lowerUpstreamTls } from './tls.ts';

const SOCKETS = 'envoy.extensions.transport_sockets.';
const RAW_BUFFER = `${SOCKETS}raw_buffer.v3.RawBuffer`;
const DOWNSTREAM_TLS = `${SOCKETS}tls.v3.DownstreamTlsContext`;
const UPSTREAM_TLS = `${SOCKETS}tls.v3.UpstreamTlsContext`;
const PROXY_PROTOCOL = `${SOCKETS}proxy_protocol.v3.ProxyProtocolUpstreamTransport`;
const INTERNAL = `${SOCKETS}internal_upstream.v3.InternalUpstreamTransport`;

/** `transport_socket` of a filter chain; none = plain. */
export function lowerDownstreamTransport(
  socket: Msg | null,
  ctx: LowerContext,
  path: string,
): DownstreamTransportModel {
  if (socket === null) return { kind: 'raw' };
  const config = configOf(socket, path);
  switch (config?.$typeName) {
    case RAW_BUFFER:
      return { kind: 'raw' };
    case DOWNSTREAM_TLS:
      return { kind: 'tls', tls: lowerDownstreamTls(config, ctx, `${path}.typed_config`) };
    default:
      throw missingImplementation(str(socket, 'name'), config?.$typeName ?? '', path);
  }
}

/** `transport_socket` of a cluster, or inside another one. */
export function lowerUpstreamTransport(socket: Msg | null, ctx: LowerContext, path: string): UpstreamTransportModel {
  if (socket === null) return { kind: 'raw' };
  const config = configOf(socket, path);
  const at = `${path}.typed_config`;
  switch (config?.$typeName) {
    case RAW_BUFFER:
      return { kind: 'raw' };
    case UPSTREAM_TLS:
      return { kind: 'tls', tls: lowerUpstreamTls(config, ctx, at) };
    case PROXY_PROTOCOL:
      return lowerProxyProtocol(config, ctx, at);
    case INTERNAL:
      return {
        kind: 'internal',
        inner: lowerInner(config, ctx, at),
        passthrough: list(config, 'passthroughMetadata').map((source, i) =>
          lowerPassthrough(source, `${at}.passthrough_metadata[${i}]`),
        ),
      };
    default:
      throw missingImplementation(str(socket, 'name'), config?.$typeName ?? '', path);
  }
}

function configOf(socket: Msg, path: string): Msg | null {
  const any = oneofCase(socket, 'configType', 'typedConfig');
  return any === null ? null : unpackAny(any, `${path}.typed_config`).message;
}

function lowerInner(config: Msg, ctx: LowerContext, path: string): UpstreamTransportModel {
  return lowerUpstreamTransport(sub(config, 'transportSocket'), ctx, `${path}.transport_socket`);
}

const INCLUDE = 1;

function lowerProxyProtocol(config: Msg, ctx: LowerContext, path: string): UpstreamTransportModel {
  const inner = lowerInner(config, ctx, path);
  const options = sub(config, 'config');
  const pass = options === null ? null : sub(options, 'passThroughTlvs');
  const passAllTlvs = pass !== null && num(pass, 'matchType') !== INCLUDE;
  return {
    kind: 'proxy_protocol',
    version: options !== null && num(options, 'version') === 1 ? 2 : 1,
    inner,
    passAllTlvs,
    passTlvs: pass === null || passAllTlvs ? [] : numbers(pass, 'tlvType'),
    addedTlvs: options === null ? [] : lowerTlvs(list(options, 'addedTlvs'), ctx, `${path}.config.added_tlvs`),
  };
}

/** `core.v3.TlvEntry`: either a value or a format. */
export function lowerTlvs(entries: readonly Msg[], ctx: LowerContext, path: string): TlvModel[] {
  return entries.map((entry, i) => {
    const base64 = Buffer.from((entry as unknown as { value: Uint8Array }).value).toString('base64');
    const format = sub(entry, 'formatString');
    const at = `${path}[${i}]`;
    if ((base64 === '') === (format === null)) {
      const [few, must] = format === null ? ['one', 'must'] : ['only one', 'may'];
      throw new ConfigError(`Invalid TLV configuration: ${few} of 'value' or 'format_string' ${must} be set.`, at);
    }
    return {
      type: num(entry, 'type'),
      base64,
      format: format === null ? null : lowerFormat(format, ctx, `${at}.format_string`),
    };
  });
}

function lowerPassthrough(
  source: Msg,
  path: string,
): Extract<UpstreamTransportModel, { kind: 'internal' }>['passthrough'][number] {
  const kind = sub(source, 'kind');
  const of = kind === null ? undefined : oneof(kind, 'kind')?.case;
  if (of !== 'cluster' && of !== 'host')
    throw new ConfigError('only metadata of clusters and hosts can be passed through', `${path}.kind`);
  return { of, name: str(source, 'name') };
}

// === Per endpoint ===

/** `transport_socket_matches`. */
export function lowerTransportMatches(cluster: Msg, ctx: LowerContext, path: string): TransportMatchModel[] {
  return list(cluster, 'transportSocketMatches').map((entry, i) => {
    const at = `${path}.transport_socket_matches[${i}]`;
    const socket = sub(entry, 'transportSocket');
    if (socket === null) throw missingImplementation('', '', `${at}.transport_socket`);
    const match: { [key: string]: string | number | boolean } = {};
    for (const [key, value] of Object.entries(struct(entry, 'match') ?? {})) {
      if (value === null || typeof value === 'object')
        throw new ConfigError('only texts, numbers and booleans can be compared', `${at}.match["${key}"]`);
      match[key] = value;
    }
    return {
      name: str(entry, 'name'),
      match,
      transport: lowerUpstreamTransport(socket, ctx, `${at}.transport_socket`),
    };
  });
}

/** `core.v3.UpstreamHttpProtocolOptions`; none = everything off. */
export function lowerUpstreamHttpTls(options: Msg | null): UpstreamHttpTlsModel {
  if (options === null) return { autoSni: false, autoSniHeader: '', autoSanValidation: false };
  return {
    autoSni: bool(options, 'autoSni'),
    autoSniHeader: asciiLower(str(options, 'overrideAutoSniHeader')),
    autoSanValidation: bool(options, 'autoSanValidation'),
  };
}
