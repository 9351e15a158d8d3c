// Listener filters: every honoured field with a non-default value, Envoy's defaults, refusals.

import t from 'tap';
import { DEFAULT_LOWER_OPTIONS, LowerContext } from '../../proxy/config/lower/common.ts';
import { lowerListener } from '../../proxy/config/lower/listener.ts';
import type { ListenerModel } from '../../proxy/config/model/listener.ts';
import { lowered, refusal, TYPE, tcpFilter } from '../fixtures/lower.ts';

const FILTERS = `${TYPE}envoy.extensions.filters.listener.`;
const TLS = `${FILTERS}tls_inspector.v3.TlsInspector`;
const HTTP = `${FILTERS}http_inspector.v3.HttpInspector`;
const PROXY = `${FILTERS}proxy_protocol.v3.ProxyProtocol`;

function lower(filters: readonly object[], more: object = {}, ctx = new LowerContext()): ListenerModel {
  return lowered(
    lowerListener,
    'envoy.config.listener.v3.Listener',
    {
      address: { socket_address: { address: '127.0.0.1', port_value: 8080 } },
      filter_chains: [{ filters: [tcpFilter()] }],
      listener_filters: filters,
      ...more,
    },
    ctx,
  );
}

const filter = (type: string, config: object = {}, more: object = {}): object => ({
  name: 'f',
  typed_config: { '@type': type, ...config },
  ...more,
});

t.test('defaults', async (t) => {
  t.same(lower([filter(TLS), filter(HTTP), filter(PROXY)]).listenerFilters, [
    { kind: 'tls_inspector', ja3: false, ja4: false, helloBytesMax: 16_384, closeOnErrors: false, disabled: null },
    { kind: 'http_inspector', disabled: null },
    {
      kind: 'proxy_protocol',
      rules: [],
      optional: false,
      passThrough: { all: false, types: [] },
      allowV1: true,
      allowV2: true,
      statPrefix: '',
      disabled: null,
    },
  ]);
});

t.test('a rate limit', async (t) => {
  const limit = `${FILTERS}local_ratelimit.v3.LocalRateLimit`;
  const bucket = { max_tokens: 3, tokens_per_fill: 2, fill_interval: '1s' };
  const runtime_enabled = { default_value: false, runtime_key: 'limit.on' };
  const model = lower([filter(limit, { stat_prefix: 'x', token_bucket: bucket, runtime_enabled })]);
  t.equal(model.gates, 1);
  t.same(model.listenerFilters, [
    {
      kind: 'local_ratelimit',
      config: {
        statPrefix: 'x',
        maxTokens: 3,
        tokensPerFill: 2,
        fillIntervalMs: 1_000,
        shareKey: '',
        enabled: { defaultValue: false, runtimeKey: 'limit.on' },
      },
      disabled: null,
    },
  ]);
  const fast = { max_tokens: 1, fill_interval: '0.01s' };
  t.match(
    refusal(() => lower([filter(limit, { stat_prefix: 'x', token_bucket: fast })])),
    'fill timer must be >= 50ms',
  );
});

t.test('use_proxy_proto of the first chain puts a filter behind the others', async (t) => {
  const chain = (use_proxy_proto: boolean): object => ({ use_proxy_proto, filters: [tcpFilter()] });
  const kinds = (...chains: object[]): string[] =>
    lower([filter(TLS)], { filter_chains: chains }).listenerFilters.map(({ kind }) => kind);
  t.same(kinds(chain(true)), ['tls_inspector', 'proxy_protocol']);
  t.same(kinds(chain(false)), ['tls_inspector']);
});

t.test('original destination and source', async (t) => {
  const src = `${FILTERS}original_src.v3.OriginalSrc`;
  const filters = [
    filter(`${FILTERS}original_dst.v3.OriginalDst`),
    filter(src),
    filter(src, { bind_port: true, mark: 1337 }),
  ];
  t.same(lower(filters).listenerFilters, [
    { kind: 'original_dst', disabled: null },
    { kind: 'original_src', bindPort: false, mark: 0, disabled: null },
    { kind: 'original_src', bindPort: true, mark: 1337, disabled: null },
  ]);
});

t.test('every field', async (t) => {
  const listener = lower(
    [
      filter(TLS, {
        enable_ja3_fingerprinting: true,
        enable_ja4_fingerprinting: true,
        initial_read_buffer_size: 512,
        max_client_hello_size: 1024,
        close_connection_on_client_hello_parsing_errors: true,
      }),
      filter(PROXY, {
        rules: [
          { tlv_type: 5, on_tlv_present: { key: 'k' } },
          { tlv_type: 6, on_tlv_present: { metadata_namespace: 'n', key: 'é', value_string_encoding: 'BASE64' } },
          { tlv_type: 7 },
        ],
        allow_requests_without_proxy_protocol: true,
        pass_through_tlvs: { match_type: 'INCLUDE', tlv_type: [5, 6] },
        disallowed_versions: ['V1', 'V2'],
        stat_prefix: 's',
        tlv_location: 'DYNAMIC_METADATA',
      }),
      filter(PROXY, { pass_through_tlvs: {}, disallowed_versions: ['V2'] }),
    ],
    { listener_filters_timeout: '0s', continue_on_listener_filters_timeout: true },
  );
  t.equal(listener.listenerFiltersTimeoutMs, 0);
  t.equal(listener.continueOnListenerFiltersTimeout, true);
  const [tls, first, second] = listener.listenerFilters;
  t.same(tls, {
    kind: 'tls_inspector',
    ja3: true,
    ja4: true,
    helloBytesMax: 1024,
    closeOnErrors: true,
    disabled: null,
  });
  t.same(first, {
    kind: 'proxy_protocol',
    rules: [
      { type: 5, namespace: 'envoy.filters.listener.proxy_protocol', key: 'k', encoding: 'sanitized' },
      { type: 6, namespace: 'n', key: 'é', encoding: 'base64' },
    ],
    optional: true,
    passThrough: { all: false, types: [5, 6] },
    allowV1: false,
    allowV2: false,
    statPrefix: 's',
    disabled: null,
  });
  t.match(second, { passThrough: { all: true, types: [] }, allowV1: true, allowV2: false });
});

t.test('servers that speak first', async (t) => {
  const patient = new LowerContext({ options: { ...DEFAULT_LOWER_OPTIONS, serverFirstMs: 5 } });
  const of = (listener_filters_timeout: string): number =>
    lower([filter(HTTP)], { listener_filters_timeout }, patient).serverFirstMs;
  t.equal(of('0s'), 5, 'where the filters wait for ever');
  t.equal(of('1s'), 0, 'not where their time is limited');
});

t.test('predicates', async (t) => {
  const of = (filter_disabled: object): unknown =>
    lower([filter(HTTP, {}, { filter_disabled })]).listenerFilters[0]?.disabled;
  const range = { destination_port_range: { start: 1, end: 3 } };
  const port = { kind: 'destination_port', start: 1, end: 3 };
  t.same(of({ any_match: true }), { kind: 'any' });
  t.same(of(range), port);
  t.same(of({ not_match: range }), { kind: 'not', rule: port });
  t.same(of({ or_match: { rules: [range, { any_match: true }] } }), { kind: 'or', rules: [port, { kind: 'any' }] });
  t.same(of({ and_match: { rules: [range, range] } }), { kind: 'and', rules: [port, port] });
  let deep: object = { any_match: true };
  for (let i = 0; i < 80; i++) deep = { not_match: deep };
  t.match(of(deep), { kind: 'not', rule: { kind: 'not' } }, 'as deep as configurations nest');
});

t.test('refusals', async (t) => {
  t.match(
    refusal(() => lower([{ name: 'x' }])),
    "Didn't find a registered implementation for 'x' with type URL: ''",
  );
  const other = `${FILTERS}set_filter_state.v3.Config`;
  t.match(
    refusal(() => lower([filter(other)])),
    `Didn't find a registered implementation for 'f' with type URL: '${other.slice(TYPE.length)}'`,
  );
});
