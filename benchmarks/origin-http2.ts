// The origin of the HTTP/2 rows: prior knowledge, 100 bytes for every path but `/bytes?n=N`, which has N zero bytes as fast
// as they are taken; a gRPC call is answered with one message and trailers. Built on the project's own session, which both subjects meet alike.
//
// Usage: node benchmarks/origin-http2.ts PORT

import { createServer, type Socket } from 'node:net';
import { HeaderMap } from '../proxy/codec/headers.ts';
import type { RequestHead } from '../proxy/codec/http1.ts';
import type { H2Sink, H2Stream } from '../proxy/codec/http2.ts';
import { Http2Session } from '../proxy/codec/http2-session.ts';
import { H2_OPTIONS, sinkOf } from '../test/fixtures/h2.ts';
import { HOST_BODY } from './settings.ts';

const OPTIONS = { ...H2_OPTIONS, maxConcurrentStreams: 1_000 };
const BODY = Buffer.from(HOST_BODY, 'latin1');
const MESSAGE = Buffer.concat([Buffer.from([0, 0, 0, 0, BODY.length]), BODY]);

function headers(...fields: readonly (readonly [string, string])[]): HeaderMap {
  const map = new HeaderMap();
  for (const [name, value] of fields) map.add(name, value);
  return map;
}

const PLAIN = headers(['content-type', 'text/plain'], ['content-length', `${BODY.length}`]);
const GRPC = headers(['content-type', 'application/grpc']);
const OK = headers(['grpc-status', '0']);
const CHUNK = Buffer.alloc(65_536);

/** A long answer. */
class Body {
  /** Bytes still to send. */
  left: number;

  constructor(bytes: number) {
    this.left = bytes;
  }
}

function serve(socket: Socket): void {
  let due = false;
  const flush = (): void => {
    due = false;
    const out = session.takeOutput();
    if (out !== null && !socket.write(out)) session.setCongested(true);
  };
  const pump = (stream: H2Stream, body: Body): void => {
    while (body.left > 0) {
      const part = body.left >= CHUNK.length ? CHUNK : CHUNK.subarray(0, body.left);
      body.left -= part.length;
      if (!session.sendData(stream, part, body.left === 0)) return;
    }
  };
  const answer = (stream: H2Stream): void => {
    if (stream.user instanceof Body) {
      session.respond(stream, 200, headers(['content-length', `${stream.user.left}`]), false);
      pump(stream, stream.user);
      return;
    }
    if (stream.user !== 'grpc') {
      session.respond(stream, 200, PLAIN, false);
      session.sendData(stream, BODY, true);
      return;
    }
    session.respond(stream, 200, GRPC, false);
    session.sendData(stream, MESSAGE, false);
    session.sendTrailers(stream, OK);
  };
  const sink: H2Sink = sinkOf({
    onRequest(stream: H2Stream, head: RequestHead, endStream: boolean) {
      const long = /^\/bytes\?n=(\d+)/.exec(head.path);
      if (long !== null) stream.user = new Body(Number(long[1]));
      else stream.user = head.headers.get('content-type') === 'application/grpc' ? 'grpc' : 'plain';
      if (endStream) answer(stream);
    },
    onData(stream: H2Stream, _chunk: Buffer, endStream: boolean) {
      if (endStream) answer(stream);
    },
    onWritable(stream: H2Stream) {
      if (stream.user instanceof Body) pump(stream, stream.user);
    },
    onOutput() {
      if (due) return;
      due = true;
      queueMicrotask(flush);
    },
  });
  const session = new Http2Session(false, OPTIONS, sink);
  session.start();
  socket.on('data', (chunk: Buffer) => {
    if (session.feed(chunk) !== null) socket.destroy();
  });
  socket.on('drain', () => session.setCongested(false));
  socket.on('error', () => socket.destroy());
  socket.on('close', () => session.close());
}

createServer({ noDelay: true }, serve).listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4_096 });
