// Budgets for retries: a share of the requests under way, or of those that began within an interval.

import { answer, bootstrap, cluster, get, http, routes, STATS, to } from '../config.ts';
import type { Group, Scenario, UpstreamScript } from '../types.ts';

const failing: UpstreamScript = { replies: [[answer('503 X', [], 'no')], [answer('200 OK', [], 'yes')]] };
const at = (name: string, path: string, a: UpstreamScript = {}): Scenario => ({
  name,
  client: [get(path)],
  upstreams: { a },
});
const budget = (retry_budget: object): object => ({
  circuit_breakers: { thresholds: [{ track_remaining: true, retry_budget }] },
});
const QUARTER = { budget_percent: { value: 25 }, min_retry_concurrency: 0 };
const NAMES = ['moment', 'interval', 'short', 'least'];

export const retryBudget: Group = {
  name: 'retry-budget',
  listeners: ['main'],
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        http(
          ports,
          log,
          'main',
          routes(
            NAMES.map((name) => to(`/${name}`, name, { retry_policy: { retry_on: '5xx' } })),
            { include_attempt_count_in_response: true },
          ),
        ),
      ],
      [
        cluster('moment', [ports['a']], budget(QUARTER)),
        cluster('interval', [ports['a']], budget({ ...QUARTER, budget_interval: '60s' })),
        cluster('short', [ports['a']], budget({ ...QUARTER, budget_interval: '0.1s' })),
        cluster('least', [ports['a']], budget({ budget_percent: { value: 0 }, budget_interval: '60s' })),
      ],
    ),
  stats: new RegExp(`${STATS.source}|remaining_retries|rq_retry_open`),
  scenarios: [
    ...[1, 2, 3].flatMap((i) => ['moment', 'interval', 'short'].map((name) => at(`${name} ${i}`, `/${name}`))),
    at('the only request under way', '/moment', failing),
    at('the fourth request of an interval', '/interval', failing),
    at('the fifth one', '/interval'),
    at('the seventh one', '/interval', failing),
    { ...at('the first one after an interval', '/short', failing), client: [{ waitMs: 250 }, get('/short')] },
    at('some in any case', '/least', failing),
  ],
};
