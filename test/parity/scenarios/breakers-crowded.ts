// Circuit breakers under several requests at once, over connections that carry one each.

import { answer, bootstrap, cluster, http, routes, STATS, to } from '../config.ts';
import { ask, preface } from '../frames.ts';
import type { Group, Scenario, UpstreamScript } from '../types.ts';

const OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const oneStream = {
  typed_extension_protocol_options: {
    [OPTIONS]: {
      '@type': `type.googleapis.com/${OPTIONS}`,
      explicit_http_config: { http2_protocol_options: { max_concurrent_streams: 1 } },
    },
  },
};
const CROWD = 4;
const slow: UpstreamScript = { replies: [[{ waitMs: 100 }, answer('200 OK', [], 'ok')]] };
const slowHttp2: UpstreamScript = {
  http2: { replies: [[{ waitMs: 100 }, { head: [':status: 200'] }, { data: 'ok', end: true }]] },
};

const LIMITS: Readonly<Record<string, object>> = {
  'no-connection': { thresholds: [{ max_connections: 0 }] },
  'one-connection': { thresholds: [{ max_connections: 1 }] },
  'one-connection-two-wait': { thresholds: [{ max_connections: 1, max_pending_requests: 2 }] },
  'two-connections-one-request': { thresholds: [{ max_connections: 2, max_requests: 1 }] },
  'one-request': { thresholds: [{ max_requests: 1 }] },
  'one-connection-a-host': { per_host_thresholds: [{ max_connections: 1 }] },
};

const crowd = (path: string, a: UpstreamScript): Scenario => ({
  name: path,
  http2: 'polite',
  answers: CROWD,
  client: [preface() + Array.from({ length: CROWD }, (_, i) => ask(1 + 2 * i, path)).join('')],
  upstreams: { a },
});

export const breakersCrowded: Group = {
  name: 'breakers-crowded',
  listeners: ['main'],
  upstreams: ['a'],
  stats: STATS,
  bootstrap: (ports, log) => {
    // Names that begin with others come before those.
    const names = Object.keys(LIMITS).sort().reverse();
    return bootstrap(
      ports,
      [
        http(
          ports,
          log,
          'main',
          routes(names.flatMap((name) => [to(`/http1/${name}`, name), to(`/http2/${name}`, `${name}-http2`)])),
        ),
      ],
      names.flatMap((name) => {
        const circuit_breakers = LIMITS[name];
        return [
          cluster(name, [ports['a']], { circuit_breakers }),
          cluster(`${name}-http2`, [ports['a']], { circuit_breakers, ...oneStream }),
        ];
      }),
    );
  },
  scenarios: Object.keys(LIMITS).flatMap((name) => [crowd(`/http1/${name}`, slow), crowd(`/http2/${name}`, slowHttp2)]),
};
