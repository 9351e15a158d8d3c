// What the connection manager does to a request's headers before it is routed, in Envoy's order
// (Envoy: docs configuration/http/http_conn_man/headers).

import type { HeaderMap } from '../codec/headers.ts';
import {
  KNOWN_CONNECTION,
  KNOWN_ENVOY,
  KNOWN_FORWARDED_FOR,
  KNOWN_FORWARDED_OTHER,
  KNOWN_HOP,
  KNOWN_TE,
  KNOWN_TRANSFER_ENCODING,
  KNOWN_UPGRADE,
  type RequestHead,
} from '../codec/http1.ts';
import { hasToken, keepTrailersOnly } from '../codec/http1-connection.ts';
import { isGrpcContentType } from '../match/head.ts';
import type { Mutate } from '../route/mutations.ts';
import { joinHostPort } from '../util/ip.ts';
import { appendForwardedFor, lastForwardedFor } from './forwarded.ts';
import type { ManagedStream } from './managed-stream.ts';
import { ensureRequestId } from './request-id.ts';

/** Headers that only a trusted sender may set; taken out of every request that is not internal. */
const INTERNAL_ONLY = [
  'x-envoy-retriable-status-codes',
  'x-envoy-retriable-header-names',
  'x-envoy-retry-on',
  'x-envoy-retry-grpc-on',
  'x-envoy-max-retries',
  'x-envoy-upstream-alt-stat-name',
  'x-envoy-upstream-rq-timeout-ms',
  'x-envoy-upstream-rq-per-try-timeout-ms',
  'x-envoy-upstream-rq-timeout-alt-response',
  'x-envoy-expected-rq-timeout-ms',
  'x-envoy-force-trace',
  'x-envoy-ip-tags',
  'x-envoy-original-url',
  'x-envoy-hedge-on-per-try-timeout',
] as const;

/** Taken out of requests at the edge besides. */
const EDGE_ONLY = [
  'x-envoy-decorator-operation',
  'x-envoy-downstream-service-cluster',
  'x-envoy-downstream-service-node',
  'x-envoy-original-path',
] as const;

/** Bits whose absence means that nothing of a connection's own headers is there. */
const HOP_BITS = KNOWN_CONNECTION | KNOWN_UPGRADE | KNOWN_TRANSFER_ENCODING | KNOWN_TE | KNOWN_HOP;
const SENDER_BITS = KNOWN_FORWARDED_FOR | KNOWN_FORWARDED_OTHER | KNOWN_ENVOY;

/**
 * Prepares the headers in place and fills `remoteAddress`, `internal`, `scheme` and `requestId`.
 */
export function prepareRequest(stream: ManagedStream, head: RequestHead, headers: HeaderMap): void {
  const { manager } = stream;
  const { model } = manager;
  if (manager.mutateEarly !== null) mutateEarly(stream, head, headers, manager.mutateEarly);
  const internalOnly = manager.routes.internalOnlyHeaders(stream, headers);
  const { known } = head;
  if ((known & HOP_BITS) !== 0) removeHopByHop(head, headers);
  if (model.useRemoteAddress) identifyByConnection(stream, headers);
  else if ((known & SENDER_BITS) !== 0 || model.appendXForwardedPort) identifyByHeaders(stream, headers);
  manager.clientCert(headers, stream.connection.tls, (known & KNOWN_FORWARDED_OTHER) !== 0);
  setScheme(stream, headers, (known & KNOWN_FORWARDED_OTHER) !== 0 || model.useRemoteAddress);

  const edge = model.useRemoteAddress && !stream.internal;
  if (stream.internal) headers.set('x-envoy-internal', 'true');
  else if (stream.hasEnvoyHeaders) {
    for (let i = 0; i < INTERNAL_ONLY.length; i++) headers.remove(INTERNAL_ONLY[i] as string);
    if (edge) for (let i = 0; i < EDGE_ONLY.length; i++) headers.remove(EDGE_ONLY[i] as string);
  }
  if (!stream.internal) for (const name of internalOnly) headers.remove(name);
  if (model.addUserAgent) manager.identifySelf(headers);
  if (edge && stream.connection.remoteIp !== '') headers.set('x-envoy-external-address', bareIp(stream.remoteAddress));
  if (model.generateRequestId) stream.requestId = ensureRequestId(headers, edge && !model.preserveExternalRequestId);
  else stream.requestId = headers.get('x-request-id') ?? '';
  if (model.via !== '') appendVia(headers, model.via);
}

/** The scheme is not known yet, nor is the client. What the codec has noticed of the headers holds no longer. */
function mutateEarly(stream: ManagedStream, head: RequestHead, headers: HeaderMap, mutate: Mutate): void {
  const { scheme } = stream;
  stream.scheme = '';
  mutate(headers, stream);
  stream.scheme = scheme;
  head.known |= HOP_BITS | SENDER_BITS;
  stream.hasEnvoyHeaders = true;
  stream.isGrpc = isGrpcContentType(headers.get('content-type'));
}

/** The codec has removed what `connection` nominates and cut `te` down; here go the connection's own headers. */
function removeHopByHop(head: RequestHead, headers: HeaderMap): void {
  const { known } = head;
  if (!isUpgrade(head, headers)) {
    if ((known & KNOWN_CONNECTION) !== 0) headers.remove('connection');
    if ((known & KNOWN_UPGRADE) !== 0) headers.remove('upgrade');
    if ((known & KNOWN_TE) !== 0) keepTrailersOnly(headers, false);
  }
  if ((known & KNOWN_TRANSFER_ENCODING) !== 0) headers.remove('transfer-encoding');
  if ((known & KNOWN_HOP) !== 0) {
    headers.remove('keep-alive');
    headers.remove('proxy-connection');
  }
}

/** Its own headers travel on with an upgrade; a CONNECT may be one besides. */
function isUpgrade(head: RequestHead, headers: HeaderMap): boolean {
  if (!head.upgrade || head.method !== 'CONNECT') return head.upgrade;
  return (head.known & KNOWN_UPGRADE) !== 0 && hasToken(headers.getJoined('connection') ?? '', 'upgrade');
}

/** `use_remote_address`: the socket's peer is believed, and named to the upstream. */
function identifyByConnection(stream: ManagedStream, headers: HeaderMap): void {
  const { manager, connection } = stream;
  const { model } = manager;
  const hops = model.xffNumTrustedHops;
  const hadForwardedFor = headers.has('x-forwarded-for');
  let clientIp = '';
  if (hops > 0) {
    clientIp = lastForwardedFor(headers, hops - 1).address;
    if (clientIp !== '') stream.remoteAddress = joinHostPort(clientIp, 0);
  }
  if (clientIp === '') clientIp = connection.remoteIp;
  if (!model.skipXffAppend) appendForwardedFor(headers, manager.forwardedIp(connection.remoteIp));
  if (hops === 0 || !headers.has('x-forwarded-proto'))
    headers.set('x-forwarded-proto', connection.tls === null ? 'http' : 'https');
  if (model.appendXForwardedPort && (hops === 0 || !headers.has('x-forwarded-port')))
    headers.set('x-forwarded-port', `${connection.localPort}`);
  stream.internal = !hadForwardedFor && manager.isInternal(clientIp);
  headers.remove('x-envoy-internal');
}

/** Without `use_remote_address` the sender's `x-forwarded-for` says who the client is. */
function identifyByHeaders(stream: ManagedStream, headers: HeaderMap): void {
  const { manager, connection } = stream;
  headers.remove('x-envoy-internal');
  if (manager.model.appendXForwardedPort) headers.addIfAbsent('x-forwarded-port', `${connection.localPort}`);
  const client = lastForwardedFor(headers, manager.model.xffNumTrustedHops);
  if (client.address === '') return;
  stream.remoteAddress = joinHostPort(client.address, 0);
  stream.internal = client.single && manager.isInternal(client.address);
}

function setScheme(stream: ManagedStream, headers: HeaderMap, mayHaveProto: boolean): void {
  const { schemeToOverwrite } = stream.manager.model;
  const secure = stream.connection.tls !== null;
  let proto = mayHaveProto ? headers.get('x-forwarded-proto') : null;
  if (proto === null) {
    proto = secure ? 'https' : 'http';
    headers.add('x-forwarded-proto', proto);
  }
  if (schemeToOverwrite !== '') {
    stream.scheme = schemeToOverwrite;
    if (proto !== schemeToOverwrite) headers.set('x-forwarded-proto', schemeToOverwrite);
    return;
  }
  stream.lacksProto = proto === '';
  if (stream.scheme === 'http' || stream.scheme === 'https') return;
  stream.scheme = schemeOf(proto, secure);
}

/** The scheme of a request that says it was forwarded as `proto`. */
function schemeOf(proto: string, secure: boolean): string {
  const lower = proto === 'http' || proto === 'https' ? proto : proto.toLowerCase();
  return lower === 'http' || lower === 'https' ? lower : secure ? 'https' : 'http';
}

/** The scheme of a request that a redirect has made; one that is not HTTP's is none. */
export function redirectedScheme(scheme: string, headers: HeaderMap, secure: boolean): string {
  return scheme === 'http' || scheme === 'https' ? scheme : schemeOf(headers.get('x-forwarded-proto') ?? '', secure);
}

/** Appends to `via`. */
export function appendVia(headers: HeaderMap, via: string): void {
  const present = headers.getJoined('via');
  headers.set('via', present === null ? via : `${present}, ${via}`);
}

function bareIp(address: string): string {
  if (address.charCodeAt(0) === 0x5b) return address.slice(1, address.indexOf(']'));
  const colon = address.lastIndexOf(':');
  return colon < 0 ? address : address.slice(0, colon);
}
