// Operators over the stream itself: times, sizes, codes, addresses, identities.

import { hostname } from 'node:os';
import { ConfigError } from '../util/error.ts';
import { parseIp } from '../util/ip.ts';
import { latin1Image } from '../util/latin1.ts';
import { randomUuid } from '../util/uuid.ts';
import { flagsLongText, flagsText, tcpFlagsText } from './flags.ts';
import {
  cut,
  filledOperator,
  numberOperator,
  type Operator,
  type OperatorFactory,
  plain,
  refuseLength,
  requireArgument,
  stringOperator,
} from './format-operator.ts';
import { requestedServerName } from './format-server-name.ts';
import { compileTime } from './format-time.ts';
import type { StreamInfo, UpstreamHostInfo } from './stream-info.ts';

type Read<T> = (info: StreamInfo) => T;

// === Times ===

/** Monotonic marks that `%COMMON_DURATION%` may name; −1 = did not happen. */
const MARKS: ReadonlyMap<string, Read<number>> = new Map<string, Read<number>>([
  ['DS_RX_BEG', (info) => info.startMs],
  ['DS_RX_END', (info) => info.requestRxEndMs],
  ['US_CX_BEG', (info) => info.upstreamConnectStartMs],
  ['US_CX_END', (info) => info.upstreamConnectEndMs],
  ['US_HS_END', (info) => info.upstreamHandshakeEndMs],
  ['US_TX_BEG', (info) => info.upstreamTxStartMs],
  ['US_TX_END', (info) => info.upstreamTxEndMs],
  ['US_RX_BEG', (info) => info.upstreamRxStartMs],
  ['US_RX_BODY_BEG', (info) => info.upstreamRxBodyStartMs],
  ['US_RX_END', (info) => info.upstreamRxEndMs],
  ['DS_TX_BEG', (info) => info.downstreamTxStartMs],
  ['DS_TX_END', (info) => info.downstreamTxEndMs],
]);
const PRECISIONS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['us', 1e3],
  ['ns', 1e6],
]);

/** Whole units between two marks; `null` when either did not happen. */
function between(from: Read<number>, to: Read<number>, perMs = 1): Operator {
  return numberOperator((info) => {
    const start = from(info);
    const end = to(info);
    return start < 0 || end < start ? null : Math.trunc((end - start) * perMs);
  });
}

const commonDuration: OperatorFactory = (argument, max, name) => {
  requireArgument(argument, name);
  refuseLength(max, name);
  const parts = argument.split(':');
  if (parts.length < 2 || parts.length > 3) {
    throw new ConfigError(`Invalid common duration configuration: ${argument}.`);
  }
  const [from = '', to = '', precision = 'ms'] = parts;
  const perMs = PRECISIONS.get(precision);
  if (perMs === undefined) throw new ConfigError(`Invalid common duration precision: ${precision}.`);
  // Marks with other names are those that filters may set; none of ours does, so they never happened.
  const never: Read<number> = () => -1;
  return between(MARKS.get(from) ?? never, MARKS.get(to) ?? never, perMs);
};

const start: Read<number> = (info) => info.startMs;
const now: Read<number> = (info) => (info.endMs < 0 ? performance.now() : info.endMs);

function timeOperator(read: Read<number>, local: boolean): OperatorFactory {
  return (argument, max, name) => {
    refuseLength(max, name);
    const format = compileTime(argument, local);
    return stringOperator((info) => format(read(info)));
  };
}

// === Addresses ===

/** Port of `ip:port`; `null` for pipes and names without one. */
function portOf(address: string): number | null {
  const at = address.lastIndexOf(':');
  return at < 0 || address[0] === '/' || address[0] === '@' ? null : Number(address.slice(at + 1));
}

/** The IP of `ip:port` or `[ip]:port`; anything else as it is. */
function withoutPort(address: string): string {
  const at = address.lastIndexOf(':');
  if (at < 0 || address[0] === '/' || address[0] === '@' || isInternal(address)) return address;
  return address[0] === '[' ? address.slice(1, at - 1) : address.slice(0, at);
}

/** `envoy://listener/endpoint`: the address of an internal listener has no port. */
function isInternal(address: string): boolean {
  return address.startsWith('envoy://');
}

/** The endpoint id of an internal address; empty for any other. */
function endpointId(address: string): string {
  return isInternal(address) ? address.slice(address.lastIndexOf('/') + 1) : '';
}

const direct: Read<string> = (info) => info.connection.directLocalAddress ?? info.connection.localAddress;
const upstreamRemote: Read<string> = (info) =>
  info.upstreamRemoteAddress === '' && info.upstreamLocalAddress !== ''
    ? (info.upstreamHost?.address ?? '')
    : info.upstreamRemoteAddress;

function addressOperators(prefix: string, read: Read<string>): [string, OperatorFactory][] {
  const name = prefix.endsWith('_ADDRESS') ? prefix.slice(0, -'_ADDRESS'.length) : prefix;
  return [
    [prefix, plain(filledOperator(read))],
    [`${prefix}_WITHOUT_PORT`, withoutPortFactory(read)],
    [
      `${name}_PORT`,
      plain(
        numberOperator((info) => {
          const address = read(info);
          return address === '' || isInternal(address) ? null : portOf(address);
        }),
      ),
    ],
  ];
}

/** `%…_WITHOUT_PORT(bits)%` masks the address to a range; any other argument is ignored, as Envoy does. */
function withoutPortFactory(read: Read<string>): OperatorFactory {
  return (argument, max, name) => {
    refuseLength(max, name);
    if (!/^[0-9]{1,3}$/.test(argument)) return filledOperator((info) => withoutPort(read(info)));
    const bits = Number(argument);
    return filledOperator((info) => maskIp(withoutPort(read(info)), bits));
  };
}

/** `10.1.2.3`, 8 → `10.0.0.0/8`; what is no IP stays as it is. */
function maskIp(text: string, bits: number): string {
  const bytes = parseIp(text);
  if (bytes === null) return text;
  const kept = Math.min(bits, bytes.length * 8);
  for (let i = 0; i < bytes.length; i++) {
    const bitsHere = Math.min(8, Math.max(0, kept - i * 8));
    bytes[i] = (bytes[i] as number) & (0xff00 >> bitsHere);
  }
  return `${bytes.length === 4 ? bytes.join('.') : ipv6Text(bytes)}/${kept}`;
}

/** The canonical text of 16 bytes (RFC 5952), which the URL parser knows. */
function ipv6Text(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16)).join(':');
  return new URL(`http://[${groups}]/`).hostname.slice(1, -1);
}

const absent: OperatorFactory = plain(stringOperator(() => null));

// === Upstream hosts ===

const hostName = (host: UpstreamHostInfo): string => (host.hostname === '' ? host.address : host.hostname);

function hostOperator(read: (host: UpstreamHostInfo) => string): OperatorFactory {
  return plain(
    stringOperator((info) => {
      const host = info.upstreamHost;
      return host === null ? null : read(host);
    }),
  );
}

function attemptedOperator(read: (host: UpstreamHostInfo) => string): OperatorFactory {
  return plain(
    stringOperator((info) => {
      const hosts = info.upstreamHostsAttempted;
      if (hosts !== null) return hosts.length === 0 ? null : hosts.map(read).join(',');
      // A host that was never reached was not attempted in this sense.
      const host = info.upstreamLocalAddress === '' ? null : info.upstreamHost;
      return host === null ? null : read(host);
    }),
  );
}

const connectionIdsAttempted: OperatorFactory = plain(
  stringOperator((info) => {
    const ids = info.upstreamConnectionIdsAttempted;
    if (ids !== null) return ids.length === 0 ? null : ids.join(',');
    return info.upstreamConnectionId === 0 ? null : `${info.upstreamConnectionId}`;
  }),
);

// === Process ===

const environment: OperatorFactory = (argument, max, name) => {
  requireArgument(argument, name);
  const value = process.env[argument];
  // An unset variable is `-` even where absent values vanish.
  const shown = value === undefined ? '-' : cut(latin1Image(value), max);
  return stringOperator(() => shown);
};

const host = latin1Image(hostname());

/** `%STREAM_ID%` is the request id of an HTTP request, absent where its head was never read, and else a random one. */
const streamId: Read<string | null> = (info) => {
  if (info.streamId !== '') return info.streamId;
  if (info.requestHeaders !== null) return info.requestHeaders.get('x-request-id');
  if (info.protocol !== '') return null;
  info.streamId = randomUuid();
  return info.streamId;
};

const text = (read: Read<string>): OperatorFactory => plain(filledOperator(read));
/** Of something configured, whose name is kept as a text. */
const nameText = (read: Read<string>): OperatorFactory => text((info) => latin1Image(read(info)));
const number = (read: Read<number>): OperatorFactory => plain(numberOperator(read));

const poolReady: OperatorFactory = plain(
  numberOperator(({ upstreamPoolWaitMs: ms }) => (ms < 0 ? null : Math.trunc(ms))),
);

/** The parameter, `ALLOW_WHITESPACES`, says nothing here: no details have blanks. */
const responseCodeDetails: OperatorFactory = (_argument, max, name) => {
  refuseLength(max, name);
  return filledOperator((info) => info.details);
};

const closeType: Read<string> = (info) =>
  info.upstreamDetectedCloseType === '' && info.upstreamHost !== null ? 'Normal' : info.upstreamDetectedCloseType;

/** Operators over the stream. */
export const STREAM_OPERATORS: ReadonlyMap<string, OperatorFactory> = new Map<string, OperatorFactory>([
  ['START_TIME', timeOperator((info) => info.startTimeMs, false)],
  ['START_TIME_LOCAL', timeOperator((info) => info.startTimeMs, true)],
  ['EMIT_TIME', timeOperator(() => Date.now(), false)],
  ['EMIT_TIME_LOCAL', timeOperator(() => Date.now(), true)],
  ['DURATION', plain(between(start, now))],
  ['COMMON_DURATION', commonDuration],
  ['REQUEST_DURATION', plain(between(start, (info) => info.requestRxEndMs))],
  ['REQUEST_TX_DURATION', plain(between(start, (info) => info.upstreamTxEndMs))],
  ['RESPONSE_DURATION', plain(between(start, (info) => info.upstreamRxStartMs))],
  [
    'RESPONSE_TX_DURATION',
    plain(
      between(
        (info) => info.upstreamRxStartMs,
        (info) => info.downstreamTxEndMs,
      ),
    ),
  ],
  ['DOWNSTREAM_HANDSHAKE_DURATION', plain(between(start, (info) => info.connection.handshakeEndMs ?? -1))],
  ['UPSTREAM_CONNECTION_POOL_READY_DURATION', poolReady],
  // Measured from QUIC acknowledgements only.
  ['ROUNDTRIP_DURATION', absent],
  // The kernel's estimate cannot be read from Node.
  ['DOWNSTREAM_CX_RTT', absent],

  ['BYTES_RECEIVED', number((info) => info.requestBodyBytes)],
  ['BYTES_SENT', number((info) => info.responseBodyBytes)],
  ['BYTES_RETRANSMITTED', number(() => 0)],
  ['PACKETS_RETRANSMITTED', number(() => 0)],
  ['UPSTREAM_WIRE_BYTES_SENT', number((info) => info.upstreamWireBytesSent)],
  ['UPSTREAM_WIRE_BYTES_RECEIVED', number((info) => info.upstreamWireBytesReceived)],
  ['UPSTREAM_HEADER_BYTES_SENT', number((info) => info.upstreamHeaderBytesSent)],
  ['UPSTREAM_HEADER_BYTES_RECEIVED', number((info) => info.upstreamHeaderBytesReceived)],
  ['UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT', number((info) => info.upstreamHeaderBytesSent)],
  [
    'UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED',
    number((info) => info.upstreamHeaderBytesReceived - (info.responseTrailers?.fieldBytes ?? 0)),
  ],
  ['DOWNSTREAM_WIRE_BYTES_SENT', number((info) => info.downstreamWireBytesSent)],
  ['DOWNSTREAM_WIRE_BYTES_RECEIVED', number((info) => info.downstreamWireBytesReceived)],
  ['DOWNSTREAM_HEADER_BYTES_SENT', number((info) => info.responseHeaderBytes)],
  [
    'DOWNSTREAM_HEADER_BYTES_RECEIVED',
    number((info) => info.requestHeaderBytes + (info.requestTrailers?.fieldBytes ?? 0)),
  ],
  ['DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT', number((info) => info.responseHeaderBytes)],
  ['DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED', number((info) => info.requestHeaderBytes)],

  ['PROTOCOL', text((info) => info.protocol)],
  ['UPSTREAM_PROTOCOL', text((info) => info.upstreamProtocol)],
  ['RESPONSE_CODE', number((info) => info.status)],
  ['RESPONSE_CODE_DETAILS', responseCodeDetails],
  [
    'RESPONSE_FLAGS',
    plain(stringOperator(({ flags, protocol }) => (protocol === '' ? tcpFlagsText(flags) : flagsText(flags)))),
  ],
  ['RESPONSE_FLAGS_LONG', plain(stringOperator((info) => flagsLongText(info.flags)))],
  ['CONNECTION_TERMINATION_DETAILS', text((info) => info.connection.terminationDetails)],
  ['LOCAL_REPLY_BODY', plain(stringOperator((info) => info.localReplyBody))],
  ['ACCESS_LOG_TYPE', plain(stringOperator((info) => info.accessLogType))],

  ...addressOperators('DOWNSTREAM_LOCAL_ADDRESS', (info) => info.connection.localAddress),
  ...addressOperators('DOWNSTREAM_DIRECT_LOCAL_ADDRESS', direct),
  ...addressOperators('DOWNSTREAM_REMOTE_ADDRESS', (info) => info.remoteAddress),
  ...addressOperators('DOWNSTREAM_DIRECT_REMOTE_ADDRESS', (info) => info.connection.directRemoteAddress),
  ...addressOperators('UPSTREAM_LOCAL_ADDRESS', (info) => info.upstreamLocalAddress),
  ...addressOperators('UPSTREAM_REMOTE_ADDRESS', upstreamRemote),
  // Endpoint ids belong to internal listeners' addresses; others have an empty one.
  ['DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID', plain(stringOperator((info) => endpointId(info.connection.localAddress)))],
  ['DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID', plain(stringOperator((info) => endpointId(direct(info))))],
  [
    'UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID',
    plain(stringOperator((info) => (info.upstreamLocalAddress === '' ? null : endpointId(upstreamRemote(info))))),
  ],
  ['CONNECTION_ID', number((info) => info.connection.id)],
  ['REQUESTED_SERVER_NAME', requestedServerName],
  ['DOWNSTREAM_TRANSPORT_FAILURE_REASON', text((info) => info.connection.transportFailureReason.replaceAll(' ', '_'))],
  ['DOWNSTREAM_DETECTED_CLOSE_TYPE', text((info) => info.connection.detectedCloseType ?? 'Normal')],
  ['DOWNSTREAM_LOCAL_CLOSE_REASON', text((info) => info.connection.localCloseReason ?? '')],
  ['LISTENER_NAME', nameText((info) => info.connection.listenerName)],
  ['FILTER_CHAIN_NAME', nameText((info) => info.connection.filterChainName)],

  ['ROUTE_RESOLUTION_COUNT', number((info) => info.routeResolutions)],
  // Looking a route up is not timed here.
  ['ROUTE_RESOLUTION_TIME_US', absent],
  ['ROUTE_NAME', nameText((info) => info.routeName)],
  ['VIRTUAL_CLUSTER_NAME', nameText((info) => info.virtualClusterName)],
  ['UPSTREAM_CLUSTER', nameText((info) => info.upstreamCluster)],
  [
    'UPSTREAM_CLUSTER_RAW',
    nameText((info) => (info.upstreamClusterRaw === '' ? info.upstreamCluster : info.upstreamClusterRaw)),
  ],
  ['UPSTREAM_HOST', hostOperator((host) => host.address)],
  ['UPSTREAM_HOST_NAME', hostOperator(hostName)],
  ['UPSTREAM_HOST_NAME_WITHOUT_PORT', hostOperator((host) => withoutPort(hostName(host)))],
  ['UPSTREAM_HOSTS_ATTEMPTED', attemptedOperator((host) => host.address)],
  ['UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT', attemptedOperator((host) => withoutPort(host.address))],
  ['UPSTREAM_HOST_NAMES_ATTEMPTED', attemptedOperator(hostName)],
  ['UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT', attemptedOperator((host) => withoutPort(hostName(host)))],
  ['UPSTREAM_CONNECTION_IDS_ATTEMPTED', connectionIdsAttempted],
  ['UPSTREAM_CONNECTION_ID', number((info) => info.upstreamConnectionId)],
  ['UPSTREAM_REQUEST_ATTEMPT_COUNT', number((info) => info.attemptCount)],
  ['UPSTREAM_TRANSPORT_FAILURE_REASON', text((info) => info.upstreamTransportFailureReason)],
  ['UPSTREAM_DETECTED_CLOSE_TYPE', text(closeType)],
  ['UPSTREAM_LOCAL_CLOSE_REASON', text((info) => info.upstreamLocalCloseReason)],

  ['HOSTNAME', plain(stringOperator(() => host))],
  ['ENVIRONMENT', environment],
  ['STREAM_ID', plain(stringOperator(streamId))],
  ['UNIQUE_ID', plain(stringOperator(() => randomUuid()))],
  ['TRACE_ID', text((info) => info.traceId)],
  ['SPAN_ID', text((info) => info.spanId)],
]);
