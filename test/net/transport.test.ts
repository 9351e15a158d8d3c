import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setImmediate as roundEnd } from 'node:timers/promises';
import t from 'tap';
import {
  enterTurn,
  FLUSHERS_MAX,
  flushAtRoundEnd,
  HELD_MAX,
  leaveTurn,
  ROUND_BYTES_MAX,
  Transport,
  type TransportHandler,
} from '../../proxy/net/transport.ts';

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

t.test('output that is gathered leaves once, before the event loop waits again', async (t) => {
  const log: string[] = [];
  let again = true;
  const second = { flushGathered: () => log.push('second') };
  const first = {
    flushGathered: () => {
      log.push('first');
      if (again) flushAtRoundEnd(second);
      again = false;
    },
  };
  enterTurn();
  flushAtRoundEnd(first);
  leaveTurn();
  t.same(log, [], 'what other sockets have to say may add to it');
  await roundEnd();
  t.same(log, ['first', 'second'], 'one that was woken by another leaves too');

  flushAtRoundEnd(first);
  flushAtRoundEnd(second);
  await roundEnd();
  t.same(log, ['first', 'second', 'first', 'second'], 'also outside a turn');
});

t.test('gathered output of many connections leaves with the turn', (t) => {
  let flushed = 0;
  const flusher = { flushGathered: () => void flushed++ };
  enterTurn();
  for (let i = 0; i < FLUSHERS_MAX; i++) flushAtRoundEnd(flusher);
  leaveTurn();
  t.equal(flushed, 0);
  enterTurn();
  enterTurn();
  flushAtRoundEnd(flusher);
  leaveTurn();
  t.equal(flushed, 0, 'an inner turn ends nothing');
  leaveTurn();
  t.equal(flushed, FLUSHERS_MAX + 1);
  t.end();
});

t.test('gathered output leaves with the turn that has read much, and before an end is told', async (t) => {
  const [accepted, peer] = await pair((close) => t.teardown(close));
  const log: string[] = [];
  const flusher = { flushGathered: () => log.push('flushed') };
  let told = (): void => {};
  const transport = new Transport(accepted, {
    ...IGNORE,
    onData: () => {
      flushAtRoundEnd(flusher);
      queueMicrotask(() => {
        log.push('turn over');
        told();
      });
    },
    onEnd: () => log.push('end'),
  });
  const send = async (bytes: Buffer): Promise<void> => {
    // What other tests have read is forgotten.
    flushAtRoundEnd({ flushGathered: () => {} });
    await roundEnd();
    log.length = 0;
    peer.write(bytes);
    await new Promise<void>((resolve) => {
      told = resolve;
    });
  };
  await send(Buffer.alloc(8));
  t.same(log, ['turn over']);
  await send(Buffer.alloc(16 * ROUND_BYTES_MAX));
  t.same(log.slice(0, 2), ['flushed', 'turn over']);

  await roundEnd();
  log.length = 0;
  flushAtRoundEnd(flusher);
  transport.socket.emit('end');
  t.same(log, ['flushed', 'end']);
  transport.destroy();
});

/** What arrives at a peer from now on. */
function heard(socket: Socket): () => string {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  return () => text;
}

function inTurn(act: () => void): void {
  enterTurn();
  act();
  leaveTurn();
}

t.test('heads and small bodies leave at the end of the round, in order, in one piece', async (t) => {
  const [accepted, peer] = await pair((close) => t.teardown(close));
  const text = heard(peer);
  const transport = new Transport(accepted, IGNORE);
  inTurn(() => transport.writeHead('a'));
  inTurn(() => {
    transport.writeHead('b');
    t.equal(transport.write(Buffer.from('c')), true);
  });
  t.equal(transport.bufferedBytes, 3);
  t.equal(transport.socket.bytesWritten, 0);
  await roundEnd();
  t.equal(transport.bufferedBytes, 0);
  t.equal(transport.socket.bytesWritten, 3);
  inTurn(() => transport.writeHead('d'));
  transport.write(Buffer.alloc(2_000, 'e'));
  t.equal(transport.socket.bytesWritten, 2_004, 'a larger body takes the head along at once');
  transport.writeHead('f');
  t.equal(transport.socket.bytesWritten, 2_005, 'as outside of turns');
  inTurn(() => transport.writeHead('g'));
  transport.end();
  await once(peer, 'end');
  t.equal(text(), `abcd${'e'.repeat(2_000)}fg`, 'an end goes behind what is held');
});

t.test('what an earlier turn wrote goes before a connection is destroyed, what this turn wrote does not', async (t) => {
  for (const [write, expected] of [
    [(transport: Transport) => inTurn(() => transport.writeHead('early')), 'early'],
    [() => {}, ''],
  ] as const) {
    const [accepted, peer] = await pair((close) => t.teardown(close));
    const text = heard(peer);
    const transport = new Transport(accepted, IGNORE);
    write(transport);
    inTurn(() => {
      if (expected === '') transport.writeHead('late');
      transport.destroy();
    });
    await once(peer, 'end');
    t.equal(text(), expected);
  }
});

t.test('heads of many connections leave with the turn', async (t) => {
  const [accepted] = await pair((close) => t.teardown(close));
  const transport = new Transport(accepted, IGNORE);
  const others = await Promise.all(Array.from({ length: HELD_MAX }, () => pair((close) => t.teardown(close))));
  const transports = others.map(([other]) => new Transport(other, IGNORE));
  const sent = (): number => transports.reduce((sum, { socket }) => sum + socket.bytesWritten, 0);
  inTurn(() => {
    for (const one of transports) one.writeHead('x');
  });
  t.equal(sent(), 0);
  inTurn(() => transport.writeHead('y'));
  t.equal(transport.socket.bytesWritten, 1);
  t.equal(sent(), HELD_MAX);
});
