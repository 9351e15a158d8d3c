// Client and origin of a call through two sidecars. Every call ends in one word: `served` with what the origin saw of
// the client's identity, `refused`, or what else happened.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  createServer as createHttp2Server,
  connect as http2Connect,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import type { Link, Origins } from './peers-config.ts';

export interface Outcome {
  readonly end: string;
  /** `x-forwarded-client-cert` as the origin got it; empty. */
  readonly seen: string;
}

/** Nothing takes that long, milliseconds. */
const CALL_MS_MAX = 10_000;
const REFUSED: Outcome = { end: 'refused', seen: '' };
const GRPC_UNAVAILABLE = '14';
const GRPC_MESSAGES = 3;
/** A TLS server may tell a client in clear text, in clear text, that this is no TLS. */
const ALERT = 21;
const ALERT_BYTES = 7;
const XFCC = 'x-forwarded-client-cert';

// === The origin ===

/** Echoes whatever it is sent, and counts what reaches it. */
export interface Origin extends Origins {
  readonly reached: () => number;
  close(): void;
}

export async function startOrigin(): Promise<Origin> {
  let reached = 0;
  const http1 = createServer((request: IncomingMessage, response: ServerResponse) => {
    reached++;
    response.setHeader('x-seen', String(request.headers[XFCC] ?? ''));
    request.pipe(response);
  });
  http1.on('upgrade', (request: IncomingMessage, socket, head: Buffer) => {
    reached++;
    const seen = String(request.headers[XFCC] ?? '');
    socket.on('error', () => {});
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nx-seen: ${seen}\r\n\r\n`,
    );
    socket.write(head);
    socket.pipe(socket);
  });
  const http2 = createHttp2Server();
  http2.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    reached++;
    stream.on('error', () => {});
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'x-seen': String(headers[XFCC] ?? '') },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.pipe(stream);
  });
  const tcp = createTcpServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.once('data', () => reached++);
    socket.pipe(socket);
  });
  const listen = async (server: Server | typeof http2 | typeof tcp): Promise<number> => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  return {
    http1: await listen(http1),
    http2: await listen(http2),
    tcp: await listen(tcp),
    reached: () => reached,
    close: () => {
      for (const server of [http1, http2, tcp]) server.close();
      http1.closeAllConnections();
    },
  };
}

// === Calls ===

/** A protocol: what the client speaks to the first sidecar, over which link. */
export interface Call {
  readonly name: string;
  readonly link: Link;
  readonly run: (port: number) => Promise<Outcome>;
}

export const CALLS: readonly Call[] = [
  { name: 'HTTP/1.1', link: 'http1', run: http1Call },
  { name: 'HTTP/2', link: 'http2', run: (port) => http2Call(port, '/', 'application/octet-stream', 1) },
  { name: 'gRPC unary', link: 'http2', run: (port) => http2Call(port, '/grpc.Echo/Unary', 'application/grpc', 1) },
  {
    name: 'gRPC stream',
    link: 'http2',
    run: (port) => http2Call(port, '/grpc.Echo/Stream', 'application/grpc', GRPC_MESSAGES),
  },
  { name: 'WebSocket over HTTP/1.1', link: 'http1', run: webSocketCall },
  { name: 'WebSocket over HTTP/2', link: 'http2', run: webSocketCall },
  { name: 'TCP', link: 'tcp', run: tcpCall },
];

function limited(work: (settle: (outcome: Outcome) => void) => () => void): Promise<Outcome> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => settle({ end: 'no answer', seen: '' }), CALL_MS_MAX);
    const settle = (outcome: Outcome): void => {
      clearTimeout(timer);
      resolve(outcome);
      setImmediate(() => clean());
    };
    const clean = work(settle);
  });
}

function http1Call(port: number): Promise<Outcome> {
  return limited((settle) => {
    const request = get({ host: '127.0.0.1', port, path: '/', agent: false }, (response) => {
      response.resume().on('end', () => {
        const { statusCode } = response;
        if (statusCode === 503) settle(REFUSED);
        else settle({ end: statusCode === 200 ? 'served' : `status ${statusCode}`, seen: seenOf(response.headers) });
      });
    });
    request.on('error', (error) => settle({ end: error.message, seen: '' }));
    return () => request.destroy();
  });
}

/** Sends so many messages, each when the one before has come back, and then ends its side. */
function http2Call(port: number, path: string, type: string, messages: number): Promise<Outcome> {
  return limited((settle) => {
    const session: ClientHttp2Session = http2Connect(`http://127.0.0.1:${port}`);
    session.on('error', (error) => settle({ end: error.message, seen: '' }));
    const stream: ClientHttp2Stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': type,
      te: 'trailers',
    });
    stream.on('error', (error) => settle({ end: error.message, seen: '' }));
    const isGrpc = type === 'application/grpc';
    const sent: Buffer[] = [];
    const heard: Buffer[] = [];
    let seen = '';
    let status = 0;
    let grpcStatus = '';
    const send = (): void => {
      const message = grpcMessage(randomBytes(1_000));
      sent.push(message);
      stream.write(message);
      if (sent.length === messages) stream.end();
    };
    stream.on('response', (headers) => {
      status = headers[':status'] ?? 0;
      seen = seenOf(headers);
      grpcStatus = String(headers['grpc-status'] ?? '');
    });
    stream.on('trailers', (trailers) => {
      grpcStatus = String(trailers['grpc-status'] ?? '');
    });
    stream.on('data', (chunk: Buffer) => {
      heard.push(chunk);
      const length = heard.reduce((sum, part) => sum + part.length, 0);
      if (sent.length < messages && length === sent.length * (sent[0]?.length ?? 0)) send();
    });
    stream.on('end', () => {
      if (isGrpc ? grpcStatus === GRPC_UNAVAILABLE : status === 503) settle(REFUSED);
      else if (status !== 200 || (isGrpc && grpcStatus !== '0'))
        settle({ end: `status ${status}, gRPC ${grpcStatus}`, seen });
      else settle({ end: Buffer.concat(heard).equals(Buffer.concat(sent)) ? 'served' : 'other bytes', seen });
    });
    send();
    return () => session.destroy();
  });
}

function grpcMessage(body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

/** The first bytes follow right behind the request. */
function webSocketCall(port: number): Promise<Outcome> {
  return limited((settle) => {
    const bytes = randomBytes(50_000);
    const socket = connect({ port, host: '127.0.0.1' });
    let heard = Buffer.alloc(0);
    socket.write(
      'GET /socket HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    socket.on('data', (chunk: Buffer) => {
      const before = heard.indexOf('\r\n\r\n');
      heard = Buffer.concat([heard, chunk]);
      const end = heard.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = heard.toString('latin1', 0, end);
      const status = head.slice(9, 12);
      if (status !== '101') {
        settle(status === '503' ? REFUSED : { end: `status ${status}`, seen: '' });
        return;
      }
      if (before < 0) socket.write(bytes);
      if (heard.length < end + 4 + bytes.length) return;
      const seen = /\r\nx-seen: (.*)/i.exec(head)?.[1]?.trim() ?? '';
      settle({ end: heard.subarray(end + 4).equals(bytes) ? 'served' : 'other bytes', seen });
    });
    socket.on('error', (error) => settle({ end: error.message, seen: '' }));
    socket.on('close', () => settle({ end: 'closed', seen: '' }));
    return () => socket.destroy();
  });
}

/** Sends, half-closes, and wants all of it back before the end. */
function tcpCall(port: number): Promise<Outcome> {
  return limited((settle) => {
    const bytes = randomBytes(200_000);
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.end(bytes));
    const heard: Buffer[] = [];
    const finish = (): void => {
      const all = Buffer.concat(heard);
      if (all.length === 0 || (all.length === ALERT_BYTES && all[0] === ALERT)) settle(REFUSED);
      else settle({ end: all.equals(bytes) ? 'served' : 'other bytes', seen: '' });
    };
    socket.on('data', (chunk: Buffer) => heard.push(chunk));
    socket.on('end', finish);
    socket.on('error', finish);
    return () => socket.destroy();
  });
}

function seenOf(headers: IncomingHttpHeaders | IncomingMessage['headers']): string {
  return String(headers['x-seen'] ?? '');
}
