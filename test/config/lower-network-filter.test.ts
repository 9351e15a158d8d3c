// The small network filters, and the records of the TCP proxy.

import t from 'tap';
import { LowerContext } from '../../proxy/config/lower/common.ts';
import { lowerListener } from '../../proxy/config/lower/listener.ts';
import type { ListenerModel, NetworkFilterModel } from '../../proxy/config/model/listener.ts';
import { lowered, refusal, TYPE, tcpFilter } from '../fixtures/lower.ts';

const NETWORK = `${TYPE}envoy.extensions.filters.network.`;

function listener(...filters: readonly object[]): ListenerModel {
  const address = { socket_address: { address: '127.0.0.1', port_value: 1 } };
  const json = { address, filter_chains: [{ filters }] };
  return lowered(lowerListener, 'envoy.config.listener.v3.Listener', json, new LowerContext());
}

function first(type: string, config: object, terminal = false): NetworkFilterModel | undefined {
  const filter = { name: 'it', typed_config: { '@type': `${NETWORK}${type}`, ...config } };
  return listener(filter, ...(terminal ? [] : [tcpFilter()])).filterChains[0]?.filters[0];
}

t.test('connection_limit', async (t) => {
  const type = 'connection_limit.v3.ConnectionLimit';
  t.same(first(type, { stat_prefix: 's', max_connections: 3 }), {
    kind: 'connection_limit',
    config: { statPrefix: 's', maxConnections: 3, delayMs: 0, enabled: { defaultValue: true, runtimeKey: '' } },
  });
  const runtime_enabled = { default_value: false, runtime_key: 'k' };
  t.match(first(type, { stat_prefix: 's', max_connections: 3, delay: '0.5s', runtime_enabled }), {
    config: { delayMs: 500, enabled: { defaultValue: false, runtimeKey: 'k' } },
  });
});

t.test('local_ratelimit', async (t) => {
  const type = 'local_ratelimit.v3.LocalRateLimit';
  const rest = { stat_prefix: 's', share_key: 'k', runtime_enabled: { default_value: true, runtime_key: 'r' } };
  t.same(first(type, { ...rest, token_bucket: { max_tokens: 5, tokens_per_fill: 2, fill_interval: '1s' } }), {
    kind: 'local_ratelimit',
    config: {
      statPrefix: 's',
      maxTokens: 5,
      tokensPerFill: 2,
      fillIntervalMs: 1_000,
      shareKey: 'k',
      enabled: { defaultValue: true, runtimeKey: 'r' },
    },
  });
  t.match(
    refusal(() => first(type, { ...rest, token_bucket: { max_tokens: 5, fill_interval: '0.01s' } })),
    /local rate limit token bucket fill timer must be >= 50ms$/,
  );
});

t.test('sni_cluster, echo, direct_response', async (t) => {
  t.same(first('sni_cluster.v3.SniCluster', {}), { kind: 'sni_cluster' });
  t.same(first('echo.v3.Echo', {}, true), { kind: 'echo' });
  t.same(first('direct_response.v3.Config', {}, true), { kind: 'direct_response', body: '' });
  t.same(first('direct_response.v3.Config', { response: { inline_string: 'é' } }, true), {
    kind: 'direct_response',
    body: 'Ã©',
  });
  t.match(
    refusal(() => first('echo.v3.Echo', {})),
    /terminal filter named it of type envoy.filters.network.echo must be the last filter/,
  );
  t.match(
    refusal(() => first('sni_cluster.v3.SniCluster', {}, true)),
    /non-terminal filter named it of type envoy.filters.network.sni_cluster is the last filter/,
  );
});

t.test('gates are counted over all chains', async (t) => {
  t.equal(listener(tcpFilter()).gates, 0);
  const gate = { name: 'it', typed_config: { '@type': `${NETWORK}sni_cluster.v3.SniCluster` } };
  t.equal(listener(gate, gate, tcpFilter()).gates, 2);
});

t.test('records of a TCP connection', async (t) => {
  const logging = (extra: object): readonly unknown[] => {
    const filter = listener(tcpFilter(extra)).filterChains[0]?.filters[0];
    if (filter?.kind !== 'tcp_proxy') throw new Error('no TCP proxy');
    const { accessLogFlushIntervalMs, flushAccessLogOnStart, flushAccessLogOnConnected } = filter.config;
    return [accessLogFlushIntervalMs, flushAccessLogOnStart, flushAccessLogOnConnected];
  };
  const set = { access_log_flush_interval: '2s', flush_access_log_on_connected: true };
  t.same(logging({}), [0, false, false]);
  t.same(logging(set), [2_000, false, true]);
  t.same(logging({ access_log_options: { ...set, flush_access_log_on_start: true } }), [2_000, true, true]);
});
