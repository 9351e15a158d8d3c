// The admin port: an HTTP server in the main thread in front of `handleAdmin`.
//
// The admin port is not the data path, so Node's own HTTP server does. Answers are written in slices: a dump of a big
// mesh must not hold the thread that also answers probes, nor pile up in memory for a slow reader.

import { once } from 'node:events';
import { chmodSync, unlinkSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AddressModel } from '../config/model/common.ts';
import type { AccessLogger } from '../observe/access-log.ts';
import { bug, ConfigError } from '../util/error.ts';
import { handleAdmin } from './admin.ts';
import { parseQuery, text } from './admin-answer.ts';
import { AdminCounters } from './admin-counters.ts';
import { type BodyBytes, recordOf } from './admin-record.ts';
import type { AdminResponse, AdminState } from './admin-state.ts';
import { AdminTurns } from './admin-turns.ts';

/** Not imported: an import reads every export, and `WebSocket` then loads undici (measured: 36 ms and 15 MB). */
const { createServer } = process.getBuiltinModule('node:http');

/** Bytes of a request head; Envoy's default. */
const HEAD_BYTES_MAX = 60 * 1024;
/** Bytes of a form body; nothing that the endpoints take is longer. */
const BODY_BYTES_MAX = 64 * 1024;
const CONNECTIONS_MAX = 1024;
/** The one endpoint that also takes its parameters as a form. */
const FORM_PATH = '/runtime_modify';
/** Endpoints whose answers grow with the mesh. */
const LARGE = /^\/(?:stats|clusters|config_dump|listeners)\b/;
/** Answer text gathered before a write, characters. */
const WRITE_CHARS = 32 * 1024;
/** Bytes of a finished answer that are written at a time. */
const WRITE_BYTES = 64 * 1024;
/** How long rendering may hold the thread in one go, milliseconds. */
const SLICE_MS = 5;

/** The running admin server. */
export interface AdminListener {
  /** As bound: the real port. */
  readonly address: AddressModel;
  /** Stops accepting and drops connections. */
  close(): Promise<void>;
}

/**
 * Opens the admin port. `log` gets a record of every request that was answered.
 * @throws ConfigError `cannot bind '127.0.0.1:15000': Address already in use`
 */
export async function openAdminListener(
  address: AddressModel,
  state: AdminState,
  log: AccessLogger | null = null,
): Promise<AdminListener> {
  const counters = new AdminCounters(state.stats);
  const turns = new AdminTurns();
  const server = createServer(
    { maxHeaderSize: HEAD_BYTES_MAX, keepAlive: true, noDelay: true },
    (request, response) => {
      serve(request, response, state, { counters, turns, log }).catch((error: unknown) => {
        bug('admin_request', error instanceof Error ? (error.stack ?? error.message) : String(error));
        response.destroy();
      });
    },
  );
  server.maxConnections = CONNECTIONS_MAX;
  server.on('connection', (socket: Socket) => counters.connectionOpened(socket));
  server.on('clientError', (_error, socket) => {
    counters.protocolError();
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
  });
  await listen(server, address);
  return {
    address: boundAddress(server, address),
    close: async () => {
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, 'close');
    },
  };
}

async function listen(server: Server, address: AddressModel): Promise<void> {
  if (address.kind === 'internal') throw new ConfigError('an internal address cannot serve admin', 'admin.address');
  if (address.kind === 'pipe' && !address.path.startsWith('@')) removeSocketFile(address.path);
  const where =
    address.kind === 'pipe'
      ? { path: address.path.replace(/^@/, '\0') }
      : { host: address.address, port: address.port, ipv6Only: !address.ipv4Compat };
  server.listen(where);
  try {
    await once(server, 'listening');
  } catch (error) {
    const name = address.kind === 'pipe' ? address.path : `${address.address}:${address.port}`;
    throw new ConfigError(`cannot bind '${name}': ${reasonOf(error)}`);
  }
  if (address.kind === 'pipe' && address.mode !== 0) chmodSync(address.path, address.mode);
}

/** A socket file left by an earlier process would make the bind fail, as nobody listens there any more. */
function removeSocketFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // not there, or not ours to remove: the bind will say so
  }
}

const REASONS: ReadonlyMap<string, string> = new Map([
  ['EADDRINUSE', 'Address already in use'],
  ['EACCES', 'Permission denied'],
  ['EADDRNOTAVAIL', 'Cannot assign requested address'],
]);

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return REASONS.get(code) ?? (error instanceof Error ? error.message : String(error));
}

function boundAddress(server: Server, asked: AddressModel): AddressModel {
  const bound = server.address();
  if (asked.kind !== 'socket' || bound === null || typeof bound === 'string') return asked;
  return { ...asked, port: bound.port };
}

/** What all requests share. */
interface Shared {
  readonly counters: AdminCounters;
  readonly turns: AdminTurns;
  readonly log: AccessLogger | null;
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  state: AdminState,
  { counters, turns, log }: Shared,
): Promise<void> {
  const startedMs = performance.now();
  const bytes: BodyBytes = { received: 0, sent: 0 };
  counters.requestStarted();
  response.once('close', () => counters.requestEnded(response.statusCode, performance.now() - startedMs));
  const body = await readBody(request, bytes);
  if (body === GONE) return;
  const large = LARGE.test(request.url ?? '');
  if (large) await turns.take();
  try {
    if (response.destroyed) return;
    const answer = body === null ? text('the request body is too large\n', 413) : await answerTo(request, body, state);
    const unwatch = large ? turns.watch(takenBy(response), () => response.destroy()) : () => {};
    await send(response, answer, bytes).finally(unwatch);
    if (log !== null) log(recordOf(request, response, startedMs, bytes));
    answer.afterwards?.();
  } finally {
    if (large) turns.give();
  }
}

function takenBy(response: ServerResponse): () => number {
  const { socket } = response;
  return () => (socket === null ? 0 : socket.bytesWritten - socket.writableLength);
}

async function answerTo(request: IncomingMessage, body: string, state: AdminState): Promise<AdminResponse> {
  const target = request.url ?? '/';
  const mark = target.indexOf('?');
  const query = parseQuery(mark < 0 ? '' : target.slice(mark + 1));
  const path = mark < 0 ? target : target.slice(0, mark);
  if (path === FORM_PATH && request.headers['content-type'] === 'application/x-www-form-urlencoded') {
    for (const [name, value] of parseQuery(body)) if (!query.has(name)) query.set(name, value);
  }
  return handleAdmin({ method: request.method ?? 'GET', path, query }, state);
}

/** The peer left before its request was whole. */
const GONE = Symbol('gone');

/** The body as text; `null` when it is longer than anything here takes. */
async function readBody(request: IncomingMessage, bytes: BodyBytes): Promise<string | null | typeof GONE> {
  let body = '';
  try {
    for await (const chunk of request.setEncoding('latin1')) {
      body += chunk;
      bytes.received = body.length;
      if (body.length > BODY_BYTES_MAX) return null;
    }
  } catch {
    return GONE;
  }
  return body;
}

async function send(response: ServerResponse, answer: AdminResponse, bytes: BodyBytes): Promise<void> {
  response.statusCode = answer.status;
  response.removeHeader('connection');
  response.setHeader('content-type', answer.contentType);
  response.setHeader('cache-control', 'no-cache, max-age=0');
  response.setHeader('x-content-type-options', 'nosniff');
  response.setHeader('date', new Date().toUTCString());
  response.setHeader('server', 'envoy');
  response.setHeader('transfer-encoding', 'chunked');
  if (typeof answer.body === 'string') {
    await sent(response, answer.body, bytes);
    return;
  }
  if (answer.body instanceof Uint8Array) {
    await sendBytes(response, answer.body, bytes);
    return;
  }
  let pending = '';
  let sliceMs = performance.now();
  for (const piece of answer.body) {
    pending += piece;
    if (pending.length >= WRITE_CHARS) {
      const gone = !(await write(response, pending, bytes));
      pending = '';
      if (gone) return;
    }
    if (performance.now() - sliceMs >= SLICE_MS) {
      await nextTurn();
      sliceMs = performance.now();
    }
  }
  await sent(response, pending, bytes);
}

async function sendBytes(response: ServerResponse, body: Uint8Array, bytes: BodyBytes): Promise<void> {
  for (let at = 0; at < body.length; at += WRITE_BYTES)
    if (!(await write(response, body.subarray(at, at + WRITE_BYTES), bytes))) return;
  await sent(response, '', bytes);
}

/** Writes and waits for a slow reader; false when it has gone. */
async function write(response: ServerResponse, piece: string | Uint8Array, bytes: BodyBytes): Promise<boolean> {
  if (response.destroyed) return false;
  bytes.sent += typeof piece === 'string' ? Buffer.byteLength(piece) : piece.length;
  if (!response.write(piece)) await either(response, 'drain', 'close');
  return !response.destroyed;
}

/** Ends the answer; resolves when the last byte was handed to the system, or the reader has gone. */
async function sent(response: ServerResponse, last: string, bytes: BodyBytes): Promise<void> {
  if (response.destroyed) return;
  bytes.sent += Buffer.byteLength(last);
  const finished = either(response, 'finish', 'close');
  response.end(last);
  await finished;
}

/** Waits for the first of two events and leaves no listener behind. */
function either(response: ServerResponse, one: string, other: string): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off(one, done);
      response.off(other, done);
      resolve();
    };
    response.on(one, done);
    response.on(other, done);
  });
}
