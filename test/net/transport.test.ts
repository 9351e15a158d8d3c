import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import t from 'tap';
import { enterTurn, flushAtTurnEnd, leaveTurn, Transport, type TransportHandler } from '../../proxy/net/transport.ts';

const IGNORE: TransportHandler = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };
/** More than the kernel's buffers take, so that most of it must wait in ours. */
const TOTAL_BYTES = 24 * 1024 * 1024;

/** Both ends of a connection; the first one is the accepted one. */
async function pair(teardown: (close: () => void) => void): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  const [accepted] = (await once(server, 'connection')) as [Socket];
  teardown(() => {
    client.destroy();
    server.close();
  });
  return [accepted, client];
}

type Send = (to: Transport, chunk: Buffer) => boolean;

/** Every byte tells its place, with a period that no buffer size shares. */
function pattern(start: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) bytes[i] = (start + i) % 251;
  return bytes;
}

const WAYS: readonly (readonly [string, number, Send])[] = [
  ['write', 0, (to, chunk) => to.write(chunk)],
  [
    'write behind a head',
    1,
    (to, chunk) => {
      to.writeHead('\n');
      return to.write(chunk);
    },
  ],
  ['writeFramed', 2, (to, chunk) => to.writeFramed('\n', chunk, '\n')],
];

for (const [name, extra, send] of WAYS)
  t.test(`${name}: bytes that wait for a slow peer are not overwritten by later reads`, async (t) => {
    const [inner, client] = await pair((close) => t.teardown(close));
    const [outer, reader] = await pair((close) => t.teardown(close));
    // Stopped until our own buffer has filled.
    reader.pause();
    const to: Transport = new Transport(outer, { ...IGNORE, onDrain: () => from.release() });
    let pieces = 0;
    const from: Transport = new Transport(inner, {
      ...IGNORE,
      onData: (chunk) => {
        pieces++;
        if (!send(to, chunk)) {
          from.hold();
          setImmediate(() => reader.resume());
        }
        // What the next read, of whichever socket, does to it.
        chunk.fill(255);
      },
      onEnd: () => to.end(),
    });
    client.end(pattern(0, TOTAL_BYTES));
    let received = 0;
    let wrong = 0;
    reader.on('data', (chunk: Buffer) => {
      for (const byte of chunk) {
        // Line feeds are what the frames add; the pattern's own (10) are counted by the total.
        if (byte === received % 251) received++;
        else if (byte !== 10) wrong++;
      }
    });
    await once(reader, 'end');
    t.equal(wrong, 0, 'bytes out of place');
    t.equal(received, TOTAL_BYTES);
    t.equal(to.bytesWritten, TOTAL_BYTES + pieces * extra);
    t.ok(pieces > 100, `${pieces} pieces`);
    from.destroy();
    to.destroy();
  });

t.test('output that is gathered leaves once, when the outermost turn ends', async (t) => {
  const log: string[] = [];
  let again = true;
  const second = { flushTurn: () => log.push('second') };
  const first = {
    flushTurn: () => {
      log.push('first');
      if (again) flushAtTurnEnd(second);
      again = false;
    },
  };
  enterTurn();
  enterTurn();
  flushAtTurnEnd(first);
  leaveTurn();
  t.same(log, [], 'an inner turn ends nothing');
  leaveTurn();
  t.same(log, ['first', 'second'], 'one that was woken by another leaves too');

  flushAtTurnEnd(first);
  flushAtTurnEnd(second);
  t.same(log.length, 2, 'outside a turn it waits for the end of the callback');
  await Promise.resolve();
  t.same(log, ['first', 'second', 'first', 'second']);
});
