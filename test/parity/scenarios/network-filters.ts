// Small network filters: limits of connections, echo, direct responses, and the records of a TCP connection's life.

import { answer, bootstrap, cluster, fileLog, get, http, router, routes, STATS, tcp, to } from '../config.ts';
import type { Group, Ports } from '../types.ts';

const NETWORK = 'type.googleapis.com/envoy.extensions.filters.network.';
const filter = (type: string, config: object = {}): object => ({
  name: type,
  typed_config: { '@type': `${NETWORK}${type}`, ...config },
});
const REASON = { reason: '%DOWNSTREAM_LOCAL_CLOSE_REASON%', type: '%ACCESS_LOG_TYPE%' };
const never = (config: object): object => ({
  ...config,
  runtime_enabled: { default_value: true, runtime_key: 'limits.off' },
});

/** A listener with filters before those it has. */
function behind(listener: object, ...filters: object[]): object {
  const { filter_chains } = listener as { filter_chains: { filters: object[] }[] };
  return {
    ...listener,
    filter_chains: filter_chains.map((chain) => ({ ...chain, filters: [...filters, ...chain.filters] })),
  };
}

/** A listener with these filters alone. */
function only(ports: Ports, log: string, name: string, ...filters: object[]): object {
  return {
    ...tcp(ports, log, name, { cluster: 'a' }),
    filter_chains: [{ filters }],
    access_log: [fileLog(log, REASON)],
  };
}

const bucket = (max: number): object => ({ max_tokens: max, tokens_per_fill: 1, fill_interval: '3600s' });

export const networkFilters: Group = {
  name: 'network-filters',
  listeners: ['main', 'echo', 'full', 'late', 'off', 'rated', 'shared', 'unrated', 'http', 'logged', 'older'],
  upstreams: ['a'],
  bootstrap: (ports, log) => {
    const proxy = (name: string, config: object = {}): object =>
      tcp(ports, log, name, { cluster: 'a', access_log: [fileLog(log, REASON)], ...config });
    const limit = (config: object): object =>
      filter('connection_limit.v3.ConnectionLimit', { stat_prefix: 'lim', max_connections: 1, ...config });
    const rate = (config: object): object =>
      filter('local_ratelimit.v3.LocalRateLimit', { stat_prefix: 'rate', token_bucket: bucket(1), ...config });
    return bootstrap(
      ports,
      [
        only(ports, log, 'main', filter('direct_response.v3.Config', { response: { inline_string: 'hello' } })),
        only(ports, log, 'echo', filter('echo.v3.Echo')),
        behind(proxy('full'), limit({})),
        behind(proxy('late'), limit({ stat_prefix: 'late', delay: '0.1s' }), filter('sni_cluster.v3.SniCluster')),
        behind(proxy('off'), limit(never({ stat_prefix: 'none' }))),
        behind(proxy('rated'), rate({ share_key: 'both' })),
        behind(proxy('shared'), rate({ share_key: 'both', stat_prefix: 'shared' })),
        behind(proxy('unrated'), rate(never({ stat_prefix: 'off' }))),
        behind(
          http(ports, log, 'http', routes([to('/', 'a')]), { http_filters: [router({})] }),
          rate({ stat_prefix: 'http' }),
        ),
        proxy('logged', {
          access_log_options: {
            access_log_flush_interval: '0.5s',
            flush_access_log_on_connected: true,
            flush_access_log_on_start: true,
          },
        }),
        proxy('older', { access_log_flush_interval: '0.5s', flush_access_log_on_connected: true }),
      ],
      [cluster('a', [ports['a']])],
      { layered_runtime: { layers: [{ name: 'static', static_layer: { limits: { off: false } } }] } },
    );
  },
  stats: new RegExp(`${STATS.source}|^connection_limit\\.(?!none)|^local_rate_limit\\.`),
  scenarios: [
    { name: 'direct response', answers: 0, client: [] },
    { name: 'direct response to who talks', answers: 0, client: ['talk'] },
    {
      name: 'echo',
      listener: 'echo',
      answers: 0,
      client: ['ping', { bytes: 4 }, 'pong', { bytes: 8 }, { close: 'fin' }],
    },
    {
      name: 'within the limit',
      listener: 'full',
      answers: 0,
      client: ['x', { close: 'fin' }],
      upstreams: { a: { raw: [{ read: 1 }, 'well'] } },
    },
    {
      name: 'off by runtime',
      listener: 'off',
      answers: 0,
      client: ['x', { close: 'fin' }],
      upstreams: { a: { raw: [{ read: 1 }, 'well'] } },
    },
    {
      name: 'a delay that is not needed',
      listener: 'late',
      answers: 0,
      client: ['x', { close: 'fin' }],
      upstreams: { a: { raw: [{ read: 1 }, 'well'] } },
    },
    {
      name: 'the first token',
      listener: 'rated',
      answers: 0,
      client: ['x', { close: 'fin' }],
      upstreams: { a: { raw: [{ read: 1 }, 'well'] } },
    },
    { name: 'no token', listener: 'rated', answers: 0, client: [] },
    { name: 'no token in the shared bucket', listener: 'shared', answers: 0, client: [] },
    {
      name: 'rate off by runtime',
      listener: 'unrated',
      answers: 0,
      client: ['x', { close: 'fin' }],
      upstreams: { a: { raw: [{ read: 1 }, 'well'] } },
    },
    {
      name: 'HTTP behind a limit',
      listener: 'http',
      client: [get('/')],
      upstreams: { a: { replies: [[answer('200 OK')]] } },
    },
    { name: 'HTTP refused', listener: 'http', answers: 0, client: [] },
    ...['logged', 'older'].map((listener) => ({
      name: `${listener}: records while a connection lives`,
      listener,
      answers: 0,
      client: ['x', { bytes: 1 }, { waitMs: 600 }, { close: 'fin' as const }],
      upstreams: { a: { raw: [{ read: 1 }, 'y'] } },
    })),
  ],
};
