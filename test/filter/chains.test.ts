// Which filters act on the requests of a route.

import t from 'tap';
import { lowerFault } from '../../proxy/config/lower/fault.ts';
import type { RouteFiltersModel } from '../../proxy/config/model/http-filter.ts';
import { FilterChains } from '../../proxy/filter/compile.ts';
import type { FilterEnv } from '../../proxy/filter/filter.ts';
import { WorkerStats } from '../../proxy/observe/stats-store.ts';
import { SYSTEM_RUNTIME } from '../../proxy/util/runtime.ts';
import { TimerWheel } from '../../proxy/util/timer-wheel.ts';
import { decode } from '../fixtures/lower.ts';

const FAULT = 'envoy.extensions.filters.http.fault.v3.HTTPFault';

const ENV: FilterEnv = {
  stats: new WorkerStats(() => {}),
  runtime: SYSTEM_RUNTIME,
  wheel: new TimerWheel(SYSTEM_RUNTIME),
  runtimeKeys: {},
  statPrefix: 'http.x.',
  activeFaults: { sum: () => 0, add: () => {} },
};

const WEB = { kind: 'grpc_web' } as const;
const OFF = { disabled: true, config: null };
const ON = { disabled: false, config: null };

/** Two filters: `a`, and `b` that is off by default. */
function chains(): FilterChains {
  const models = [
    { name: 'a', disabled: false, config: WEB },
    { name: 'idle', disabled: false, config: { kind: 'inert', typeUrl: '' } as const },
    { name: 'b', disabled: true, config: WEB },
  ];
  return new FilterChains(models, ENV);
}

t.test('the most specific level that names a filter decides', async (t) => {
  const table: readonly (readonly [levels: readonly RouteFiltersModel[], filters: string])[] = [
    [[null, null, null], 'a'],
    [[{ a: OFF }, null, null], ''],
    [[{ a: OFF }, { a: ON }, null], 'a'],
    [[null, { b: ON }, null], 'ab'],
    [[null, { b: ON }, { b: OFF }], 'a'],
    [[null, { b: ON }, { other: OFF }, { a: OFF }], 'b'],
    [[{ a: OFF }, null, { idle: ON }], ''],
  ];
  for (const [levels, want] of table) {
    const made = chains();
    const [a] = made.base ?? [];
    const [b] = made.of([{ a: OFF, b: ON }]) ?? [];
    const filters = made.of(levels);
    const names = (filters ?? []).map((filter) => (filter === a ? 'a' : filter === b ? 'b' : '?')).join('');
    t.equal(names, want, JSON.stringify(levels));
    t.equal(filters === null, want === '', 'none acts');
    t.equal(made.of(levels), filters, 'made once');
  }
});

t.test('routes that say nothing share the chain of the manager', async (t) => {
  const made = chains();
  t.equal(made.of([null, null, null]), made.base);
});

t.test('what istiod always emits is in no chain until some route gives it something to do', async (t) => {
  const idle = [
    { name: 'cors', disabled: false, config: { kind: 'cors' } as const },
    { name: 'fault', disabled: false, config: lowerFault(decode(FAULT, {}), '') },
  ];
  const made = new FilterChains(idle, ENV);
  t.equal(made.base, null);
  t.equal(made.of([null, { other: ON }, { fault: ON }]), null);
  const delay = { fixed_delay: '1s', percentage: { numerator: 1 } };
  const said = { disabled: false, config: lowerFault(decode(FAULT, { delay }), '') };
  t.equal(made.of([null, null, { fault: said }])?.length, 1);
});

t.test('what the first route has turned off stays off on every route after it', async (t) => {
  const made = new FilterChains(
    ['a', 'b', 'c'].map((name) => ({ name, disabled: false, config: WEB })),
    ENV,
  );
  const [first, second, third] = made.base ?? [];
  if (first === undefined || second === undefined || third === undefined) throw new Error('three filters expected');
  const begun = made.of([{ c: OFF }]) ?? [];
  t.same(begun.length, 2);
  const moved = made.rest(begun, first, made.base);
  t.same(moved.length, 1);
  t.equal(moved[0], second);
  t.same(made.rest(moved, second, made.base), []);
  t.equal(made.rest(made.rest(made.base ?? [], first, made.base), second, made.base)[0], third, 'unless it is on');
});
