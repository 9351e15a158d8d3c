// The access-log record of one admin request.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { HeaderMap } from '../codec/headers.ts';
import { NO_CONNECTION } from '../observe/no-connection.ts';
import { type ConnectionInfo, StreamInfo } from '../observe/stream-info.ts';
import { joinHostPort } from '../util/ip.ts';

/** Connections of the admin port are numbered on their own. */
let lastConnectionId = 0;

const connections = new WeakMap<Socket, ConnectionInfo>();

/** Body bytes of a request and of its answer. */
export interface BodyBytes {
  received: number;
  sent: number;
}

/** Facts of a request that has been answered; `startedMs` is on the clock of `performance.now()`. */
export function recordOf(
  request: IncomingMessage,
  response: ServerResponse,
  startedMs: number,
  bytes: BodyBytes,
): StreamInfo {
  const connection = connectionOf(request.socket);
  const endMs = performance.now();
  const record = new StreamInfo(connection, Date.now() - (endMs - startedMs), startedMs);
  record.protocol = `HTTP/${request.httpVersion}`;
  record.method = request.method ?? '';
  record.path = request.url ?? '';
  record.scheme = 'http';
  record.authority = request.headers.host ?? '';
  record.requestHeaders = new HeaderMap();
  const raw = request.rawHeaders;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    if (name !== 'host') record.requestHeaders.add(name, raw[i + 1] as string);
  }
  record.status = response.statusCode;
  record.responseHeaders = new HeaderMap();
  for (const name of response.getHeaderNames()) record.responseHeaders.add(name, String(response.getHeader(name)));
  record.details = 'admin_filter_response';
  record.requestBodyBytes = bytes.received;
  record.responseBodyBytes = bytes.sent;
  record.remoteAddress = connection.directRemoteAddress;
  record.requestRxEndMs = startedMs;
  record.endMs = endMs;
  return record;
}

function connectionOf(socket: Socket): ConnectionInfo {
  let info = connections.get(socket);
  if (info === undefined) {
    const { localAddress = '', localPort = 0, remoteAddress = '', remotePort = 0 } = socket;
    const remote = remoteAddress === '' ? '' : joinHostPort(remoteAddress, remotePort);
    info = {
      ...NO_CONNECTION,
      id: ++lastConnectionId,
      localAddress: localAddress === '' ? '' : joinHostPort(localAddress, localPort),
      remoteAddress: remote,
      remoteIp: remoteAddress,
      remotePort,
      directRemoteAddress: remote,
      localIp: localAddress,
      localPort,
      directRemoteIp: remoteAddress,
      directRemotePort: remotePort,
      startedMs: performance.now(),
    };
    connections.set(socket, info);
  }
  return info;
}
