// The origin of the HTTP/2 rows: prior knowledge, 100 bytes for every path; a gRPC call is answered with one message and
// trailers. Built on the project's own session, which both subjects meet alike.
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

function serve(socket: Socket): void {
  let due = false;
  const flush = (): void => {
    due = false;
    const out = session.takeOutput();
    if (out !== null) socket.write(out);
  };
  const answer = (stream: H2Stream): void => {
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
      stream.user = head.headers.get('content-type') === 'application/grpc' ? 'grpc' : 'plain';
      if (endStream) answer(stream);
    },
    onData(stream: H2Stream, _chunk: Buffer, endStream: boolean) {
      if (endStream) answer(stream);
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
  socket.on('error', () => socket.destroy());
  socket.on('close', () => session.close());
}

createServer({ noDelay: true }, serve).listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4_096 });
