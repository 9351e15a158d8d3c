import t from 'tap';
import { DrainState } from '../../proxy/server/drain.ts';
import { SYSTEM_RUNTIME } from '../../proxy/util/runtime.ts';

function at(now: { ms: number }, random: number): DrainState {
  return new DrainState({ ...SYSTEM_RUNTIME, nowMs: () => now.ms, random: () => random });
}

t.test('the share of goodbyes grows over the drain time', async (t) => {
  const now = { ms: 5 };
  const drain = at(now, 0.5);
  t.notOk(drain.drainClose('inbound'));
  drain.start(1000, 0, false);
  t.notOk(drain.drainClose('inbound'));
  now.ms += 501;
  t.ok(drain.drainClose('inbound'));
});

t.test('a worker that begins amid a drain is where the others are', async (t) => {
  const now = { ms: 5 };
  const drain = at(now, 0.5);
  drain.start(1000, 499, true);
  t.notOk(drain.drainClose('inbound'));
  now.ms += 2;
  t.ok(drain.drainClose('inbound'));
  t.notOk(drain.drainClose('outbound'));
});
