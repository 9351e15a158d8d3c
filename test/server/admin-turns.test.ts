// Large admin answers take turns, and readers who leave or stall do not keep theirs.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import t from 'tap';
import { type AdminListener, openAdminListener } from '../../proxy/server/admin-listener.ts';
import { bugsSeen } from '../../proxy/util/error.ts';
import { fakeAdmin } from '../fixtures/admin-state.ts';

/** As in the source. */
const TURNS = 3;

function open(listener: AdminListener, text: string): Socket {
  const { address } = listener;
  const socket = connect(address.kind === 'socket' ? address.port : 0, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(text);
  return socket;
}

async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

t.test('three at a time; small answers do not wait; who stalls is dropped for others', async (t) => {
  let rendering = 0;
  let highest = 0;
  let finished = 0;
  function* large(): Generator<string> {
    highest = Math.max(highest, ++rendering);
    try {
      for (let i = 0; i < 2_000; i++) yield 'x'.repeat(10_000);
      finished++;
    } finally {
      rendering--;
    }
  }
  const { state } = fakeAdmin({
    configDump: async () => ({ status: 200, contentType: 'text/plain', body: large() }),
  });
  const listener = await openAdminListener(
    { kind: 'socket', protocol: 'tcp', address: '127.0.0.1', port: 0, ipv4Compat: false },
    state,
  );
  t.teardown(() => listener.close());
  const request = 'GET /config_dump HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n';
  const readers = Array.from({ length: 9 }, () => open(listener, request).pause());
  const gone = Promise.all(readers.map((reader) => once(reader, 'close')));
  await eventually(() => rendering === TURNS);
  const ready = open(listener, 'GET /ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  t.match(String((await once(ready, 'data'))[0]), /LIVE/);
  t.equal(rendering, TURNS, 'nobody reads, so the others wait');
  // The first three never read and lose their turns; the others read.
  for (const reader of readers.slice(TURNS)) reader.resume();
  await eventually(() => finished === readers.length - TURNS);
  for (const reader of readers) reader.resume();
  await gone;
  t.equal(rendering, 0);
  t.equal(highest, TURNS);
});

t.test('a peer that leaves within its request is no bug', async (t) => {
  const { state, stats } = fakeAdmin();
  const listener = await openAdminListener(
    { kind: 'socket', protocol: 'tcp', address: '127.0.0.1', port: 0, ipv4Compat: false },
    state,
  );
  t.teardown(() => listener.close());
  const before = bugsSeen();
  const active = (): number => Number([...stats.families()].flat().find((s) => s.name === ACTIVE)?.value ?? -1);
  const socket = open(listener, 'POST /logging HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\npart');
  await eventually(() => active() === 1);
  socket.resetAndDestroy();
  await eventually(() => active() === 0);
  t.equal(bugsSeen(), before);
});

const ACTIVE = 'http.admin.downstream_rq_active';
