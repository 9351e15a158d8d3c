// Values that PROXY headers towards hosts tell beside addresses: fixed ones, and those that a format makes of a connection
// (Envoy: `core.v3.TlvEntry`).

import type { Socket } from 'node:net';
import type { TlvModel } from '../config/model/tls.ts';
import type { DialTarget } from '../net/dial.ts';
import type { Tlv } from '../net/proxy-header.ts';
import { compileFormat } from '../observe/format.ts';
import { NO_CONNECTION } from '../observe/no-connection.ts';
import { type ConnectionInfo, StreamInfo } from '../observe/stream-info.ts';
import { joinHostPort } from '../util/ip.ts';
import type { Runtime } from '../util/runtime.ts';
import { formatAddress } from './host.ts';

/** In the order of headers: as in Envoy fixed values come before all others. */
export interface TlvValues {
  readonly fixed: readonly Tlv[];
  /** Empty values are among them; `null` = there are fixed ones only. */
  readonly render: ((info: StreamInfo) => Tlv[]) | null;
}

export function compileTlvs(models: readonly TlvModel[]): TlvValues {
  const fixed: Tlv[] = [];
  const formats: { readonly type: number; readonly format: (info: StreamInfo) => string }[] = [];
  for (const { type, base64, format } of models) {
    if (format === null) fixed.push({ type, value: Buffer.from(base64, 'base64') });
    else formats.push({ type, format: compileFormat(format) });
  }
  if (formats.length === 0) return { fixed, render: null };
  const render = (info: StreamInfo): Tlv[] =>
    formats.map(({ type, format }) => ({ type, value: Buffer.from(format(info), 'latin1') }));
  return { fixed, render };
}

/**
 * A connection to a host as its own formats see it: nobody's request, its ends are the proxy's and the host's, as in Envoy.
 * `%CONNECTION_ID%` is 0.
 */
export function infoOfUpstream(socket: Socket, { address }: DialTarget, runtime: Runtime): StreamInfo {
  const { localAddress: localIp = '', localPort = 0 } = socket;
  const remote = formatAddress(address);
  const nowMs = runtime.nowMs();
  const isIp = address.kind === 'socket';
  const connection: ConnectionInfo = {
    ...NO_CONNECTION,
    localAddress: localIp === '' ? '' : joinHostPort(localIp, localPort),
    localIp,
    localPort,
    remoteAddress: remote,
    remoteIp: isIp ? address.address : '',
    remotePort: isIp ? address.port : 0,
    directRemoteAddress: remote,
    directRemoteIp: isIp ? address.address : '',
    directRemotePort: isIp ? address.port : 0,
    startedMs: nowMs,
  };
  const info = new StreamInfo(connection, Date.now(), nowMs);
  info.remoteAddress = remote;
  info.upstreamHost = { address: remote, hostname: '', metadata: {}, zone: '', canary: false };
  return info;
}
