// The session against another implementation, `node:http2`, in both roles.
import { once } from 'node:events';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import t from 'tap';
import { HeaderMap } from '../../proxy/codec/headers.ts';
import type { H2Stream } from '../../proxy/codec/http2.ts';
import type { Http2Session } from '../../proxy/codec/http2-session.ts';
import { sessionOn } from '../fixtures/h2.ts';

const BODY_BYTES = 1_000_000;

function headers(entries: Readonly<Record<string, string>>): HeaderMap {
  const map = new HeaderMap();
  for (const [name, value] of Object.entries(entries)) map.add(name, value);
  return map;
}

t.test('as a server', async (t) => {
  const over: number[] = [];
  const server = net.createServer((socket) => {
    const session: Http2Session = sessionOn(
      socket,
      false,
      {},
      {
        onRequest(stream, head, endStream) {
          stream.user = 0;
          const { names, values } = head.headers;
          session.informational(stream, 103, headers({ link: '</x>' }));
          const echo = headers({ 'x-head': `${head.method} ${head.scheme} ${head.authority} ${head.path}` });
          for (let i = 0; i < names.length; i++) echo.add(`x-${names[i]}`, values[i] as string);
          session.respond(stream, 200, echo, false);
          if (endStream) session.sendData(stream, Buffer.from('none'), true);
        },
        onData(stream, chunk, endStream) {
          stream.user = (stream.user as number) + chunk.length;
          if (!session.sendData(stream, chunk, false)) session.hold(stream);
          if (endStream) session.sendTrailers(stream, headers({ 'x-bytes': String(stream.user) }));
        },
        onWritable: (stream) => session.release(stream),
        onStreamOver: (stream) => over.push(stream.id),
      },
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = http2.connect(`http://127.0.0.1:${port}`);
  const bare = client.request({ ':path': '/bare?q', cookie: ['a=1', 'b=2'], 'x-long': 'y'.repeat(3_000) });
  let hints: unknown;
  bare.on('headers', (early) => {
    hints = early['link'];
  });
  const [answer] = (await once(bare, 'response')) as [http2.IncomingHttpHeaders];
  t.equal(hints, '</x>');
  t.equal(answer['x-head'], `GET http 127.0.0.1:${port} /bare?q`);
  t.equal(answer['x-cookie'], 'a=1; b=2');
  t.equal(String(answer['x-x-long']).length, 3_000);
  bare.setEncoding('latin1');
  t.equal((await bare.toArray()).join(''), 'none');
  const uploads = [0, 1, 2].map(async () => {
    const stream = client.request({ ':method': 'POST', ':path': '/echo' });
    let received = 0;
    let trailers: http2.IncomingHttpHeaders = {};
    stream.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    stream.on('trailers', (got) => {
      trailers = got;
    });
    stream.end(Buffer.alloc(BODY_BYTES, 'x'));
    await once(stream, 'end');
    t.equal(received, BODY_BYTES);
    t.equal(trailers['x-bytes'], String(BODY_BYTES));
  });
  await Promise.all(uploads);
  client.close();
  await once(client, 'close');
  t.same(
    over.sort((a, b) => a - b),
    [1, 3, 5, 7],
    'every stream is over',
  );
  server.close();
});

t.test('as a client', async (t) => {
  const server = http2.createServer((request, response) => {
    let received = 0;
    request.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    request.on('end', () => {
      response.addTrailers({ 'x-bytes': String(received) });
      response.writeHead(200, { 'x-path': request.url });
      response.end(Buffer.alloc(BODY_BYTES, 'y'));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
  const done = Promise.withResolvers<void>();
  const seen: string[] = [];
  let over = 0;
  const session = sessionOn(
    socket,
    true,
    {},
    {
      onResponse(stream, status, got) {
        seen.push(`${stream.id} ${status} ${got.get('x-path')}`);
      },
      onData(stream, chunk) {
        stream.user = (stream.user as number) + chunk.length;
      },
      onTrailers(stream, trailers) {
        seen.push(`${stream.id} ${stream.user} ${trailers.get('x-bytes')}`);
      },
      onStreamOver() {
        if (++over === 3) session.ping(0x0123_4567_89ab_cdefn);
      },
      onPingAck(payload) {
        t.equal(payload, 0x0123_4567_89ab_cdefn);
        done.resolve();
      },
    },
  );
  for (let i = 0; i < 3; i++) {
    const stream = session.request('POST', 'http', 'h', '/up', '', new HeaderMap(), false, 0) as H2Stream;
    session.sendData(stream, Buffer.alloc(BODY_BYTES, 'q'), true);
  }
  await done.promise;
  t.same(seen.sort(), [1, 3, 5].flatMap((id) => [`${id} 200 /up`, `${id} ${BODY_BYTES} ${BODY_BYTES}`]).sort());
  socket.destroy();
  server.close();
});
