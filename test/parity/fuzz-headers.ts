// Random header mutations, cross-origin policies and other configuration of filters.

import { HEADER_NAMES, type Json, type Maker, QUERY_NAMES, VALUES } from './fuzz-maker.ts';

const FILTERS = 'type.googleapis.com/envoy.extensions.filters.http.';
const ACTIONS = ['APPEND_IF_EXISTS_OR_ADD', 'ADD_IF_ABSENT', 'OVERWRITE_IF_EXISTS_OR_ADD', 'OVERWRITE_IF_EXISTS'];

/** Everything whose value is the same on both sides. */
const OPERATORS = [
  '%REQ(x-a)%',
  '%REQ(X-B?x-c)%',
  '%REQ(:PATH):4%',
  '%REQ(:AUTHORITY)%',
  '%REQ(:METHOD)%',
  '%RESP(x-a)%',
  '%RESP(content-type?x-b)%',
  '%PROTOCOL%',
  '%RESPONSE_CODE%',
  '%RESPONSE_CODE_DETAILS%',
  '%RESPONSE_FLAGS%',
  '%ROUTE_NAME%',
  '%UPSTREAM_CLUSTER%',
  '%UPSTREAM_HOST%',
  '%UPSTREAM_REQUEST_ATTEMPT_COUNT%',
  '%VIRTUAL_CLUSTER_NAME%',
  '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%',
  '%BYTES_RECEIVED%',
  '%QUERY_PARAM(p)%',
  '%QUERY_PARAMS(DECODED)%',
  '%PATH(WQ)%',
  '%PATH(NQ:ORIG)%',
  '%METADATA(ROUTE:m:k)%',
  '%METADATA(VIRTUAL_HOST:m:k)%',
  '%DYNAMIC_METADATA(m:k)%',
  '%FILTER_STATE(none)%',
  '%REQUESTED_SERVER_NAME%',
  '%CONNECTION_TERMINATION_DETAILS%',
  '100%%',
] as const;

/** A format: text, an operator, or both. */
export function makeFormat(maker: Maker): string {
  if (maker.chance(50)) return maker.pick(VALUES.filter((value) => value !== '%'));
  const text = maker.chance(40) ? maker.pick(['v-', 'a b ', 'é']) : '';
  return text + maker.pick(OPERATORS) + (maker.chance(20) ? maker.pick(OPERATORS) : '');
}

function makeName(maker: Maker): string {
  if (maker.chance(80)) return maker.pick(HEADER_NAMES);
  return maker.pick(['X-A', 'user-agent', 'accept', 'x-new', 'x-forwarded-for', 'cookie', 'x-envoy-own', 'te']);
}

function makeAdd(maker: Maker): Json {
  const appending: Json = maker.chance(15)
    ? { append: maker.chance(50) }
    : maker.chance(85)
      ? { append_action: maker.pick(ACTIONS) }
      : {};
  return {
    header: { key: makeName(maker), value: makeFormat(maker) },
    ...appending,
    ...maker.maybe(25, () => ({ keep_empty_value: true })),
  };
}

/** The four lists of a route, a virtual host, a weighted cluster or a configuration. */
export function makeHeaderMutations(maker: Maker): Json {
  if (maker.chance(45)) return {};
  const response = (): string =>
    maker.chance(20) ? maker.pick(['content-type', 'x-up', 'server', 'date']) : makeName(maker);
  return {
    ...maker.list('request_headers_to_add', 3, () => makeAdd(maker)),
    ...maker.list('request_headers_to_remove', 2, () => makeName(maker)),
    ...maker.list('response_headers_to_add', 3, () => makeAdd(maker)),
    ...maker.list('response_headers_to_remove', 2, response),
  };
}

/** Fields of a route's `CorsPolicy`; origins are hinted. */
function makeCors(maker: Maker): Json {
  return {
    ...maker.list('allow_origin_string_match', 3, () =>
      maker.chance(25) ? { exact: '*' } : maker.stringMatch((origin) => maker.hints.headers.push(`origin: ${origin}`)),
    ),
    ...maker.maybe(40, () => ({ allow_methods: 'GET,PUT' })),
    ...maker.maybe(40, () => ({ allow_headers: 'x-a' })),
    ...maker.maybe(40, () => ({ expose_headers: 'x-b' })),
    ...maker.maybe(30, () => ({ max_age: '60' })),
    ...maker.maybe(40, () => ({ allow_credentials: maker.chance(60) })),
    ...maker.maybe(20, () => ({ filter_enabled: maker.runtimeFraction() })),
    ...maker.maybe(15, () => ({ shadow_enabled: maker.runtimeFraction() })),
    ...maker.maybe(15, () => ({ allow_private_network_access: true })),
    ...maker.maybe(20, () => ({ forward_not_matching_preflights: maker.chance(50) })),
  };
}

/** `Mutations` of the header_mutation filter. */
function makeMutations(maker: Maker): Json {
  const mutation = (): Json => {
    if (maker.chance(25)) return { remove: makeName(maker) };
    if (maker.chance(15)) return { remove_on_match: { key_matcher: { prefix: maker.pick(['x-', 'X-A', 'x-b']) } } };
    return { append: makeAdd(maker) };
  };
  const query = (): Json => {
    if (maker.chance(25)) return { remove: maker.pick(QUERY_NAMES) };
    return {
      append: {
        record: { key: maker.pick(QUERY_NAMES), value: makeFormat(maker) },
        action: maker.pick(ACTIONS),
      },
    };
  };
  return {
    ...maker.list('request_mutations', 3, mutation),
    ...maker.list('response_mutations', 3, mutation),
    ...maker.list('query_parameter_mutations', 2, query),
  };
}

/** `typed_per_filter_config` for the filters of `makeFilters`. */
export function makeFilterOverrides(maker: Maker, percent: number): Json {
  if (!maker.chance(percent)) return {};
  const disabled = { '@type': 'type.googleapis.com/envoy.config.route.v3.FilterConfig', disabled: true };
  const cors = maker.chance(15) ? disabled : { '@type': `${FILTERS}cors.v3.CorsPolicy`, ...makeCors(maker) };
  const mutation = maker.chance(15)
    ? disabled
    : { '@type': `${FILTERS}header_mutation.v3.HeaderMutationPerRoute`, mutations: makeMutations(maker) };
  return {
    typed_per_filter_config: {
      ...(maker.chance(60) ? { cors } : {}),
      ...(maker.chance(60) ? { mutation } : {}),
    },
  };
}

/** The filters before the router. Overrides need not have one. */
export function makeFilters(maker: Maker): Json[] {
  const off = (): Json => maker.maybe(15, () => ({ disabled: true }));
  return [
    { name: 'cors', typed_config: { '@type': `${FILTERS}cors.v3.Cors` }, ...off() },
    {
      name: 'mutation',
      typed_config: {
        '@type': `${FILTERS}header_mutation.v3.HeaderMutation`,
        ...maker.maybe(30, () => ({ mutations: makeMutations(maker) })),
        ...maker.maybe(25, () => ({ most_specific_header_mutations_wins: true })),
      },
      ...off(),
    },
  ];
}
