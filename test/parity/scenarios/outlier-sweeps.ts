// Outlier detection: what only its sweeps do, and what is told of them in the event log and in `/clusters`. A request to
// the cluster `ticks` and a wait for its stat begin right behind a sweep; all clusters' sweeps come at about the same time,
// so that what is to fall between two of them begins a third of an interval later.

import { answer, bootstrap, cluster, eventLog, get, http, httpOptions, routes, to } from '../config.ts';
import type { Action, ClientStep, Group, Ports, Scenario } from '../types.ts';
import { prioritised, quickRequests } from './outlier.ts';

const SWEEP = {
  interval: '1.5s',
  base_ejection_time: '1s',
  max_ejection_time: '60s',
  max_ejection_percent: 100,
  consecutive_5xx: 100,
};
const NEVER = { success_rate_minimum_hosts: 100, failure_percentage_minimum_hosts: 100 };
const PERCENTAGE = {
  ...SWEEP,
  ...NEVER,
  failure_percentage_minimum_hosts: 1,
  failure_percentage_request_volume: 1,
  failure_percentage_threshold: 1,
  enforcing_failure_percentage: 100,
};
const DEVIATION = {
  success_rate_minimum_hosts: 2,
  success_rate_request_volume: 1,
  success_rate_stdev_factor: 500,
};
/** Both judge, each by one request. */
const TWICE = { ...PERCENTAGE, ...DEVIATION, failure_percentage_minimum_hosts: 2 };
/** Told at once. */
const NOW = { common_lb_config: { update_merge_window: '0s' } };

const PREVIOUS = 'type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig';
/** One request is two: the first host fails, the second one answers. */
const OTHER = {
  retry_policy: {
    retry_on: '5xx',
    retry_back_off: { base_interval: '0.001s' },
    retry_priority: { name: 'previous', typed_config: { '@type': PREVIOUS, update_frequency: 1 } },
  },
};

const STATUS = (status: number): readonly Action[] => [answer(`${status} X`)];
const DEGRADED: readonly Action[] = [answer('200 OK', ['x-envoy-degraded: 1'])];
const FAILING = { a: { replies: [STATUS(500)] } };

const stat = (of: string, name: string, atLeast: number): ClientStep => ({
  stat: `cluster.${of}.${name}`,
  atLeast,
});
const ejected = (cluster: string, times: number): ClientStep =>
  stat(cluster, 'outlier_detection.ejections_enforced_total', times);
const back = (cluster: string): ClientStep => stat(cluster, 'membership_healthy', 2);

let ticks = 0;
/** Well behind a sweep, and well before the next one. */
function tick(before: number): ClientStep[] {
  ticks++;
  return [
    get('/ticks'),
    { answers: before + 1 },
    stat('ticks', 'outlier_detection.ejections_detected_failure_percentage', ticks),
    { waitMs: 500 },
  ];
}

/** One request, of which the next sweep judges two hosts. */
const judged = (name: string, steps: readonly ClientStep[]): Scenario => ({
  name: `two judgements of one host, ${name}`,
  client: [...tick(0), get(`/${name}`), { answers: 2 }, ejected(name, 1), ...steps],
  answers: 2,
  upstreams: FAILING,
});

/** Three requests, and their sweep. */
const rated = (before: number): ClientStep[] => [
  ...tick(0),
  get('/rates').repeat(3),
  { answers: 4 },
  stat('rates', 'outlier_detection.ejections_detected_failure_percentage', before + 1),
];

const clusters = (ports: Ports): object[] => {
  const [a, b] = [ports['a'], ports['b']];
  const two = (name: string, outlier: object, extra: object = {}): object =>
    prioritised(name, [[a], [b]], outlier, { ...NOW, ...extra });
  return [
    cluster('admin', [ports['admin']]),
    two('ticks', { ...PERCENTAGE, enforcing_failure_percentage: 0 }),
    two('again', PERCENTAGE),
    two('once', PERCENTAGE),
    two('differs', TWICE),
    two('half', { ...TWICE, enforcing_failure_percentage: 0 }),
    two('other-half', { ...TWICE, enforcing_success_rate: 0 }),
    two('degraded', { ...SWEEP, ...NEVER, detect_degraded_hosts: true }),
    two(
      'apart',
      { ...SWEEP, ...NEVER, consecutive_gateway_failure: 2, split_external_local_origin_errors: true },
      httpOptions({}, {}, { outlier_detection: { error_matcher: { any_match: true } } }),
    ),
    two('no-status', { ...SWEEP, ...NEVER, consecutive_5xx: 2, enforcing_consecutive_5xx: 0 }),
    two('rates', {
      ...PERCENTAGE,
      ...DEVIATION,
      success_rate_minimum_hosts: 1,
      enforcing_success_rate: 0,
      enforcing_failure_percentage: 0,
    }),
  ];
};

export const outlierSweeps: Group = {
  name: 'outlier-sweeps',
  listeners: ['main'],
  upstreams: ['a', 'b'],
  stats: /^cluster\.(?!differs|ticks|admin)[^.]+\.(outlier_detection\..*|membership_.*|lb_healthy_panic)$/,
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        http(
          ports,
          log,
          'main',
          routes([
            to('/clusters', 'admin'),
            ...['differs', 'half', 'other-half'].map((name) => to(`/${name}`, name, OTHER)),
            ...['ticks', 'again', 'once', 'degraded', 'apart', 'no-status', 'rates'].map((name) =>
              to(`/${name}`, name),
            ),
          ]),
        ),
      ],
      clusters(ports),
      { cluster_manager: { outlier_detection: { event_log_path: eventLog(log) } } },
    ),
  scenarios: [
    {
      name: 'a host that fails again stays out longer than one that fails for the first time',
      client: [
        get('/again'),
        { answers: 1 },
        ejected('again', 1),
        back('again'),
        get('/once'),
        { answers: 2 },
        get('/again'),
        { answers: 3 },
        ejected('once', 1),
        ejected('again', 2),
        back('once'),
        // The second one answers.
        get('/again'),
        { answers: 4 },
        back('again'),
        get('/again'),
      ],
      answers: 5,
      upstreams: FAILING,
    },
    judged('half', [back('half')]),
    judged('other-half', [back('other-half')]),
    judged('differs', [back('differs')]),
    {
      name: 'degraded for a while',
      client: [
        get('/degraded'),
        { answers: 1 },
        stat('degraded', 'membership_degraded', 1),
        back('degraded'),
        get('/degraded'),
      ],
      answers: 2,
      upstreams: { a: { replies: [DEGRADED, STATUS(200)] } },
    },
    {
      name: 'errors by a matcher, judged apart',
      client: quickRequests('/apart', 4),
      answers: 4,
      upstreams: { a: { replies: [200, 500, 503, 504].map(STATUS) } },
    },
    {
      name: 'an empty status of gRPC is none',
      client: quickRequests('/no-status', 2, 'content-type: application/grpc'),
      answers: 2,
      upstreams: { a: { replies: [[answer('200 OK', ['content-type: application/grpc', 'grpc-status: '])]] } },
    },
    {
      name: 'rates are shown',
      client: [...rated(0), get('/clusters?filter=^rates$'), { answers: 5 }],
      answers: 5,
      upstreams: { a: { replies: [500, 500, 200].map(STATUS) } },
    },
    {
      name: 'rates are shown as JSON',
      client: [...rated(1), get('/clusters?filter=^rates$&format=json'), { answers: 5 }],
      answers: 5,
      upstreams: { a: { replies: [500, 500, 200].map(STATUS) } },
    },
  ],
};
