// Outlier detection: each scenario has a cluster of its own whose first priority is host `a` and whose second is `b`, so
// that it can be seen who was ejected, and when.

import { answer, bootstrap, cluster, get, http, httpOptions, routes, tcp, to } from '../config.ts';
import { ask as asks, headers, preface } from '../frames.ts';
import type { Action, ClientStep, Group, Ports, Scenario } from '../types.ts';

const endpoint = (port: number | undefined): object => ({
  endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
});

/** Hosts by priority; one number per host. */
export function prioritised(
  name: string,
  priorities: readonly (readonly (number | undefined)[])[],
  outlier: object,
  extra: object = {},
): object {
  return cluster(name, [], {
    load_assignment: {
      cluster_name: name,
      endpoints: priorities.map((ports, priority) => ({ priority, lb_endpoints: ports.map(endpoint) })),
    },
    outlier_detection: outlier,
    ...extra,
  });
}

/**
 * When hosts are judged by their shares, after the start: the requests that count come in the first scenarios, and waits
 * of the others last longer than this.
 */
const SWEEP = '4s';
/** No sweep comes, and nobody comes back, while the group runs. */
const LONG = { interval: '600s', base_ejection_time: '600s', max_ejection_time: '700s', max_ejection_percent: 100 };

/** So many requests one after the other, each given time to have its effect. */
function requests(path: string, count: number, ...headers: string[]): ClientStep[] {
  return quickRequests(path, count, ...headers).flatMap((step): ClientStep[] =>
    typeof step === 'string' ? [{ waitMs: 40 }, step] : [step],
  );
}

/** So many requests one after the other. */
export function quickRequests(path: string, count: number, ...headers: string[]): ClientStep[] {
  const steps: ClientStep[] = [];
  for (let i = 1; i <= count; i++) steps.push(get(path, ...headers), { answers: i });
  return steps;
}

function ask(
  name: string,
  path: string,
  count: number,
  a: readonly (readonly Action[])[],
  more: object = {},
): Scenario {
  return { name, answers: count, client: requests(path, count), upstreams: { a: { replies: a } }, ...more };
}

const STATUS = (status: number): readonly Action[] => [answer(`${status} X`)];

const clusters = (ports: Ports): object[] => {
  const [a, b, dead] = [ports['a'], ports['b'], ports['dead']];
  return [
    prioritised('five', [[a], [b]], { ...LONG, consecutive_5xx: 2 }),
    prioritised('run', [[a], [b]], { ...LONG, consecutive_5xx: 2 }),
    prioritised('gateway', [[a], [b]], {
      ...LONG,
      consecutive_5xx: 9,
      consecutive_gateway_failure: 2,
      enforcing_consecutive_gateway_failure: 100,
    }),
    prioritised('reset', [[a], [b]], { ...LONG, consecutive_5xx: 2 }),
    prioritised('refused', [[dead], [b]], { ...LONG, consecutive_5xx: 2 }),
    prioritised('late', [[a], [b]], { ...LONG, consecutive_5xx: 2 }),
    prioritised('retried', [[a], [b]], { ...LONG, consecutive_5xx: 2 }),
    prioritised('split', [[dead], [b]], {
      ...LONG,
      split_external_local_origin_errors: true,
      consecutive_local_origin_failure: 2,
      enforcing_consecutive_local_origin_failure: 100,
      consecutive_5xx: 1,
    }),
    prioritised('split-answers', [[a], [b]], {
      ...LONG,
      split_external_local_origin_errors: true,
      consecutive_local_origin_failure: 1,
      consecutive_5xx: 2,
    }),
    prioritised('unenforced', [[a], [b]], { ...LONG, consecutive_5xx: 1, enforcing_consecutive_5xx: 0 }),
    prioritised('few', [[a], [b]], { ...LONG, consecutive_5xx: 1, max_ejection_percent: 40 }),
    prioritised('one', [[a], [b]], {
      ...LONG,
      consecutive_5xx: 1,
      max_ejection_percent: 40,
      always_eject_one_host: true,
    }),
    prioritised('panic', [[a]], { ...LONG, consecutive_5xx: 1 }),
    prioritised(
      'none',
      [[a]],
      { ...LONG, consecutive_5xx: 1 },
      {
        common_lb_config: { healthy_panic_threshold: { value: 0 } },
      },
    ),
    prioritised(
      'back',
      [[a], [b]],
      {
        interval: '0.2s',
        base_ejection_time: '1s',
        max_ejection_time: '1.1s',
        max_ejection_time_jitter: '0.001s',
        max_ejection_percent: 100,
        consecutive_5xx: 1,
      },
      { common_lb_config: { update_merge_window: '0s' } },
    ),
    prioritised('rate', [[a], [b]], {
      ...LONG,
      interval: SWEEP,
      consecutive_5xx: 100,
      success_rate_minimum_hosts: 1,
      success_rate_request_volume: 2,
      success_rate_stdev_factor: 0,
      enforcing_success_rate: 100,
    }),
    prioritised('percentage', [[a], [b]], {
      ...LONG,
      interval: SWEEP,
      consecutive_5xx: 100,
      failure_percentage_minimum_hosts: 1,
      failure_percentage_request_volume: 2,
      failure_percentage_threshold: 50,
      enforcing_failure_percentage: 100,
    }),
    prioritised('local-percentage', [[dead], [b]], {
      ...LONG,
      interval: SWEEP,
      split_external_local_origin_errors: true,
      consecutive_local_origin_failure: 100,
      enforcing_local_origin_success_rate: 1,
      failure_percentage_minimum_hosts: 1,
      failure_percentage_request_volume: 2,
      enforcing_failure_percentage_local_origin: 100,
    }),
    prioritised('degraded', [[a], [b]], { ...LONG, detect_degraded_hosts: true }),
    prioritised(
      'drained',
      [[a], [b]],
      { ...LONG, consecutive_5xx: 2 },
      httpOptions({}, { max_requests_per_connection: 9 }),
    ),
    prioritised(
      'closing',
      [[a], [b]],
      { ...LONG, consecutive_5xx: 2 },
      { close_connections_on_host_health_failure: true },
    ),
    prioritised('merged', [[a], [b]], {
      interval: '0.2s',
      base_ejection_time: '0.1s',
      max_ejection_percent: 100,
      consecutive_5xx: 1,
    }),
    ...[
      ['match', { http_response_headers_match: { headers: [{ name: ':status', string_match: { prefix: '4' } }] } }],
      ['any', { any_match: true }],
      [
        'none',
        {
          and_match: {
            rules: [
              { any_match: true },
              {
                or_match: {
                  rules: [
                    { http_request_headers_match: { headers: [{ name: 'host' }] } },
                    { not_match: { any_match: true } },
                  ],
                },
              },
            ],
          },
        },
      ],
    ].map(([name, error_matcher]) =>
      prioritised(
        `error-${name}`,
        [[a], [b]],
        { ...LONG, consecutive_5xx: 2 },
        httpOptions({}, {}, { outlier_detection: { error_matcher } }),
      ),
    ),
    prioritised('raw', [[dead], [b]], { ...LONG, consecutive_5xx: 2 }),
    prioritised('raw-split', [[dead], [b]], {
      ...LONG,
      split_external_local_origin_errors: true,
      consecutive_local_origin_failure: 2,
    }),
  ];
};

export const outlier: Group = {
  name: 'outlier',
  listeners: ['main', 'tunnel', 'raw', 'raw-split'],
  upstreams: ['a', 'b'],
  stats: /^cluster\.[^.]+\.(outlier_detection\..*|membership_.*|lb_healthy_panic|upstream_rq_.xx|upstream_cx_total)$/,
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        http(
          ports,
          log,
          'main',
          routes([
            to('/late', 'late', { timeout: '0.4s' }),
            to('/retried', 'retried', { retry_policy: { retry_on: '5xx', num_retries: 1 } }),
            ...[
              ['five', 'run', 'gateway', 'reset', 'refused', 'split-answers', 'split', 'unenforced', 'few', 'one'],
              ['merged', 'error-match', 'error-any', 'error-none'],
              ['panic', 'none', 'back', 'rate', 'percentage', 'local-percentage', 'degraded', 'drained'],
            ].flatMap((names) => names.map((name) => to(`/${name}`, name))),
          ]),
        ),
        http(
          ports,
          log,
          'tunnel',
          routes([
            {
              match: { connect_matcher: {} },
              route: { cluster: 'closing', upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: {} }] },
            },
            to('/', 'closing'),
          ]),
          { http2_protocol_options: { allow_connect: true } },
        ),
        tcp(ports, log, 'raw', { stat_prefix: 'raw', cluster: 'raw', max_connect_attempts: 1 }),
        tcp(ports, log, 'raw-split', { stat_prefix: 'raw-split', cluster: 'raw-split', max_connect_attempts: 1 }),
      ],
      clusters(ports),
      { cluster_manager: { outlier_detection: { event_log_path: '/dev/null' } } },
    ),
  scenarios: [
    ask('success rate, what counts', '/rate', 4, [500, 200, 500, 500].map(STATUS), {
      client: quickRequests('/rate', 4),
    }),
    ask('failure percentage, what counts', '/percentage', 3, [STATUS(500)], {
      client: quickRequests('/percentage', 3),
    }),
    {
      name: 'failure percentage of connections, what counts',
      answers: 3,
      client: quickRequests('/local-percentage', 3),
    },
    ask('two errors in a row', '/five', 3, [STATUS(500), STATUS(501)]),
    ask('a success between errors', '/run', 4, [STATUS(500), STATUS(404), STATUS(500), STATUS(200)]),
    ask('gateway failures in a row', '/gateway', 6, [500, 502, 500, 503, 504].map(STATUS)),
    ask('resets', '/reset', 3, [[{ close: 'full' }]]),
    { name: 'refused connections', answers: 3, client: requests('/refused', 3) },
    ask('time-outs', '/late', 3, [[{ waitMs: 1_000 }]]),
    ask('each attempt counts', '/retried', 2, [STATUS(500)]),
    { name: 'unreachable, judged apart', answers: 3, client: requests('/split', 3) },
    ask('answers, judged apart', '/split-answers', 3, [STATUS(503)]),
    ask('detected but not enforced', '/unenforced', 3, [STATUS(500)]),
    ask('too many would be ejected', '/few', 3, [STATUS(500)]),
    ask('one host may always be ejected', '/one', 2, [STATUS(500)]),
    ask('the only host: panic', '/panic', 3, [STATUS(500)]),
    ask('the only host, without panic', '/none', 2, [STATUS(500)]),
    ask('back after a while', '/back', 3, [STATUS(500), STATUS(200)], {
      client: [...requests('/back', 2), { waitMs: 1_600 }, get('/back')],
    }),
    {
      name: 'a raw connection goes with its host',
      listener: 'tunnel',
      http2: 'polite',
      answers: 3,
      client: [
        preface() + headers(1, [':method: CONNECT', ':authority: a.example'], false),
        { waitMs: 100 },
        asks(3, '/'),
        { answers: 1 },
        asks(5, '/'),
      ],
      upstreams: { a: { replies: [STATUS(500)] } },
    },
    ask('back, but balancers are told later', '/merged', 4, [STATUS(500), STATUS(200)], {
      client: [...requests('/merged', 2), { waitMs: 400 }, get('/merged'), { waitMs: 1500 }, get('/merged')],
    }),
    ask('errors by a matcher', '/error-match', 4, [404, 503, 404, 499].map(STATUS)),
    ask('errors by a matcher in a row', '/error-match', 3, [400, 404].map(STATUS)),
    ask('everything is an error', '/error-any', 3, [STATUS(200)]),
    ask('nothing is an error', '/error-none', 3, [STATUS(500)]),
    ask('degraded by its own word', '/degraded', 3, [[answer('200 OK', ['x-envoy-degraded: 1'])]]),
    ask(
      'status of gRPC in a head',
      '/drained',
      3,
      [[answer('200 OK', ['content-type: application/grpc', 'grpc-status: 14'])]],
      {
        client: requests('/drained', 3, 'content-type: application/grpc'),
      },
    ),
    { name: 'raw, refused once', listener: 'raw', client: [{ waitMs: 60 }], answers: 0 },
    { name: 'raw, refused twice', listener: 'raw', client: [{ waitMs: 60 }], answers: 0 },
    { name: 'raw and apart, refused once', listener: 'raw-split', client: [{ waitMs: 60 }], answers: 0 },
    { name: 'raw and apart, refused twice', listener: 'raw-split', client: [{ waitMs: 60 }], answers: 0 },
    { name: 'time for that to take effect', client: [{ waitMs: 100 }, get('/run')] },
    // By then the sweep has come.
    { name: 'success rate', client: [get('/rate')] },
    { name: 'failure percentage', client: [get('/percentage')] },
    { name: 'failure percentage of connections', client: [get('/local-percentage')] },
    { name: 'raw, ejected', listener: 'raw', client: [get('/')] },
    { name: 'raw and apart, ejected', listener: 'raw-split', client: [get('/')] },
  ],
};
