// Keepalive PINGs on a clock of the test's own. The times were read off Envoy 1.40's frames.

import t from 'tap';
import { type KeepaliveLimits, PingKeepalive } from '../../proxy/util/ping-keepalive.ts';
import type { Runtime } from '../../proxy/util/runtime.ts';
import { TimerWheel } from '../../proxy/util/timer-wheel.ts';

/** A clock that stands until it is moved. */
class Clock implements Runtime {
  now = 0;
  dice = 0;
  private readonly timers = new Set<{ readonly at: number; readonly fn: () => void }>();

  nowMs(): number {
    return this.now;
  }
  random(): number {
    return this.dice;
  }
  after(ms: number, fn: () => void): () => void {
    const timer = { at: this.now + ms, fn };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }
  move(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const due = [...this.timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.timers.delete(due);
      this.now = due.at;
      due.fn();
    }
    this.now = end;
  }
}

function rig(limits: Partial<KeepaliveLimits>, dice = 0) {
  const clock = new Clock();
  clock.dice = dice;
  const log: string[] = [];
  const keepalive = new PingKeepalive(
    { intervalMs: 0, timeoutMs: 100, jitterPercent: 15, idleIntervalMs: 0, ...limits },
    clock,
    new TimerWheel(clock),
    {
      sendPing: () => log.push(`ping ${clock.now}`),
      onPingTimeout: () => log.push(`dead ${clock.now}`),
    },
  );
  return { clock, log, keepalive };
}

t.test('an answer starts the next interval', async (t) => {
  const { clock, log, keepalive } = rig({ intervalMs: 200 });
  clock.move(250);
  keepalive.onAnswer();
  clock.move(200);
  t.same(log, ['ping 200', 'ping 450']);
});

t.test('no answer ends the connection', async (t) => {
  const { clock, log } = rig({ intervalMs: 200 });
  clock.move(300);
  t.same(log, ['ping 200', 'dead 300']);
});

t.test('other bytes put the time-out off, but not for ever', async (t) => {
  const { clock, log, keepalive } = rig({ intervalMs: 200 });
  clock.move(280);
  keepalive.onBytes();
  clock.move(99);
  t.same(log, ['ping 200']);
  clock.move(1);
  t.same(log, ['ping 200', 'dead 380']);
});

t.test('chance makes an interval longer, in whole percents below the limit', async (t) => {
  const { clock, log } = rig({ intervalMs: 200 }, 0.999);
  clock.move(227);
  t.same(log, []);
  clock.move(1);
  t.same(log, ['ping 228']);
});

t.test('a request after a long silence is preceded by a PING', async (t) => {
  const { clock, log, keepalive } = rig({ idleIntervalMs: 50 });
  clock.move(50);
  keepalive.beforeStream();
  t.same(log, []);
  clock.move(1);
  keepalive.beforeStream();
  t.same(log, ['ping 51']);
  keepalive.onBytes();
  keepalive.onAnswer();
  keepalive.beforeStream();
  clock.move(1_000);
  t.same(log, ['ping 51'], 'and by nothing else when there is no interval');
});

t.test('stopped', async (t) => {
  const { clock, log, keepalive } = rig({ intervalMs: 200 });
  clock.move(200);
  keepalive.stop();
  clock.move(1_000);
  t.same(log, ['ping 200']);
});
