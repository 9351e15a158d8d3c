import t from 'tap';
import { beginTurn, endTurn, SYSTEM_RUNTIME } from '../../proxy/util/runtime.ts';

/** Lets the real clock move on. */
function spin(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

t.test('the clock is read now and then within a turn, and each time outside', (t) => {
  const { nowMs } = SYSTEM_RUNTIME;
  const before = nowMs();
  spin(2);
  t.ok(nowMs() >= before + 2, 'outside');
  beginTurn();
  const first = nowMs();
  spin(2);
  t.equal(nowMs(), first, 'one reading is shared');
  let readings = 2;
  while (nowMs() === first && readings < 10_000) readings++;
  t.ok(readings <= 32, `not for ever: ${readings}`);
  t.ok(nowMs() >= first + 2, 'what is read then is real');
  endTurn();
  spin(2);
  beginTurn();
  t.ok(nowMs() >= first + 4, 'a turn begins with a reading of its own');
  endTurn();
  t.end();
});
