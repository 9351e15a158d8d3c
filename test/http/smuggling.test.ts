// Request smuggling through the whole proxy: whatever hides a second request in the first, the upstream never sees it.
// The first case is a plain pipelined request, which it must see: the test can fail.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import t from 'tap';
import { untilAtRest } from '../fixtures/process-rest.ts';
import { ADMIN, httpListener, startProxy, staticCluster } from '../fixtures/proxy.ts';

const HIDDEN = 'GET /hidden HTTP/1.1\r\nHost: evil\r\n\r\n';
const POST = 'POST /outer HTTP/1.1\r\nHost: a\r\n';
type Case = readonly [name: string, bytes: string, statuses: readonly number[]];

const chunkedBody = (body: string) => `${POST}Transfer-Encoding: chunked\r\n\r\n${body}`;
const HIDDEN_CHUNK = `${HIDDEN.length.toString(16)}\r\n${HIDDEN}\r\n0\r\n\r\n`;
const CASES: readonly Case[] = [
  ['length, and the hidden one inside the body', `${POST}Content-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`, [200]],
  ['GET with a body', `GET /outer HTTP/1.1\r\nHost: a\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`, [200]],
  ['chunk with the hidden one inside', chunkedBody(HIDDEN_CHUNK), [200]],
  [
    'CL.TE',
    `${POST}Content-Length: ${5 + HIDDEN.length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
    [400],
  ],
  ['TE.CL', `${POST}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${HIDDEN_CHUNK}`, [400]],
  ...[' chunked, identity', 'identity, chunked', 'chunked, chunked', 'xchunked', '"chunked"', 'chunked;q=1', ''].map(
    (te): Case => [`TE «${te}»`, `${POST}Transfer-Encoding: ${te}\r\n\r\n0\r\n\r\n${HIDDEN}`, [501]],
  ),
  ['TE twice', `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n${HIDDEN}`, [501]],
  ['TE with a vertical tab', `${POST}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n${HIDDEN}`, [400]],
  ['TE before a space and colon', `${POST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${HIDDEN}`, [400]],
  ['TE folded', `${POST}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${HIDDEN}`, [400, 501]],
  ['TE in 1.0', `POST /outer HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`, [426]],
  ['two lengths', `${POST}Content-Length: 0\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`, [400]],
  ['equal lengths', `${POST}Content-Length: 0\r\nContent-Length: 0\r\n\r\n${HIDDEN}`, [400]],
  ...['+0', '-0', '0x0', '0,0', '0 0', '', '0_', '1e0', '\u00b2', '18446744073709551616'].map(
    (length): Case => [`length «${length}»`, `${POST}Content-Length: ${length}\r\n\r\n${HIDDEN}`, [400]],
  ),
  ['length folded', `${POST}Content-Length: 0\r\n 1\r\n\r\n${HIDDEN}`, [400]],
  ['length before a space and colon', `${POST}Content-Length : 0\r\n\r\n${HIDDEN}`, [400]],
  ['length with NUL', `${POST}Content-Length: 0\0\r\n\r\n${HIDDEN}`, [400]],
  ['length behind a bare CR', `${POST}X: y\rContent-Length: 0\r\n\r\n${HIDDEN}`, [400]],
  ['a name with CR', `${POST}X\rContent-Length: 0\r\n\r\n${HIDDEN}`, [400]],
  ['hidden in a header value by CR LF LF', `${POST}X: y\r\r\n\r\n${HIDDEN}`, [400]],
  ['chunk size ended by LF', chunkedBody(`0\n\n${HIDDEN}`), [400]],
  ['chunk extension with LF', chunkedBody(`0;a\nb\r\n\r\n${HIDDEN}`), [400]],
  ['chunk extension with CR', chunkedBody(`0;a\rb\r\n\r\n${HIDDEN}`), [400]],
  ['chunk longer than said', chunkedBody(`1\r\nab\r\n0\r\n\r\n${HIDDEN}`), [400]],
  ['chunk without its line end', chunkedBody(`1\r\na0\r\n\r\n${HIDDEN}`), [400]],
  ['chunk ended by LF', chunkedBody(`1\r\na\n0\r\n\r\n${HIDDEN}`), [400]],
  ['chunk size 0x', chunkedBody(`0x0\r\n\r\n${HIDDEN}`), [400]],
  ['chunk size +', chunkedBody(`+0\r\n\r\n${HIDDEN}`), [400]],
  ['chunk size that overflows', chunkedBody(`10000000000000000\r\n\r\n${HIDDEN}`), [400]],
  ['chunk size that overflows to 0', chunkedBody(`100000000\r\n${HIDDEN}`), [200, 0]],
  ['no chunk size', chunkedBody(`\r\n${HIDDEN}`), [400]],
  ['a length among the trailers', chunkedBody(`0\r\nContent-Length: 5\r\n\r\n`), [200]],
  ['a trailer with a bare CR', chunkedBody(`0\r\nX: y\r\rGET /hidden HTTP/1.1\r\n\r\n`), [400]],
  ['two hosts', `GET /outer HTTP/1.1\r\nHost: a\r\nHost: evil\r\n\r\n`, [400]],
  ['an upgrade that is refused', `${POST}Connection: upgrade\r\nUpgrade: x\r\n\r\n${HIDDEN}`, [403]],
  ['CONNECT', `CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n${HIDDEN}`, [404]],
  ['a fake end inside the target', `GET /outer%0d%0a HTTP/1.1\r\nHost: a\r\n\r\n`, [200]],
];

/** Paths and bodies that the upstream received, by connection; it answers every request. */
class Upstream {
  readonly server: Server;
  paths: string[] = [];

  constructor() {
    this.server = createServer((socket) => this.serve(socket));
  }

  /** A strict little server: lengths and chunks as the proxy wrote them. */
  private serve(socket: Socket): void {
    let text = '';
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      for (let next = takeRequest(text); next !== null; next = takeRequest(text)) {
        this.paths.push(next.path);
        text = text.slice(next.bytes);
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
      }
    });
  }
}

function takeRequest(text: string): { readonly path: string; readonly bytes: number } | null {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0) return null;
  const path = text.split(' ', 2)[1] ?? '';
  let at = headEnd + 4;
  const head = text.slice(0, at);
  const length = /\r\ncontent-length: (\d+)\r\n/.exec(head);
  if (length !== null) at += Number(length[1]);
  else if (head.includes('\r\ntransfer-encoding: chunked\r\n')) {
    for (;;) {
      const lineEnd = text.indexOf('\r\n', at);
      if (lineEnd < 0) return null;
      const size = Number.parseInt(text.slice(at, lineEnd), 16);
      at = lineEnd + 4 + size;
      if (size === 0) break;
    }
  }
  return at > text.length ? null : { path, bytes: at };
}

/**
 * Sends bytes; resolves with what has come back when the proxy has done everything that it can.
 * @param silence there may be no answer: the request waits for more body
 */
async function exchange(port: number, pid: number, bytes: string, silence = false): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  let got = '';
  socket.on('data', (chunk) => {
    got += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(Buffer.from(bytes, 'latin1'));
  if (!silence) await Promise.race([once(socket, 'data'), once(socket, 'close')]);
  await untilAtRest(pid);
  socket.destroy();
  return got;
}

t.test('the upstream never sees the hidden request', async (t) => {
  const upstream = new Upstream();
  upstream.server.listen(0, '127.0.0.1');
  await once(upstream.server, 'listening');
  const proxy = await startProxy({
    admin: ADMIN,
    static_resources: {
      listeners: [httpListener('l', 'c')],
      clusters: [staticCluster('c', (upstream.server.address() as AddressInfo).port)],
    },
  });
  t.teardown(async () => {
    await proxy.stop();
    upstream.server.close();
  });
  const port = await proxy.portOf('l');
  const pid = proxy.process.pid ?? -1;

  await exchange(port, pid, `GET /outer HTTP/1.1\r\nHost: a\r\n\r\n${HIDDEN}`);
  t.same(upstream.paths, ['/outer', '/hidden'], 'a plain pipelined request is seen');

  for (const [name, bytes, statuses] of CASES) {
    upstream.paths = [];
    const answer = await exchange(port, pid, bytes, statuses.includes(0));
    const first = answer === '' ? 0 : Number(answer.slice(9, 12));
    t.ok(statuses.includes(first), `${name}: ${first}`);
    t.notOk(upstream.paths.includes('/hidden'), `${name}: not seen`);
    t.ok(upstream.paths.length <= 1, `${name}: at most one request seen`);
  }
});
