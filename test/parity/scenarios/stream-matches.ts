// Routes that match on what is known of a request besides its head: metadata, filter state, the client's certificate.

import { downstreamTls, file, pair } from '../../fixtures/tls.ts';
import { bootstrap, cluster, get, http, router, routes, STATS } from '../config.ts';
import type { ClientTls, Group, Scenario } from '../types.ts';

const FILTERS = 'type.googleapis.com/envoy.extensions.filters.http.';

const METADATA = {
  text: 'abc',
  three: 3,
  yes: true,
  none: null,
  list: ['x', 'abc'],
  mixed: [null, 1],
  deep: { below: { text: 'abc' } },
  beyond: '\u00fc',
};
const SET_METADATA = {
  name: 'metadata',
  typed_config: {
    '@type': `${FILTERS}set_metadata.v3.Config`,
    metadata: [{ metadata_namespace: 'test', value: METADATA }],
  },
};

const object = (object_key: string, factory_key: string, inline_string: string): object => ({
  object_key,
  factory_key,
  format_string: { text_format_source: { inline_string } },
});
/** Routes are looked for anew when it has written. */
const SET_STATE = {
  name: 'state',
  typed_config: {
    '@type': `${FILTERS}set_filter_state.v3.Config`,
    clear_route_cache: true,
    on_request_headers: [
      object('text', 'envoy.string', 'abc'),
      object('v4', 'envoy.network.ip', '10.1.2.3'),
      object('v6', 'envoy.network.ip', '2001:db8::1'),
    ],
  },
};

const here = (path: string, match: object): object => ({
  name: path,
  match: { path, ...match },
  direct_response: { status: 200, body: { inline_string: 'matched' } },
});
const byMetadata = (path: string, keys: string, value: object, more: object = {}): object =>
  here(path, {
    dynamic_metadata: [{ filter: 'test', path: keys.split('.').map((key) => ({ key })), value, ...more }],
  });
const byState = (path: string, key: string, match: object): object => here(path, { filter_state: [{ key, ...match }] });
const text = (exact: string): object => ({ string_match: { exact } });
const range = (address_prefix: string, prefix_len: number, more: object = {}): object => ({
  address_match: { ranges: [{ address_prefix, prefix_len }], ...more },
});
const some = (one_of: object): object => ({ list_match: { one_of } });
const either = (...value_matchers: object[]): object => ({ or_match: { value_matchers } });

const LIST = [
  byMetadata('/m/text', 'text', text('abc')),
  byMetadata('/m/text/not', 'text', text('abc'), { invert: true }),
  byMetadata('/m/text/number', 'three', text('3')),
  byMetadata('/m/beyond', 'beyond', text('\u00fc')),
  byMetadata('/m/regex', 'text', { string_match: { safe_regex: { regex: 'a.*' } } }),
  byMetadata('/m/deep', 'deep.below.text', text('abc')),
  byMetadata('/m/deep/struct', 'deep.below', { present_match: true }),
  byMetadata('/m/deep/in-text', 'text.below', { present_match: true }),
  byMetadata('/m/present', 'none', { present_match: true }),
  byMetadata('/m/present/false', 'missing', { present_match: false }),
  byMetadata('/m/present/missing', 'missing', { present_match: true }),
  byMetadata('/m/missing/not', 'missing', text('abc'), { invert: true }),
  byMetadata('/m/null', 'none', { null_match: {} }),
  byMetadata('/m/null/missing', 'missing', { null_match: {} }),
  byMetadata('/m/bool', 'yes', { bool_match: true }),
  byMetadata('/m/exact', 'three', { double_match: { exact: 3 } }),
  byMetadata('/m/range', 'three', { double_match: { range: { start: 1, end: 3 } } }),
  byMetadata('/m/list', 'list', some(text('abc'))),
  byMetadata('/m/list/nothing', 'text', some(text('abc'))),
  byMetadata('/m/list/or', 'mixed', some(either({ bool_match: true }, { null_match: {} }))),
  byMetadata('/m/or', 'three', either(text('abc'), { double_match: { exact: 3 } })),
  byMetadata('/m/or/neither', 'yes', either(text('abc'), { double_match: { exact: 3 } })),
  byState('/s/text', 'text', text('abc')),
  byState('/s/text/other', 'text', text('abd')),
  byState('/s/missing', 'missing', { string_match: { safe_regex: { regex: '.*' } } }),
  byState('/s/address-text', 'v4', { string_match: { prefix: '10.1.' } }),
  byState('/s/v4', 'v4', range('10.0.0.0', 8)),
  byState('/s/v4/other', 'v4', range('10.2.0.0', 16)),
  byState('/s/v4/not', 'v4', range('10.2.0.0', 16, { invert_match: true })),
  byState('/s/v6', 'v6', range('2001:db8::', 32)),
  byState('/s/v6/by-v4', 'v6', range('0.0.0.0', 0)),
  byState('/s/text/no-address', 'text', range('10.0.0.0', 8, { invert_match: true })),
  byState('/s/missing/no-address', 'missing', range('10.0.0.0', 8, { invert_match: true })),
  { match: { prefix: '/' }, direct_response: { status: 404, body: { inline_string: 'not matched' } } },
];

const certificate = (name: string, tls_context: object): object => ({
  name,
  match: { prefix: '/', tls_context },
  direct_response: { status: 200, body: { inline_string: name } },
});
const CERTIFICATES = [
  certificate('validated', { validated: true }),
  certificate('presented, not validated', { presented: true, validated: false }),
  certificate('none', { presented: false, validated: false }),
];
const ROOTS = { trusted_ca: file('ca.pem') };
/** Listeners by what they do about a client's certificate. */
const VALIDATION: Readonly<Record<string, object>> = {
  lenient: { ...ROOTS, trust_chain_verification: 'ACCEPT_UNTRUSTED' },
  roots: ROOTS,
};

const one = (path: string): Scenario => ({ name: path, client: [get(path)] });
const secure = (name: string, listener: string, tls: ClientTls): Scenario => ({
  name,
  listener,
  tls,
  client: [get('/')],
});

export const streamMatches: Group = {
  name: 'stream-matches',
  listeners: ['main', 'plain', ...Object.keys(VALIDATION)],
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        http(ports, log, 'main', routes(LIST), { http_filters: [SET_METADATA, SET_STATE, router({})] }),
        http(ports, log, 'plain', routes(CERTIFICATES)),
        ...Object.entries(VALIDATION).map(([name, validation_context]) => {
          const listener = http(ports, log, name, routes(CERTIFICATES)) as { filter_chains: object[] };
          const common = { tls_certificates: [pair('server')], validation_context };
          const transport_socket = downstreamTls(common, { require_client_certificate: false });
          return {
            ...listener,
            filter_chains: listener.filter_chains.map((chain) => ({ ...chain, transport_socket })),
          };
        }),
      ],
      [cluster('a', [ports['a']])],
    ),
  stats: STATS,
  scenarios: [
    ...LIST.slice(0, -1).map((route) => one((route as { readonly name: string }).name)),
    { name: 'clear text', listener: 'plain', client: [get('/')] },
    secure('a certificate that is judged', 'roots', { certificate: 'client' }),
    secure('no certificate', 'roots', {}),
    secure('a certificate that is trusted', 'lenient', { certificate: 'client' }),
    secure('a certificate that is not trusted', 'lenient', { certificate: 'client-foreign' }),
    secure('no certificate, leniently', 'lenient', {}),
  ],
};
