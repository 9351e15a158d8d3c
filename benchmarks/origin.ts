// The origin of every row: a lean HTTP/1.1 server, so that the proxy in front of it is what limits.
//
//   GET /            100 bytes
//   GET /small...   the same; below /small/retried, 503 to the first attempt of each request
//   GET /head        the request's own head as the body (what the proxy sent upstream)
//   GET /bytes?n=N   N zero bytes, as fast as they are taken
//
// Usage: node benchmarks/origin.ts PORT. Requests have no body; it is not a general server.

import { createServer, type Socket } from 'node:net';
import { HOST_BODY } from './settings.ts';

const SMALL = Buffer.from(
  `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${HOST_BODY.length}\r\n\r\n${HOST_BODY}`,
);
const BUSY = Buffer.from('HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n');
const FIRST_ATTEMPT = 'x-envoy-attempt-count: 1\r\n';
const CHUNK = Buffer.alloc(65_536);
const HEAD_BYTES_MAX = 65_536;

class Connection {
  private readonly socket: Socket;
  private pending: string;
  /** Bytes of a `/bytes` answer still to send. */
  private left: number;

  constructor(socket: Socket) {
    this.socket = socket;
    this.pending = '';
    this.left = 0;
    socket.on('data', (chunk: Buffer) => this.onData(chunk));
    socket.on('drain', () => this.pump());
    socket.on('error', () => socket.destroy());
  }

  private onData(chunk: Buffer): void {
    let text = chunk.toString('latin1');
    if (this.pending !== '') text = this.pending + text;
    let at = 0;
    for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n', at)) {
      this.answer(text, at, end + 4);
      at = end + 4;
    }
    this.pending = at === text.length ? '' : text.slice(at);
    if (this.pending.length > HEAD_BYTES_MAX) this.socket.destroy();
  }

  private answer(text: string, from: number, to: number): void {
    if (text.startsWith('GET / ', from)) {
      this.socket.write(SMALL);
      return;
    }
    if (text.startsWith('GET /bytes?n=', from)) {
      this.left = Number.parseInt(text.slice(from + 13, from + 40), 10);
      this.socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${this.left}\r\n\r\n`);
      this.pump();
      return;
    }
    const head = text.slice(from, to);
    if (text.startsWith('GET /small', from)) {
      const busy = text.startsWith('/retried', from + 10) && head.includes(FIRST_ATTEMPT);
      this.socket.write(busy ? BUSY : SMALL);
      return;
    }
    this.socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${head.length}\r\n\r\n${head}`, 'latin1');
  }

  private pump(): void {
    while (this.left > 0) {
      const part = this.left >= CHUNK.length ? CHUNK : CHUNK.subarray(0, this.left);
      this.left -= part.length;
      if (!this.socket.write(part)) return;
    }
  }
}

const port = Number(process.argv[2]);
createServer({ noDelay: true }, (socket) => {
  new Connection(socket);
}).listen({ port, host: '127.0.0.1', backlog: 4_096 });
