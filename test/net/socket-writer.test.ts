// What is written arrives whole and in order, on clear text and under TLS, also when writes wait for each other.

import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net';
import { setImmediate as roundEnd } from 'node:timers/promises';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import t from 'tap';
import { SocketWriter } from '../../proxy/net/socket-writer.ts';
import { makeCa } from '../fixtures/pki.ts';

interface Ends {
  readonly writer: SocketWriter;
  readonly near: Socket;
  readonly far: Socket;
  readonly drains: () => number;
}

const issued = makeCa().issue({ dns: ['a.example'] });

async function ends(kind: 'clear' | 'tls', teardown: (close: () => void) => void): Promise<Ends> {
  const options = { allowHalfOpen: true };
  const server =
    kind === 'clear' ? createServer(options) : createTlsServer({ ...options, cert: issued.chain, key: issued.key });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const where = { port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true };
  const accepted = once(server, kind === 'clear' ? 'connection' : 'secureConnection');
  const near = kind === 'clear' ? connectTcp(where) : connectTls({ ...where, rejectUnauthorized: false });
  const [far] = (await accepted) as [Socket];
  if (kind === 'clear' && near.connecting) await once(near, 'connect');
  if (kind === 'tls' && near.connecting) await once(near, 'secureConnect');
  near.on('error', () => {});
  far.on('error', () => {});
  let drains = 0;
  const writer = new SocketWriter(near, () => void drains++);
  near.on('close', () => writer.drop());
  teardown(() => {
    near.destroy();
    far.destroy();
    server.close();
  });
  return { writer, near, far, drains: () => drains };
}

async function received(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(socket, 'end');
  return Buffer.concat(chunks).toString('latin1');
}

for (const kind of ['clear', 'tls'] as const) {
  t.test(`${kind}: pieces of one turn arrive in order, and the end behind them`, async (t) => {
    const { writer, far } = await ends(kind, (close) => t.teardown(close));
    const big = Buffer.alloc(100_000, 'b');
    let given = 0;
    const giveBack = (): void => void given++;
    let expected = '';
    for (let i = 0; i < 50; i++) {
      writer.write(`head ${i} \xe9`, null);
      writer.write(Buffer.from(`bytes ${i}`), giveBack);
      expected += `head ${i} \xe9bytes ${i}`;
    }
    writer.writeParts('<', big, giveBack, '>');
    writer.writeParts('(', Buffer.from('small'), giveBack, '');
    writer.end();
    expected += `<${'b'.repeat(100_000)}>(small`;
    t.equal(await received(far), expected);
    t.equal(given, 52, 'every buffer comes back');
    t.equal(writer.bufferedBytes, 0);
  });

  t.test(`${kind}: above the watermark a drain follows, once, when everything is away`, async (t) => {
    const { writer, near, far, drains } = await ends(kind, (close) => t.teardown(close));
    far.pause();
    const chunk = Buffer.alloc(65_536, 'x');
    let written = 0;
    // Under TLS a write is under way until the loop comes round, whatever the kernel takes.
    while (!writer.congested && written < 256 * 1024 * 1024) {
      while (writer.write(chunk, null)) written += chunk.length;
      written += chunk.length;
      await roundEnd();
      await roundEnd();
    }
    t.ok(writer.congested, `the kernel has taken ${written} bytes`);
    t.ok(writer.bufferedBytes >= near.writableHighWaterMark);
    const before = drains();
    let total = 0;
    far.on('data', (data: Buffer) => {
      total += data.length;
    });
    far.resume();
    while (drains() === before) await once(far, 'data');
    t.equal(writer.congested, false);
    t.equal(writer.bufferedBytes, 0);
    writer.destroySoon();
    await once(far, 'end');
    t.equal(total, written);
    t.equal(drains(), before + 1);
  });

  t.test(`${kind}: a socket that goes gives everything back`, async (t) => {
    const { writer, near, far } = await ends(kind, (close) => t.teardown(close));
    far.pause();
    let given = 0;
    let lent = 0;
    const chunk = Buffer.alloc(65_536);
    while (lent < 1_000) {
      lent++;
      if (!writer.write(chunk, () => void given++)) break;
    }
    for (let i = 0; i < 5; i++) writer.write(chunk, () => void given++);
    near.destroy();
    await once(near, 'close');
    t.equal(given, lent + 5);
    t.equal(writer.write(chunk, null), true, 'what comes later is for nobody');
  });

  t.test(`${kind}: a peer that is gone is an error of the socket`, async (t) => {
    const { writer, near, far } = await ends(kind, (close) => t.teardown(close));
    near.pause();
    const failed = new Promise<NodeJS.ErrnoException>((resolve) => near.once('error', resolve));
    far.destroy();
    // The first write is answered with a reset, a later one fails.
    const timer = setInterval(() => writer.write('x', null), 5);
    t.teardown(() => clearInterval(timer));
    const error = await failed;
    t.match(error.code, /^(EPIPE|ECONNRESET)$/);
    t.equal(near.destroyed, true);
  });
}
