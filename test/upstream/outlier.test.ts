// Outlier detection: what workers note, what the main thread makes of it, and the way of both through shared memory.

import t from 'tap';
import { HeaderMap } from '../../proxy/codec/headers.ts';
import type { ClusterModel } from '../../proxy/config/model/cluster.ts';
import type { OutlierModel } from '../../proxy/config/model/outlier.ts';
import { OUTLIER_CATALOGUE } from '../../proxy/observe/catalogue-outlier.ts';
import { CLUSTER_MANAGER } from '../../proxy/observe/catalogue-server.ts';
import { compileErrorMatch } from '../../proxy/router/error-match.ts';
import { eventJson } from '../../proxy/server/outlier-log.ts';
import { httpStatusOfGrpc } from '../../proxy/upstream/grpc-status.ts';
import { assignOutlierCells, NOBODY, OutlierCells } from '../../proxy/upstream/outlier-cells.ts';
import type { OutlierEvent } from '../../proxy/upstream/outlier-detector.ts';
import { OutlierDetectors } from '../../proxy/upstream/outlier-detectors.ts';
import { HostMonitor, type OutlierSign } from '../../proxy/upstream/outlier-monitor.ts';
import type { Runtime } from '../../proxy/util/runtime.ts';
import { clusterModel, endpoint, FakeStats, locality } from '../fixtures/upstream.ts';

const MODEL: OutlierModel = {
  firstCell: -1,
  consecutive5xx: 3,
  consecutiveGatewayFailure: 2,
  consecutiveLocalOriginFailure: 2,
  splitsLocalOrigin: false,
  intervalMs: 1_000,
  baseEjectionTimeMs: 2_000,
  maxEjectionTimeMs: 5_000,
  maxEjectionTimeJitterMs: 0,
  maxEjectionPercent: 100,
  alwaysEjectOneHost: false,
  detectDegradedHosts: false,
  successRateMinimumHosts: 5,
  successRateRequestVolume: 100,
  successRateStdevFactor: 1900,
  failurePercentageThreshold: 85,
  failurePercentageMinimumHosts: 5,
  failurePercentageRequestVolume: 50,
  errors: null,
  enforcing: {
    consecutive_5xx: 100,
    consecutive_gateway_failure: 0,
    consecutive_local_origin_failure: 100,
    success_rate: 100,
    local_origin_success_rate: 100,
    failure_percentage: 0,
    local_origin_failure_percentage: 0,
  },
};
const WORKERS = 2;

/** A clock that moves when told, with dice that always fall the same. */
class Clock implements Runtime {
  now = 0;
  dice = 0.5;
  private timers: { readonly at: number; readonly fn: () => void }[] = [];

  nowMs = (): number => this.now;
  random = (): number => this.dice;

  after = (ms: number, fn: () => void): (() => void) => {
    const timer = { at: this.now + ms, fn };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  };

  pass(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const [next] = this.timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.timers = this.timers.filter((timer) => timer !== next);
      this.now = next.at;
      next.fn();
    }
    this.now = end;
  }
}

/** One cluster, its detector, and its hosts as two workers see them; reports come at once. */
class Bench {
  readonly clock = new Clock();
  readonly stats = new FakeStats();
  readonly published: [string, readonly number[], boolean][] = [];
  readonly events: OutlierEvent[] = [];
  readonly cells: OutlierCells;
  readonly detectors: OutlierDetectors;
  readonly monitors: HostMonitor[][];
  readonly signs: OutlierSign[] = [];

  constructor(hosts: number, changes: Partial<OutlierModel> = {}, updateMergeWindowMs = 0) {
    const ports = Array.from({ length: hosts }, (_, i) => i + 1);
    const configured = clusterModel([], {
      localities: [locality(ports.map((port) => endpoint(port)))],
      outlier: { ...MODEL, ...changes },
      updateMergeWindowMs,
    });
    const [cluster] = assignOutlierCells([configured]) as [ClusterModel];
    this.cells = new OutlierCells(OutlierCells.allocate(WORKERS, hosts), WORKERS);
    this.detectors = new OutlierDetectors([cluster], {
      runtime: this.clock,
      stats: this.stats,
      cells: this.cells,
      publish: (...what) => this.published.push(what),
      log: (event) => this.events.push(event),
      warn: () => {},
    });
    const model = cluster.outlier as OutlierModel;
    this.monitors = ports.map((_, i) =>
      Array.from({ length: WORKERS }, (__, worker) => {
        const report = (cell: number, sign: OutlierSign): void => {
          this.signs.push(sign);
          this.detectors.onSign(cell, sign);
        };
        const env = { cells: this.cells, worker, report, compileErrors: compileErrorMatch };
        const isError = model.errors === null ? null : compileErrorMatch(model.errors);
        return new HostMonitor(env, model, isError, model.firstCell + i);
      }),
    );
  }

  monitor(host: number, worker = 0): HostMonitor {
    return (this.monitors[host] as HostMonitor[])[worker] as HostMonitor;
  }

  answer(host: number, ...statuses: number[]): void {
    // Workers take turns, as connections do.
    for (const [i, status] of statuses.entries()) this.monitor(host, i % WORKERS).onStatus(status);
  }

  /** Hosts that are ejected now. */
  get ejected(): number[] {
    return this.monitors.flatMap((each, i) => (each[0]?.ejected === true ? [i] : []));
  }

  /** Stats that are not zero, without their common beginnings. */
  get counts(): object {
    const block = this.stats.block(OUTLIER_CATALOGUE, 'cluster.c.outlier_detection.');
    return Object.fromEntries(
      OUTLIER_CATALOGUE.names.flatMap((name, i) =>
        block[i] === 0 ? [] : [[name.replace('ejections_', ''), block[i] as number]],
      ),
    );
  }
}

t.test('failures in a row eject, whichever workers see them', async (t) => {
  const bench = new Bench(2);
  bench.answer(0, 500, 500, 200, 500, 500);
  t.same(bench.ejected, [], 'a success in between begins anew');
  bench.answer(0, 500);
  t.same(bench.ejected, [0]);
  t.same(bench.published, [['c', [1], true]]);
  t.same(bench.counts, {
    active: 1,
    consecutive_5xx: 1,
    detected_consecutive_5xx: 1,
    enforced_consecutive_5xx: 1,
    enforced_total: 1,
    total: 1,
  });
  bench.answer(0, 500, 500, 500, 500, 500, 500);
  t.same(bench.signs, ['consecutive_5xx', 'consecutive_5xx'], 'told once a run');
  t.match(bench.counts, { detected_consecutive_5xx: 1, active: 1 }, 'an ejected host is not judged');
});

t.test('gateway failures have a run of their own', async (t) => {
  const bench = new Bench(2, {
    enforcing: { ...MODEL.enforcing, consecutive_5xx: 0, consecutive_gateway_failure: 100 },
  });
  bench.answer(0, 503, 500, 504);
  t.same(bench.counts, { consecutive_5xx: 1, detected_consecutive_5xx: 1, total: 1 }, 'detected but not enforced');
  bench.answer(0, 502);
  t.same(bench.ejected, [0]);
  t.match(bench.counts, { detected_consecutive_gateway_failure: 1, enforced_consecutive_gateway_failure: 1, total: 1 });
});

t.test('what is not reached counts as answered 503, unless it is judged apart', async (t) => {
  const together = new Bench(2);
  together.monitor(0).onUnreachable();
  together.monitor(0).onTimeout(504);
  together.monitor(0).onConnected();
  together.answer(0, 500);
  t.same(together.ejected, [0]);
  const late = new Bench(2);
  for (const status of [500, 500]) late.answer(0, status);
  late.monitor(0).onTimeout(204);
  late.answer(0, 500);
  t.same(late.ejected, [], 'a time-out that the client takes for a success is one');

  const apart = new Bench(2, { splitsLocalOrigin: true });
  apart.monitor(0).onUnreachable();
  apart.monitor(0, 1).onConnected();
  apart.monitor(0).onUnreachable();
  apart.answer(0, 500, 500);
  t.same(apart.ejected, []);
  apart.monitor(0, 1).onTimeout(504);
  t.same(apart.ejected, [0]);
  t.same(apart.counts, {
    active: 1,
    detected_consecutive_local_origin_failure: 1,
    enforced_consecutive_local_origin_failure: 1,
    enforced_total: 1,
  });
});

t.test('raw connections are all that is known of a host', async (t) => {
  for (const splitsLocalOrigin of [false, true]) {
    const bench = new Bench(2, { splitsLocalOrigin, consecutive5xx: 2 });
    bench.monitor(0).onUnreachable();
    bench.monitor(0).onConnectedFinally();
    bench.monitor(0).onUnreachable();
    t.same(bench.ejected, []);
    bench.monitor(0).onUnreachable();
    t.same(bench.ejected, [0]);
  }
});

t.test('the status of gRPC counts where the head has one', async (t) => {
  const bench = new Bench(2);
  const headers = new HeaderMap();
  headers.set('grpc-status', '14');
  for (const isGrpc of [false, true, true, true]) bench.monitor(0).onAnswer(200, headers, isGrpc);
  t.same(bench.ejected, [0]);
  const empty = new HeaderMap();
  empty.set('grpc-status', '');
  for (let i = 0; i < 3; i++) bench.monitor(1).onAnswer(200, empty, true);
  t.same(bench.ejected, [0], 'an empty status is none');
  t.same(
    ['0', '1', '4', '14', '16', '17', '', '-1', 'x'].map(httpStatusOfGrpc),
    [200, 499, 504, 503, 401, 500, 500, 500, 500],
  );
});

t.test('an ejection lasts longer each time, and less after quiet intervals', async (t) => {
  const bench = new Bench(2);
  const lasts = (): number => {
    const start = bench.clock.now;
    bench.answer(0, 500, 500, 500);
    while (bench.ejected.length > 0) bench.clock.pass(500);
    return bench.clock.now - start;
  };
  bench.clock.pass(500);
  t.equal(lasts(), 2_500, 'to the sweep after the base time');
  t.equal(lasts(), 4_000, 'twice the base time');
  t.equal(lasts(), 5_000, 'the longest time');
  bench.clock.pass(2_500);
  bench.answer(0, 500, 500, 500);
  bench.clock.pass(100);
  t.same(
    bench.events.map(({ action, ejections }) => `${action} ${ejections}`),
    ['EJECT 1', 'UNEJECT 1', 'EJECT 2', 'UNEJECT 2', 'EJECT 3', 'UNEJECT 3', 'EJECT 4'],
  );
  while (bench.ejected.length > 0) bench.clock.pass(500);
  t.equal(bench.events.at(-1)?.msSinceLastAction, 4_500, 'two quiet intervals have taken off two of three');
});

t.test('jitter is added, and runs begin anew', async (t) => {
  const bench = new Bench(1, { maxEjectionTimeJitterMs: 3_000 });
  bench.answer(0, 500, 500, 500);
  bench.answer(0, 503, 503);
  bench.clock.pass(3_000);
  t.same(bench.ejected, [0], 'half of the jitter is 1.5 s');
  bench.clock.pass(1_000);
  t.same(bench.ejected, []);
  bench.answer(0, 503);
  t.same(bench.ejected, []);
});

t.test('no more than a share of the hosts', async (t) => {
  const fail = (bench: Bench): number[] => {
    for (const host of [0, 1]) bench.answer(host, 500, 500, 500);
    return bench.ejected;
  };
  const half = new Bench(2, { maxEjectionPercent: 50 });
  t.same(fail(half), [0]);
  t.match(half.counts, { overflow: 1, active: 1, detected_consecutive_5xx: 2 });
  const none = new Bench(2, { maxEjectionPercent: 10 });
  t.same(fail(none), []);
  t.same(none.counts, { overflow: 2, detected_consecutive_5xx: 2, consecutive_5xx: 2 });
  t.same(fail(new Bench(2, { maxEjectionPercent: 10, alwaysEjectOneHost: true })), [0]);
});

t.test('a host whose success rate is far below the others', async (t) => {
  const bench = new Bench(5, { successRateRequestVolume: 10, consecutive5xx: 100 });
  const answers = (bad: number): void => {
    for (let host = 0; host < 5; host++)
      for (let i = 0; i < 10; i++) bench.answer(host, host === 4 && i < bad ? 500 : 200);
  };
  answers(5);
  bench.clock.pass(1_000);
  t.same(bench.ejected, [4]);
  const [event] = bench.events;
  t.match(event, { type: 'success_rate', hostSuccessRate: 50, clusterSuccessRate: 90, enforced: true });
  // The deviation of 100, 100, 100, 100, 50 is 20; 90 − 1.9 × 20 = 52.
  t.ok(Math.abs((event?.threshold ?? 0) - 52) < 1e-9);
  t.match(bench.detectors.find('c')?.thresholds, { successRateAverage: 90 });
  t.equal(bench.detectors.find('c')?.hostStatus(endpoint(1))?.successRate, 100);
  t.match(bench.counts, { detected_success_rate: 1, success_rate: 1, enforced_success_rate: 1, total: 1 });
  bench.clock.pass(1_000);
  t.match(bench.detectors.find('c')?.thresholds, { successRateAverage: -1 }, 'an interval without requests');
  t.equal(bench.detectors.find('c')?.hostStatus(endpoint(1))?.successRate, -1);
});

t.test('a host that fails too often', async (t) => {
  const enforcing = { ...MODEL.enforcing, failure_percentage: 100, local_origin_failure_percentage: 100 };
  const few = { failurePercentageMinimumHosts: 2, failurePercentageRequestVolume: 4, consecutive5xx: 0, enforcing };
  const bench = new Bench(2, few);
  bench.answer(0, 500, 500, 500, 200);
  bench.answer(1, 500, 500, 500, 500);
  bench.clock.pass(1_000);
  t.same(bench.ejected, [1], '75 % are fewer than 85');
  t.match(bench.events, [{ type: 'failure_percentage', hostSuccessRate: 0 }]);
  t.same(bench.counts, {
    active: 1,
    detected_failure_percentage: 1,
    enforced_failure_percentage: 1,
    enforced_total: 1,
  });

  const apart = new Bench(2, { ...few, splitsLocalOrigin: true, consecutiveLocalOriginFailure: 0 });
  for (let i = 0; i < 4; i++) {
    apart.monitor(0).onUnreachable();
    apart.monitor(1, 1).onConnected();
  }
  apart.clock.pass(1_000);
  t.same(apart.ejected, [0]);
  t.match(apart.counts, { detected_local_origin_failure_percentage: 1, enforced_local_origin_failure_percentage: 1 });
});

t.test('chance decides between 0 and 100 percent', async (t) => {
  for (const [dice, ejected] of [
    [0.29, [0]],
    [0.31, []],
  ] as const) {
    const bench = new Bench(1, { enforcing: { ...MODEL.enforcing, consecutive_5xx: 30 } });
    bench.clock.dice = dice;
    bench.answer(0, 500, 500, 500);
    t.same(bench.ejected, ejected);
  }
});

t.test('degraded hosts are marked for a while', async (t) => {
  const bench = new Bench(1, { detectDegradedHosts: true });
  const headers = new HeaderMap();
  headers.set('x-envoy-degraded', '');
  bench.monitor(0).onAnswer(200, headers, false);
  bench.monitor(0, 1).onAnswer(200, headers, false);
  t.same([bench.monitor(0).degraded, bench.ejected], [true, []]);
  t.same(bench.counts, { detected_degradation: 1 });
  bench.clock.pass(2_000);
  t.equal(bench.monitor(0).degraded, false);
  const told = { ejections: 0, msSinceLastAction: -1 };
  t.match(
    bench.events,
    [
      { ...told, action: 'EJECT', type: 'degraded', enforced: true },
      { ...told, action: 'UNEJECT', type: null, enforced: false },
    ],
    'the log calls it an ejection, which it does not count',
  );
});

t.test('a time of several intervals ends with the last of them, even if its timer is early', async (t) => {
  const bench = new Bench(1, { consecutive5xx: 1, intervalMs: 1_000, baseEjectionTimeMs: 2_000 });
  bench.clock.pass(1_001);
  bench.answer(0, 500);
  bench.clock.pass(2_000);
  t.same(bench.ejected, []);
});

t.test('a host that fails in each interval of service makes up for nothing', async (t) => {
  const bench = new Bench(2, {
    consecutive5xx: 0,
    failurePercentageMinimumHosts: 2,
    failurePercentageRequestVolume: 2,
    enforcing: { ...MODEL.enforcing, success_rate: 0, failure_percentage: 100 },
    baseEjectionTimeMs: 900,
    maxEjectionTimeMs: 10_000,
  });
  const lasts: number[] = [];
  for (let time = 0; time < 3; time++) {
    bench.answer(0, 500, 500);
    bench.answer(1, 200, 200);
    bench.clock.pass(1_000);
    t.same(bench.ejected, [0]);
    const start = bench.clock.now;
    while (bench.ejected.length > 0) bench.clock.pass(1_000);
    lasts.push(bench.clock.now - start);
  }
  t.same(lasts, [1_000, 2_000, 3_000]);
});

t.test('hosts that are found later, go and come', async (t) => {
  const discovery = { kind: 'strict_dns' } as ClusterModel['discovery'];
  const cluster = clusterModel([], { discovery, outlier: MODEL });
  const clock = new Clock();
  const cells = new OutlierCells(OutlierCells.allocate(1, 0), 1);
  const stats = new FakeStats();
  const detectors = new OutlierDetectors([cluster], {
    runtime: clock,
    stats,
    cells,
    publish: () => {},
    log: () => {},
    warn: (text) => t.comment(text),
  });
  t.same(detectors.setHosts('unknown', []), null);
  const [first, second] = detectors.setHosts('c', [locality([endpoint(1), endpoint(2), endpoint(1)])]) as number[];
  t.ok(first !== second && first !== NOBODY);
  const report = (cell: number, sign: OutlierSign): void => detectors.onSign(cell, sign);
  const env = { cells, worker: 0, report, compileErrors: compileErrorMatch };
  const monitor = new HostMonitor(env, MODEL, null, first as number);
  for (let i = 0; i < 3; i++) monitor.onStatus(500);
  t.ok(monitor.ejected);
  t.same(detectors.setHosts('c', [locality([endpoint(2), endpoint(1)])]), [second, first], 'each keeps its own');
  t.ok(monitor.ejected);
  detectors.setHosts('c', [locality([endpoint(2)])]);
  const block = stats.block(OUTLIER_CATALOGUE, 'cluster.c.outlier_detection.');
  t.equal(block[OUTLIER_CATALOGUE.names.indexOf('ejections_active')], 0, 'gone hosts are not ejected any more');
  monitor.detach();
  t.notOk(monitor.ejected);
  for (let i = 0; i < 6; i++) monitor.onStatus(500);
  t.notOk(monitor.ejected, 'nobody is never ejected');
  // Every cell is given out once before one comes back, and then it is as new.
  let seen: number[] = [];
  for (let port = 3; !seen.includes(first as number); port++)
    seen = detectors.setHosts('c', [locality([endpoint(port)])]) as number[];
  t.equal(cells.flags(first as number), 0);
});

t.test('answers that a matcher takes for errors', async (t) => {
  const status = (value: string) =>
    ({
      name: ':status',
      match: { kind: 'string', string: { kind: 'prefix', value, ignoreCase: false } },
      invert: false,
      treatMissingAsEmpty: false,
    }) as const;
  const present = { ...status(''), name: 'x-bad', match: { kind: 'present', present: true } } as const;
  const headers = { kind: 'headers', headers: [status('4'), present] } as const;
  const bad = new HeaderMap();
  bad.set('x-bad', '');
  const good = new HeaderMap();
  const none = { kind: 'never' } as const;
  const any = { kind: 'any' } as const;
  const is = compileErrorMatch(headers);
  t.same([is(404, bad), is(500, bad), is(404, good)], [true, false, false]);
  t.same(
    [
      any,
      none,
      { kind: 'not', rule: none } as const,
      { kind: 'all_of', rules: [any, none] } as const,
      { kind: 'any_of', rules: [any, none] } as const,
    ].map((model) => compileErrorMatch(model)(200, good)),
    [true, false, true, false, true],
  );
  const bench = new Bench(1, { errors: headers });
  for (let i = 0; i < 3; i++) bench.monitor(0).onAnswer(503, bad, false);
  t.same(bench.ejected, [], 'errors are what the matcher says');
  for (let i = 0; i < 3; i++) bench.monitor(0).onAnswer(404, bad, false);
  t.same(bench.ejected, [0]);

  // Its status counts if it is one of errors, whether origins are judged apart or not.
  const gateway = (splitsLocalOrigin: boolean, status: number): boolean => {
    const bench = new Bench(1, { errors: any, splitsLocalOrigin });
    for (let i = 0; i < 3; i++) bench.monitor(0).onAnswer(status, good, false);
    return 'detected_consecutive_gateway_failure' in bench.counts;
  };
  for (const split of [false, true])
    t.same(
      [200, 500, 503].map((status) => gateway(split, status)),
      [false, false, true],
    );
});

t.test('a host that one sweep ejects twice is counted as one that is ejected', async (t) => {
  const bench = new Bench(2, {
    consecutive5xx: 0,
    successRateMinimumHosts: 2,
    successRateRequestVolume: 2,
    successRateStdevFactor: 500,
    failurePercentageMinimumHosts: 2,
    failurePercentageRequestVolume: 2,
    enforcing: { ...MODEL.enforcing, failure_percentage: 100 },
  });
  bench.answer(0, 500, 500);
  bench.answer(1, 200, 200);
  bench.clock.pass(1_000);
  t.match(bench.counts, {
    active: 1,
    detected_success_rate: 1,
    detected_failure_percentage: 1,
    enforced_success_rate: 1,
    enforced_failure_percentage: 1,
    enforced_total: 2,
    total: 1,
  });
  t.match(bench.events, [
    { type: 'success_rate', ejections: 1, enforced: true },
    { type: 'failure_percentage', ejections: 2, enforced: true },
  ]);
  bench.clock.pass(4_000);
  t.same(bench.ejected, []);
  t.notOk('active' in bench.counts, 'it is given back once, and was taken once');
});

t.test('balancers are told at once, then not again for a while', async (t) => {
  const bench = new Bench(2, { consecutive5xx: 1, baseEjectionTimeMs: 500, intervalMs: 600 }, 1_000);
  bench.answer(0, 500);
  bench.answer(1, 500);
  t.same(bench.published, [
    ['c', [1], true],
    ['c', [2], false],
  ]);
  bench.clock.pass(999);
  t.same(bench.ejected, [], 'both are back');
  bench.clock.pass(1);
  t.same(bench.published.slice(2), [
    ['c', [], false],
    ['c', [], true],
  ]);
  bench.clock.pass(1_001);
  bench.answer(0, 500);
  t.same(bench.published.at(-1), ['c', [1], true]);
  const stats = bench.stats.block(CLUSTER_MANAGER, 'cluster_manager.');
  t.same(
    CLUSTER_MANAGER.names.flatMap((name, i) => (stats[i] === 0 ? [] : [`${name} ${stats[i]}`])),
    ['cluster_updated 2', 'cluster_updated_via_merge 1', 'update_out_of_merge_window 2'],
  );
  // What cannot wait takes along what does.
  bench.answer(1, 500);
  bench.detectors.setHosts('c', [locality([endpoint(1), endpoint(2)])]);
  t.equal(stats[CLUSTER_MANAGER.names.indexOf('update_merge_cancelled')], 1);
});

t.test('the event log speaks as Envoy does', async (t) => {
  const now = new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 6));
  const event: OutlierEvent = {
    action: 'EJECT',
    type: 'success_rate',
    clusterName: 'c',
    address: '127.0.0.1:1',
    ejections: 2,
    enforced: true,
    msSinceLastAction: 2_999,
    hostSuccessRate: 33.4,
    clusterSuccessRate: 50.9,
    threshold: 40.1,
  };
  t.equal(
    eventJson(event, now),
    '{"type":"SUCCESS_RATE","timestamp":"2026-01-02T03:04:05.006Z","secs_since_last_action":"2","cluster_name":"c","upstream_url":"127.0.0.1:1","action":"EJECT","num_ejections":2,"enforced":true,"eject_success_rate_event":{"host_success_rate":33,"cluster_average_success_rate":50,"cluster_success_rate_ejection_threshold":40}}',
  );
  t.match(
    eventJson({ ...event, type: 'local_origin_failure_percentage' }, now),
    /"eject_failure_percentage_event":\{"host_success_rate":33\}\}$/,
  );
  t.match(
    eventJson({ ...event, type: 'consecutive_5xx', msSinceLastAction: -1 }, now),
    /Z","cluster_name.*"eject_consecutive_event":\{\}\}$/,
  );
  t.match(eventJson({ ...event, type: 'degraded' }, now), /^\{"type":"DEGRADED".*"eject_consecutive_event":\{\}\}$/);
  t.match(
    eventJson({ ...event, action: 'UNEJECT', type: null, enforced: false }, now),
    /^\{"type":"CONSECUTIVE_5XX".*"enforced":false\}$/,
  );
});
