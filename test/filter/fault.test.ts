// Faults: the pace of slow responses, shares, limits across workers. What is expected was seen on Envoy 1.40.

import t from 'tap';
import type { HeaderMap } from '../../proxy/codec/headers.ts';
import { lowerFault } from '../../proxy/config/lower/fault.ts';
import { runtimeEntries } from '../../proxy/config/lower/runtime.ts';
import type { Model } from '../../proxy/config/model/model.ts';
import { compileFault } from '../../proxy/filter/fault.ts';
import type { FilterEnv, SharedCount } from '../../proxy/filter/filter.ts';
import { FilterRun } from '../../proxy/filter/run.ts';
import { SharedGates } from '../../proxy/listener/shared-gates.ts';
import { WorkerStats } from '../../proxy/observe/stats-store.ts';
import type { Runtime } from '../../proxy/util/runtime.ts';
import { TimerWheel } from '../../proxy/util/timer-wheel.ts';
import { type FakeStream, fakeStream, headersOf } from '../fixtures/filtered-stream.ts';
import { decode } from '../fixtures/lower.ts';

const ALWAYS = { percentage: { numerator: 100 } };

/** A clock that is moved by hand. */
class Clock implements Runtime {
  now = 0;
  drawn = 0;
  readonly timers: { readonly at: number; readonly fire: () => void }[] = [];

  nowMs(): number {
    return this.now;
  }

  random(): number {
    return this.drawn;
  }

  after(ms: number, fire: () => void): () => void {
    const timer = { at: this.now + ms, fire };
    this.timers.push(timer);
    return () => {
      const at = this.timers.indexOf(timer);
      if (at >= 0) this.timers.splice(at, 1);
    };
  }

  /** Fires what is due on the way. */
  advance(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const next = this.timers.filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.timers.splice(this.timers.indexOf(next), 1);
      this.now = next.at;
      next.fire();
    }
    this.now = until;
  }
}

interface World {
  readonly clock: Clock;
  readonly stats: WorkerStats;
  /** A request, as far as filters let it go. */
  request(headers?: HeaderMap): { readonly run: FilterRun; readonly stream: FakeStream };
  stat(name: string): number;
}

const ALONE: SharedCount = { sum: () => 0, add: () => {} };

function world(
  json: object,
  activeFaults: SharedCount = ALONE,
  values: { readonly [key: string]: number } = {},
): World {
  const clock = new Clock();
  const stats = new WorkerStats(() => {});
  const env: FilterEnv = {
    stats,
    runtime: clock,
    wheel: new TimerWheel(clock),
    runtimeKeys: runtimeEntries(values),
    statPrefix: 'http.x.',
    activeFaults,
  };
  const model = lowerFault(decode('envoy.extensions.filters.http.fault.v3.HTTPFault', json), 'p');
  const filter = compileFault(env, 'fault')(model);
  if (filter === null) throw new Error('nothing to inject');
  return {
    clock,
    stats,
    request: (requestHeaders = headersOf({})) => {
      const stream = fakeStream({ requestHeaders });
      const run = new FilterRun([filter], stream);
      run.requestHead(requestHeaders, true);
      return { run, stream };
    },
    stat: (name) => stats.cell(`http.x.fault.${name}`, name === 'active_faults' ? 'g' : 'c')[0] as number,
  };
}

/** Bytes of body that have gone on, per portion. */
const portions = (stream: FakeStream): readonly number[] =>
  stream.log.filter((line) => line.startsWith('body ')).map((line) => line.replace(/^body | ?end$/g, '').length);

t.test('a slow response leaves in portions of a twentieth of a second', async (t) => {
  const { clock, request, stat } = world({ response_rate_limit: { fixed_limit: { limit_kbps: 1 }, ...ALWAYS } });
  const { run, stream } = request();
  run.responseHead(200, headersOf({}), false);
  run.responseData(Buffer.alloc(150, 'x'), true);
  t.same(portions(stream), [51], 'what flows in within 50 ms is there at the beginning');
  clock.advance(49);
  t.same(portions(stream), [51]);
  clock.advance(1);
  t.same(portions(stream), [51, 51]);
  clock.advance(50);
  t.same(portions(stream), [51, 51, 48]);
  t.match(stream.log.at(-1), / end$/);
  t.same([stat('response_rl_injected'), stat('active_faults')], [1, 1]);
  run.finish();
  t.equal(stat('active_faults'), 0);
});

t.test('what is not used within a second is lost', async (t) => {
  const { clock, request } = world({ response_rate_limit: { fixed_limit: { limit_kbps: 1 }, ...ALWAYS } });
  const { run, stream } = request();
  run.responseHead(200, headersOf({}), false);
  clock.advance(10_000);
  run.responseData(Buffer.alloc(1_100, 'x'), false);
  t.same(portions(stream), [1_024]);
});

t.test('the sender of a slow response waits above the limit and goes on at half of it', async (t) => {
  const { clock, request } = world({ response_rate_limit: { fixed_limit: { limit_kbps: 10 }, ...ALWAYS } });
  const { run, stream } = request();
  run.responseHead(200, headersOf({}), false);
  t.equal(run.responseData(Buffer.alloc(512 + 1_024, 'x'), false), true, 'at the limit');
  t.equal(run.responseData(Buffer.alloc(1, 'x'), false), false, 'above it');
  clock.advance(50);
  t.notOk(stream.log.includes('resume'), '513 bytes wait');
  clock.advance(50);
  t.ok(stream.log.includes('resume'));
});

t.test('trailers come after the body that waits', async (t) => {
  const { clock, request } = world({ response_rate_limit: { fixed_limit: { limit_kbps: 1 }, ...ALWAYS } });
  const { run, stream } = request();
  run.responseHead(200, headersOf({}), false);
  run.responseData(Buffer.alloc(60, 'x'), false);
  run.responseTrailers(headersOf({ t: '1' }));
  t.notOk(stream.log.includes('trailers sent'));
  clock.advance(50);
  t.equal(stream.log.at(-1), 'trailers sent');
  run.finish();
  t.equal(clock.timers.length, 0);
});

t.test('a response without a body that waits ends at once', async (t) => {
  const { request } = world({ response_rate_limit: { fixed_limit: { limit_kbps: 1 }, ...ALWAYS } });
  const { run, stream } = request();
  run.responseHead(200, headersOf({}), false);
  run.responseData(Buffer.alloc(0), true);
  t.same(stream.log.slice(-1), ['body  end']);
});

t.test('a delay ends with the request', async (t) => {
  const { clock, request, stat } = world({ delay: { fixed_delay: '2s', ...ALWAYS } });
  const { run, stream } = request();
  clock.advance(1_999);
  t.same(stream.log, []);
  run.finish();
  clock.advance(10);
  t.same([stream.log, clock.timers.length, stat('active_faults'), stat('delays_injected')], [[], 0, 0, 1]);
  const other = request();
  clock.advance(2_000);
  t.same(other.stream.log, ['route end']);
});

t.test('shares are drawn per request', async (t) => {
  const half = { percentage: { numerator: 5_000, denominator: 'TEN_THOUSAND' } };
  const { clock, request, stat } = world({ abort: { http_status: 503, ...half } });
  for (const drawn of [0, 0.4999, 0.5, 0.9999]) {
    clock.drawn = drawn;
    request();
  }
  t.equal(stat('aborts_injected'), 2);
});

t.test('the limit holds for all workers, and a worker that dies gives back what it had', async (t) => {
  const scopes = ['http.w.', 'http.x.'];
  const memory = SharedGates.allocate({ listeners: [{ gates: 3 }], faultScopes: scopes } as unknown as Model, 2);
  const gates = [0, 1].map((worker) => new SharedGates(memory, 2, worker));
  const of = (worker: number, prefix: string): SharedCount => (gates[worker] as SharedGates).faults(scopes, prefix);
  const config = { delay: { fixed_delay: '1s', ...ALWAYS }, max_active_faults: 1 };
  const [one, two, elsewhere] = [
    world(config, of(0, 'http.x.')),
    world(config, of(1, 'http.x.')),
    world(config, of(1, 'http.w.')),
  ];
  const first = one.request();
  t.same(first.stream.log, []);
  t.same(two.request().stream.log, ['route end'], 'one is going on in the other worker');
  t.same([two.stat('faults_overflow'), two.stat('active_faults')], [1, 0]);
  t.same(elsewhere.request().stream.log, [], 'another stat prefix');
  (gates[1] as SharedGates).clearWorker(0);
  t.same(two.request().stream.log, []);
  first.run.finish();
});

t.test('the runtime may limit too', async (t) => {
  const config = { abort: { http_status: 503, ...ALWAYS } };
  t.same(world(config, ALONE, { 'fault.http.max_active_faults': 0 }).request().stream.log, ['route end']);
  t.match(world(config, ALONE, { 'fault.http.max_active_faults': 1 }).request().stream.log, [/^reply 503/]);
});
