// Generic matchers: shares by hash, and inputs and tests that have nothing to say where they stand.

import { address, bootstrap, cluster, get, http } from '../config.ts';
import type { Group, Scenario } from '../types.ts';

const TYPES = 'type.googleapis.com/';
const INPUTS = 'envoy.extensions.matching.common_inputs.';
const TESTS = 'envoy.extensions.matching.input_matchers.';

function extension(type: string, config: object = {}): object {
  return { name: type, typed_config: { '@type': TYPES + type, ...config } };
}
const X = extension('envoy.type.matcher.v3.HttpRequestHeaderMatchInput', { header_name: 'x' });
const share = (default_value: object, more: object = {}, runtime_key = ''): object => ({
  custom_match: extension(`${TESTS}runtime_fraction.v3.RuntimeFraction`, {
    runtime_fraction: { default_value, ...(runtime_key === '' ? {} : { runtime_key }) },
    ...more,
  }),
});
const metadata = (more: object = {}): object => ({
  custom_match: extension(`${TESTS}metadata.v3.Metadata`, {
    value: { string_match: { safe_regex: { regex: '.*' } } },
    ...more,
  }),
});
const when = (input: object, test: object): object => ({ single_predicate: { input, ...test } });
const not = (predicate: object): object => ({ not_matcher: predicate });
const route = (name: string): object => ({
  action: extension('envoy.config.route.v3.Route', {
    match: { prefix: '/' },
    direct_response: { status: 200, body: { inline_string: name } },
  }),
});
const chain = (value: string): object => ({ action: extension('google.protobuf.StringValue', { value }) });
const choose = (predicate: object, to: (name: string) => object): object => ({
  matcher_list: { matchers: [{ predicate, on_match: to('in') }] },
  on_no_match: to('out'),
});

/** Of requests, by the name of their virtual host. */
const REQUESTS: Readonly<Record<string, object>> = {
  half: when(X, share({ numerator: 50 })),
  seeded: when(X, share({ numerator: 50 }, { seed: 7 })),
  large: when(X, share({ numerator: 400_000, denominator: 'MILLION' }, { seed: '18446744073709551615' })),
  none: when(X, share({ numerator: 0 })),
  all: when(X, share({ numerator: 100 })),
  runtime: when(X, share({ numerator: 0 }, {}, 'share.number')),
  fraction: when(X, share({ numerator: 0 }, {}, 'share.fraction')),
  unset: when(X, share({ numerator: 50 }, {}, 'not.set')),
  metadata: when(X, metadata()),
  inverted: when(X, metadata({ invert: true })),
  'not-metadata': not(when(X, metadata())),
};
const ANYTHING = { value_match: { safe_regex: { google_re2: {}, regex: '.*' } } };
const SOURCE = extension(`${INPUTS}network.v3.SourceIPInput`);
/** Of connections, by the name of their listener. */
const CONNECTIONS: Readonly<Record<string, object>> = {
  ...Object.fromEntries(
    [1, 2, 3, 4].map((seed) => [`share ${seed}`, when(SOURCE, share({ numerator: 50 }, { seed }))]),
  ),
  runtime: when(SOURCE, share({ numerator: 0 }, {}, 'share.all')),
  ...Object.fromEntries(
    ['UriSan', 'DnsSan', 'Subject'].map((name) => [name, when(extension(`${INPUTS}ssl.v3.${name}Input`), ANYTHING)]),
  ),
};

/** A listener whose chains say their names. */
function chooser(port: number | undefined, name: string, predicate: object): object {
  return {
    name,
    address: address(port),
    filter_chain_matcher: choose(predicate, chain),
    filter_chains: ['in', 'out'].map((each) => ({
      name: each,
      filters: [
        extension('envoy.extensions.filters.network.direct_response.v3.Config', { response: { inline_string: each } }),
      ],
    })),
  };
}

const VALUES = ['', 'a', 'b', 'c', 'd', 'e', 'f', 'user-1', 'user-2', 'a longer value of more than thirty-two bytes'];

export const matcherInputs: Group = {
  name: 'matcher-inputs',
  listeners: ['main', ...Object.keys(CONNECTIONS)],
  upstreams: [],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        http(ports, log, 'main', {
          name: 'r',
          virtual_hosts: Object.entries(REQUESTS).map(([name, predicate]) => ({
            name,
            domains: [name],
            matcher: choose(predicate, route),
          })),
        }),
        ...Object.entries(CONNECTIONS).map(([name, predicate]) => chooser(ports[name], name, predicate)),
      ],
      [cluster('none', [])],
      {
        layered_runtime: {
          layers: [
            {
              name: 'static',
              static_layer: {
                share: { number: 40, all: 100, fraction: { numerator: 600_000, denominator: 'MILLION' } },
              },
            },
          ],
        },
      },
    ),
  scenarios: [
    ...Object.keys(REQUESTS).map(
      (name): Scenario => ({
        name,
        answers: VALUES.length + 1,
        client: [
          get('/', `host: ${name}`),
          ...VALUES.flatMap((value, i) => [{ answers: i + 1 }, get('/', `host: ${name}`, `x: ${value}`)]),
        ],
      }),
    ),
    ...Object.keys(CONNECTIONS).map(
      (name): Scenario => ({ name: `connection: ${name}`, listener: name, answers: 0, client: [] }),
    ),
  ],
};
