import t from 'tap';
import type { Runtime } from '../../proxy/util/runtime.ts';
import { TimerWheel } from '../../proxy/util/timer-wheel.ts';

/** A clock that moves only when told. */
class FakeRuntime implements Runtime {
  now = 0;
  pending: { at: number; fn: () => void }[] = [];
  nowMs(): number {
    return this.now;
  }
  random(): number {
    return 0.5;
  }
  after(ms: number, fn: () => void): () => void {
    const entry = { at: this.now + ms, fn };
    this.pending.push(entry);
    return () => {
      this.pending = this.pending.filter((e) => e !== entry);
    };
  }
  advance(ms: number, step = 10): void {
    const end = this.now + ms;
    while (this.now < end) {
      this.now = Math.min(end, this.now + step);
      for (const entry of this.pending.filter((e) => e.at <= this.now)) {
        this.pending = this.pending.filter((e) => e !== entry);
        entry.fn();
      }
    }
  }
}

t.test('fires once, never early, at most two ticks late', async (t) => {
  for (const ms of [0, 1, 99, 100, 101, 950, 5_000, 102_400, 250_000]) {
    const runtime = new FakeRuntime();
    runtime.now = 12_345;
    const wheel = new TimerWheel(runtime, 100);
    runtime.advance(777);
    const fired: number[] = [];
    const start = runtime.now;
    wheel.add(ms, () => fired.push(runtime.now - start));
    runtime.advance(ms + 1_000);
    t.equal(fired.length, 1, `${ms} ms fires once`);
    const late = (fired[0] as number) - ms;
    t.ok(late >= 0 && late <= 210, `${ms} ms is ${late} ms late`);
    t.equal(wheel.size, 0);
    runtime.advance(200);
    t.equal(runtime.pending.length, 0, 'no native timer while nothing is armed');
  }
});

t.test('refresh moves the deadline, cancel removes it, start may shorten it', async (t) => {
  const runtime = new FakeRuntime();
  const wheel = new TimerWheel(runtime, 100);
  let fired = 0;
  const timer = wheel.add(1_000, () => fired++);
  for (let i = 0; i < 300; i++) {
    runtime.advance(900);
    timer.refresh();
  }
  t.equal(fired, 0, 'refreshed over several turns of the wheel');
  timer.start(100_000);
  timer.start(200);
  runtime.advance(500);
  t.equal(fired, 1, 'shortened');
  timer.refresh();
  t.notOk(timer.armed, 'refresh does not arm');
  timer.start(300);
  timer.cancel();
  timer.cancel();
  runtime.advance(1_000);
  t.equal(fired, 1, 'cancelled');
});

t.test('an armed time can become shorter and longer, counted from its begin', async (t) => {
  const runtime = new FakeRuntime();
  const wheel = new TimerWheel(runtime, 100);
  const fired: number[] = [];
  const start = runtime.now;
  const timer = wheel.add(60_000, () => fired.push(runtime.now - start));
  runtime.advance(1_000);
  timer.resize(200_000);
  runtime.advance(70_000);
  t.same(fired, [], 'longer');
  timer.resize(80_000);
  runtime.advance(20_000);
  t.ok((fired[0] as number) >= 80_000 && (fired[0] as number) <= 80_210, `shorter: ${fired[0]}`);
  timer.resize(10);
  t.notOk(timer.armed, 'resizing does not arm');
  timer.start(50_000);
  runtime.advance(5_000);
  timer.resize(1_000);
  runtime.advance(200);
  t.equal(fired.length, 2, 'what should be over is over');
  timer.start(1_000);
  timer.resize(5_000);
  runtime.advance(3_000);
  timer.refresh();
  runtime.advance(4_000);
  t.equal(fired.length, 2, 'the new length is what is begun anew');
});

t.test('callbacks may cancel and arm each other', async (t) => {
  const runtime = new FakeRuntime();
  const wheel = new TimerWheel(runtime, 100);
  const log: string[] = [];
  const a = wheel.timer(() => {
    log.push('a');
    b.cancel();
    c.start(100);
  });
  const b = wheel.timer(() => {
    log.push('b');
    a.cancel();
    c.start(100);
  });
  const c = wheel.timer(() => log.push('c'));
  a.start(100);
  b.start(100);
  runtime.advance(1_000);
  t.equal(log.length, 2);
  t.equal(log[1], 'c');
});

t.test('a stalled event loop fires everything that became due', async (t) => {
  const runtime = new FakeRuntime();
  const wheel = new TimerWheel(runtime, 100);
  let fired = 0;
  for (let i = 0; i < 3_000; i++) wheel.add(i * 100, () => fired++);
  runtime.advance(100);
  runtime.advance(400_000, 400_000);
  t.equal(fired, 3_000);
});

t.test('what is armed or refreshed after a stall is measured from then', async (t) => {
  const runtime = new FakeRuntime();
  const wheel = new TimerWheel(runtime, 100);
  const fired: string[] = [];
  const armed = wheel.timer(() => fired.push(`armed ${runtime.now}`));
  const refreshed = wheel.add(1_000, () => fired.push(`refreshed ${runtime.now}`));
  wheel.add(2_000, () => fired.push(`earlier ${runtime.now}`));
  runtime.advance(500);
  // The loop hangs; then sockets are served before timers.
  runtime.now += 5_000;
  armed.start(1_000);
  refreshed.refresh();
  runtime.advance(900);
  t.same(fired, ['earlier 5510'], 'not early');
  runtime.advance(400);
  t.equal(fired.length, 3, 'two ticks late at most');
});

t.test('a callback that throws does not stop the wheel', async (t) => {
  const runtime = new FakeRuntime();
  const wheel = new TimerWheel(runtime, 100);
  let fired = 0;
  wheel.add(100, () => {
    throw new Error('boom');
  });
  wheel.add(500, () => fired++);
  t.throws(() => runtime.advance(1_000), /boom/);
  runtime.advance(1_000);
  t.equal(fired, 1);
});
