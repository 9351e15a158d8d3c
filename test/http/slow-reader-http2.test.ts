// Bodies from and to HTTP/2 whose other side reads slowly over HTTP/1: every byte arrives, in its place and its client's.

import { once } from 'node:events';
import {
  connect as connectHttp2,
  createServer as createHttp2Server,
  type Http2Stream,
  type ServerHttp2Stream,
} from 'node:http2';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import t from 'tap';
import { frame } from '../fixtures/h2-corpus.ts';
import { ADMIN, httpListener, type RunningProxy, startProxy, staticCluster } from '../fixtures/proxy.ts';

const MIB = 1024 * 1024;
const DOWNLOAD_BYTES = 10 * MIB;
const UPLOAD_BYTES = 12 * MIB;
const RESET_BYTES = 8 * MIB;
const PIECE_BYTES = 16_384;
/** Between two reads of a slow reader, milliseconds. */
const PAUSE_MS = 2;
/** Between two looks at a stat, milliseconds. */
const POLL_MS = 25;

/** A piece of which every eight bytes tell their place and whose they are. */
function pieceAt(at: number, tag: number): Buffer {
  const words = new Uint32Array(PIECE_BYTES / 4);
  for (let i = 0; i < words.length; i += 2) {
    words[i] = at / 8 + i / 2;
    words[i + 1] = tag;
  }
  return Buffer.from(words.buffer);
}

function pour(stream: Http2Stream, total: number, tag: number): void {
  let at = 0;
  const push = (): void => {
    while (at < total) {
      const more = stream.write(pieceAt(at, tag));
      at += PIECE_BYTES;
      if (!more) {
        stream.once('drain', push);
        return;
      }
    }
    stream.end();
  };
  stream.on('error', () => {});
  push();
}

/** Reads a message slowly. @returns body bytes and how many words were not where they belong */
async function readWords(socket: Socket, total: number, tag: (head: string) => number): Promise<[number, number]> {
  let head: string | null = null;
  let rest: Buffer = Buffer.alloc(0);
  let want = 0;
  let at = 0;
  let wrong = 0;
  await new Promise<void>((resolve) => {
    socket.on('close', resolve);
    socket.on('data', (bytes) => {
      rest = rest.length === 0 ? (bytes as Buffer) : Buffer.concat([rest, bytes as Buffer]);
      if (head === null) {
        const end = rest.indexOf('\r\n\r\n');
        if (end < 0) return;
        head = rest.toString('latin1', 0, end);
        want = tag(head);
        rest = rest.subarray(end + 4);
      }
      let i = 0;
      for (; i + 8 <= rest.length; i += 8, at += 8)
        if (rest.readUInt32LE(i) !== at / 8 || rest.readUInt32LE(i + 4) !== want) wrong++;
      rest = rest.subarray(i);
      socket.pause();
      void setTimeout(PAUSE_MS).then(() => socket.resume());
      if (at >= total) resolve();
    });
  });
  return [at, wrong];
}

const HTTP2_UPSTREAM = {
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
      explicit_http_config: { http2_protocol_options: {} },
    },
  },
};

/** Answers with every byte in its place. */
function pouringHost(): Server {
  const server = createHttp2Server();
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.respond({ ':status': 200, 'content-length': String(DOWNLOAD_BYTES) });
    pour(stream, DOWNLOAD_BYTES, 7);
  });
  return server as unknown as Server;
}

/** Reads uploads slowly: what it read of each, and what of it was wrong. */
const uploads: [number, number][] = [];

function slowHost(): Server {
  return createServer((socket) => {
    socket.on('error', () => {});
    void readWords(socket, UPLOAD_BYTES, (head) => Number(/^POST \/(\d+)/.exec(head)?.[1])).then((read) => {
      uploads.push(read);
      socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
    });
  });
}

/** Answers every request by a whole body and a reset behind it, in one go. */
function resettingHost(code: number): Server {
  const reset = Buffer.alloc(4);
  reset.writeUInt32BE(code);
  return createServer((socket) => {
    socket.on('error', () => {});
    socket.write(Buffer.concat([frame(4, 0, 0), frame(4, 1, 0)]));
    let input = Buffer.alloc(0);
    let at = 24;
    socket.on('data', (bytes) => {
      input = Buffer.concat([input, bytes as Buffer]);
      for (; input.length >= at + 9; at += 9 + input.readUIntBE(at, 3)) {
        const id = input.readUInt32BE(at + 5);
        if (input[at + 3] !== 1) continue;
        socket.write(frame(1, 4, id, Buffer.from([0x88])));
        for (let i = 0; i < RESET_BYTES; i += PIECE_BYTES)
          socket.write(frame(0, i + PIECE_BYTES < RESET_BYTES ? 0 : 1, id, pieceAt(i, 7)));
        socket.write(frame(3, 0, id, reset));
      }
    });
  });
}

const servers = { pouring: pouringHost(), slow: slowHost(), reset0: resettingHost(0), reset8: resettingHost(8) };
type HostName = keyof typeof servers;
const names = Object.keys(servers) as HostName[];

async function started(): Promise<RunningProxy> {
  const clusters: object[] = [];
  for (const name of names) {
    const server = servers[name].listen(0, '127.0.0.1');
    await once(server, 'listening');
    const port = (server.address() as AddressInfo).port;
    clusters.push({ ...staticCluster(name, port), ...(name === 'slow' ? {} : HTTP2_UPSTREAM) });
  }
  const listeners = names.map((name) => httpListener(name, name));
  return startProxy({ admin: ADMIN, static_resources: { listeners, clusters } });
}

const proxy = await started();
t.teardown(async () => {
  await proxy.stop('SIGKILL');
  for (const name of names) servers[name].close();
});

async function client(test: Tap, name: HostName, head: string): Promise<Socket> {
  const socket = connect(await proxy.portOf(name), '127.0.0.1');
  socket.on('error', () => {});
  test.teardown(() => void socket.destroy());
  socket.write(head);
  return socket;
}

interface Tap {
  teardown(fn: () => void): void;
}

t.test('an HTTP/2 answer to a slow reader', async (t) => {
  const socket = await client(t, 'pouring', 'GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  t.same(await readWords(socket, DOWNLOAD_BYTES, () => 7), [DOWNLOAD_BYTES, 0]);
});

t.test('two HTTP/2 uploads to a slow host', async (t) => {
  const port = await proxy.portOf('slow');
  const upload = async (tag: number): Promise<unknown> => {
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    session.on('error', () => {});
    t.teardown(() => session.destroy());
    const length = String(UPLOAD_BYTES);
    const stream = session.request({ ':method': 'POST', ':path': `/${tag}`, 'content-length': length });
    pour(stream, UPLOAD_BYTES, tag);
    const [headers] = await once(stream, 'response');
    return headers[':status'];
  };
  t.same(await Promise.all([upload(10), upload(11)]), [200, 200]);
  t.same(uploads, Array(2).fill([UPLOAD_BYTES, 0]));
});

const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
const UNENDED = 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nx';
/** All frames of an answer with its reset, and the two SETTINGS before the first one. */
const ANSWER_BYTES = 9 + 1 + RESET_BYTES + (RESET_BYTES / PIECE_BYTES) * 9 + 9 + 4;
const SETTINGS_BYTES = 9 + 9;

// What Envoy 1.40 does for the same host and reader.
const RESETS: readonly [name: string, host: 'reset0' | 'reset8', head: string, whole: boolean][] = [
  ['no error', 'reset0', GET, true],
  ['cancel', 'reset8', GET, true],
  ['no error, before the end of the request', 'reset0', UNENDED, true],
  ['cancel, before the end of the request', 'reset8', UNENDED, false],
];

for (const [name, host, head, whole] of RESETS)
  t.test(`a reset behind a whole answer: ${name}`, async (t) => {
    const stat = (which: string): Promise<number> => proxy.stat(`cluster.${host}.${which}`);
    const before = (await stat('upstream_cx_rx_bytes_total')) || SETTINGS_BYTES;
    const socket = await client(t, host, head);
    socket.pause();
    while ((await stat('upstream_cx_rx_bytes_total')) < before + ANSWER_BYTES) await setTimeout(POLL_MS);
    let received = 0;
    let tail = '';
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length;
      tail = (tail + chunk.toString('latin1', Math.max(0, chunk.length - 5))).slice(-5);
      if (tail === '0\r\n\r\n') socket.destroy();
    });
    socket.resume();
    await once(socket, 'close');
    t.equal(received > RESET_BYTES, whole, `${received} bytes`);
    t.equal(await stat('upstream_rq_rx_reset'), whole ? 0 : 1);
  });
