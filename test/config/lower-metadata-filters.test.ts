// The filters that write metadata and filter state: their models, and Envoy's words for what they refuse.

import t from 'tap';
import { lowerRouteBuffer } from '../../proxy/config/lower/buffer.ts';
import { LowerContext } from '../../proxy/config/lower/common.ts';
import { FILTER_STATE_OBJECTS } from '../../proxy/config/lower/filter-state-objects.ts';
import { lowerHttpConnectionManager } from '../../proxy/config/lower/hcm.ts';
import { lowerSetConnectionState } from '../../proxy/config/lower/metadata-filters.ts';
import { hcm, lowered, ROUTER, refusal, TYPE } from '../fixtures/lower.ts';

const HCM = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

/** The model of a filter. */
function filter(type: string, config: object, routes: object = { name: 'r' }): unknown {
  const http_filters = [
    { name: 'it', typed_config: { '@type': `${TYPE}envoy.extensions.filters.http.${type}`, ...config } },
    ROUTER,
  ];
  const json = hcm({ http_filters, route_config: routes });
  return lowered(lowerHttpConnectionManager, HCM, json, new LowerContext()).httpFilters[0]?.config;
}

const toMetadata = (config: object): unknown => filter('header_to_metadata.v3.Config', config);
const rule = (config: object): unknown => toMetadata({ request_rules: [config] });

t.test('header_to_metadata', async (t) => {
  t.same(
    toMetadata({
      request_rules: [
        {
          header: 'X-É',
          remove: true,
          on_header_present: {
            metadata_namespace: 'né',
            key: 'ké',
            type: 'NUMBER',
            encode: 'BASE64',
            regex_value_rewrite: { pattern: { regex: 'a(.)' }, substitution: '\\1é' },
          },
        },
      ],
      response_rules: [{ cookie: 'cé', on_header_missing: { key: 'k', value: 'é', type: 'PROTOBUF_VALUE' } }],
      stat_prefix: 'p',
    }),
    {
      kind: 'header_to_metadata',
      requestRules: [
        {
          header: 'x-\xc3\x89',
          cookie: '',
          remove: true,
          onPresent: {
            namespace: 'né',
            key: 'ké',
            value: '',
            rewrite: { pattern: 'a(.)', substitution: '\\1\xc3\xa9' },
            type: 'number',
            base64: true,
          },
          onMissing: null,
        },
      ],
      responseRules: [
        {
          header: '',
          cookie: 'c\xc3\xa9',
          remove: false,
          onPresent: null,
          onMissing: {
            namespace: 'envoy.filters.http.header_to_metadata',
            key: 'k',
            value: '\xc3\xa9',
            rewrite: null,
            type: 'protobuf',
            base64: false,
          },
        },
      ],
      statPrefix: 'p',
    },
  );
  const present = { key: 'k' };
  const regex = { pattern: { regex: 'a' }, substitution: '' };
  t.match(
    refusal(() => rule({ header: 'h', cookie: 'c', on_header_present: present })),
    /Cannot specify both header and cookie in the same rule/,
  );
  t.match(
    refusal(() => rule({ on_header_present: present })),
    /One of Cookie or Header option needs to be specified/,
  );
  const lacks = 'has neither `on_header_present` nor `on_header_missing` set';
  t.match(
    refusal(() => rule({ header: 'h' })),
    `header to metadata filter: rule for header 'h' ${lacks}`,
  );
  t.match(
    refusal(() => rule({ cookie: 'c' })),
    `header to metadata filter: rule for cookie 'c' ${lacks}`,
  );
  t.match(
    refusal(() => rule({ header: 'h', on_header_present: { ...present, value: 'v', regex_value_rewrite: regex } })),
    /Cannot specify both value and regex_value_rewrite/,
  );
  t.match(
    refusal(() => rule({ cookie: 'c', remove: true, on_header_present: present })),
    /Cannot specify remove for cookie/,
  );
  t.match(
    refusal(() => rule({ header: 'h', on_header_missing: present })),
    /Cannot specify on_header_missing rule with an empty value/,
  );
});

t.test('header_to_metadata of a route', async (t) => {
  const routes = (config: object): object => ({
    name: 'r',
    typed_per_filter_config: {
      it: { '@type': `${TYPE}envoy.extensions.filters.http.header_to_metadata.v3.Config`, ...config },
    },
  });
  t.match(
    refusal(() => filter('header_to_metadata.v3.Config', {}, routes({}))),
    /Per filter configs must at least specify either request or response rules/,
  );
  t.ok(
    filter(
      'header_to_metadata.v3.Config',
      {},
      routes({ response_rules: [{ header: 'h', on_header_present: { key: 'k' } }] }),
    ),
  );
});

t.test('buffer', async (t) => {
  t.same(filter('buffer.v3.Buffer', { max_request_bytes: 7 }), { kind: 'buffer', requestBytesMax: 7 });
  const type = 'envoy.extensions.filters.http.buffer.v3.BufferPerRoute';
  const ofRoute = (config: object): number => lowered(lowerRouteBuffer, type, config).requestBytesMax;
  t.equal(ofRoute({ disabled: true }), -1);
  t.equal(ofRoute({ buffer: { max_request_bytes: 5 } }), 5);
});

t.test('set_metadata', async (t) => {
  const config = {
    metadata_namespace: 'old',
    value: { a: [1, { b: null }] },
    metadata: [
      { metadata_namespace: 'n', value: { c: 'é' } },
      { metadata_namespace: 't', typed_value: { '@type': `${TYPE}google.protobuf.StringValue`, value: 'x' } },
      { metadata_namespace: 't', typed_value: { '@type': `${TYPE}google.protobuf.StringValue`, value: 'y' } },
      { metadata_namespace: 'n', allow_overwrite: true, value: {} },
    ],
  };
  t.same(filter('set_metadata.v3.Config', config), {
    kind: 'set_metadata',
    entries: [
      { namespace: 'old', overwrite: true, value: { a: [1, { b: null }] } },
      { namespace: 'n', overwrite: false, value: { c: 'é' } },
      { namespace: 'n', overwrite: true, value: {} },
    ],
    typedDenied: 1,
  });
  t.same(filter('set_metadata.v3.Config', { value: { a: 1 } }), { kind: 'set_metadata', entries: [], typedDenied: 0 });
});

t.test('set_filter_state', async (t) => {
  const format = { text_format_source: { inline_string: '%REQ(x)%é' } };
  const state = (...on_request_headers: object[]): unknown =>
    filter('set_filter_state.v3.Config', { on_request_headers, clear_route_cache: true });
  t.same(
    state({
      object_key: 'ké',
      factory_key: 'envoy.string',
      format_string: format,
      shared_with_upstream: 'TRANSITIVE',
      skip_if_empty: true,
    }),
    {
      kind: 'set_filter_state',
      values: [
        {
          key: 'k\xc3\xa9',
          factory: 'envoy.string',
          format: { kind: 'text', format: '%REQ(x)%\xc3\xa9', omitEmptyValues: false },
          sharing: 'transitive',
          skipIfEmpty: true,
        },
      ],
      clearRouteCache: true,
    },
  );
  t.match(
    refusal(() => state({ object_key: 'own', format_string: format })),
    /'own' does not have an object factory/,
  );
  t.match(
    refusal(() => state({ object_key: 'envoy.string', format_string: { text_format: '%NO%' } })),
    /NO/,
  );
  const connection = lowered(lowerSetConnectionState, 'envoy.extensions.filters.network.set_filter_state.v3.Config', {
    on_new_connection: [{ object_key: 'envoy.string', format_string: format }],
    on_downstream_tls_handshake: [{ object_key: 'k', factory_key: 'envoy.network.ip', format_string: format }],
    on_downstream_data: [{ object_key: 'd', factory_key: 'envoy.string', format_string: format }],
  });
  t.same(
    connection.onNewConnection.map(({ key }) => key),
    ['envoy.string'],
  );
  t.same(
    connection.onTlsHandshake.map(({ factory }) => factory),
    ['envoy.network.ip'],
  );
  t.same(
    connection.onDownstreamData.map(({ key }) => key),
    ['d'],
  );
  t.equal(FILTER_STATE_OBJECTS.size, 21, 'as many as a stock Envoy 1.40 lists at its start');
  for (const [factory_key, answer] of FILTER_STATE_OBJECTS) {
    const lower = (): unknown => state({ object_key: factory_key, format_string: format });
    t.ok(state({ object_key: 'k', factory_key, format_string: format }), 'under another name nobody looks for it');
    if (typeof answer === 'string') t.ok(lower(), factory_key);
    else t.match(refusal(lower), `objects of '${factory_key}' are not supported: ${answer.refused}`);
  }
});
