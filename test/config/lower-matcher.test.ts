// Generic matchers of virtual hosts and listeners: the model they become, how it is evaluated, what is refused.

import t from 'tap';
import { lowerListener } from '../../proxy/config/lower/listener.ts';
import { lowerRouteConfig } from '../../proxy/config/lower/route.ts';
import type { ListenerModel } from '../../proxy/config/model/listener.ts';
import { actionsOf } from '../../proxy/config/model/matcher-actions.ts';
import type { VirtualHostModel } from '../../proxy/config/model/route.ts';
import { compileChainTree } from '../../proxy/listener/chain-tree.ts';
import { FilterState } from '../../proxy/observe/filter-state.ts';
import { HOME } from '../fixtures/chain-table.ts';
import { lowered, refusal, TYPE, tcpFilter } from '../fixtures/lower.ts';

const NETWORK = 'envoy.extensions.matching.common_inputs.network.v3.';

function extension(type: string, config: object = {}): object {
  return { name: 'it', typed_config: { '@type': TYPE + type, ...config } };
}
const header = extension('envoy.type.matcher.v3.HttpRequestHeaderMatchInput', { header_name: 'X-Tree' });
const direct = { match: { prefix: '/' }, direct_response: { status: 200 }, stat_prefix: 'counted' };
const toRoute = { action: extension('envoy.config.route.v3.Route', direct) };
const routeList = extension('envoy.config.route.v3.RouteList', { routes: [direct, direct] });
const toChain = (value: string, more: object = {}): object => ({
  action: extension('google.protobuf.StringValue', { value }),
  ...more,
});
const single = (input: object, test: object): object => ({ single_predicate: { input, ...test } });
const listOf = (predicate: object, on_match: object): object => ({
  matcher_list: { matchers: [{ predicate, on_match }] },
});

function host(matcher: object, more: object = {}): VirtualHostModel | undefined {
  const virtual_hosts = [{ name: 'v', domains: ['*'], matcher, ...more }];
  return lowered(lowerRouteConfig, 'envoy.config.route.v3.RouteConfiguration', { name: 'r', virtual_hosts })
    .virtualHosts[0];
}

function listener(filter_chain_matcher: object, names: readonly string[] = ['one', 'two']): ListenerModel {
  return lowered(lowerListener, 'envoy.config.listener.v3.Listener', {
    address: { socket_address: { address: '127.0.0.1', port_value: 1 } },
    filter_chain_matcher,
    filter_chains: names.map((name) => ({ name, filters: [tcpFilter()] })),
  });
}

t.test('matchers of virtual hosts', async (t) => {
  const strings = [
    { exact: 'a' },
    { prefix: 'a' },
    { suffix: 'a' },
    { contains: 'A', ignore_case: true },
    { safe_regex: { google_re2: {}, regex: 'a+' } },
  ].map((value_match) => single(header, { value_match }));
  const address = extension('envoy.extensions.matching.input_matchers.ip.v3.Ip', {
    cidr_ranges: [{ address_prefix: '10.0.0.0', prefix_len: 8 }],
    stat_prefix: 'ip',
  });
  const model = host({
    ...listOf(
      { and_matcher: { predicate: [{ or_matcher: { predicate: strings } }, { not_matcher: strings[0] }] } },
      { matcher: listOf(single(header, { custom_match: address }), toRoute) },
    ),
    on_no_match: { action: routeList },
  })?.matcher;
  t.match(model?.choice, {
    kind: 'list',
    entries: [{ predicate: { kind: 'and', predicates: [{ kind: 'or' }, { kind: 'not' }] } }],
  });
  t.match(JSON.stringify(model), '"input":{"kind":"header","name":"x-tree"}');
  const routes = model === null || model === undefined ? [] : actionsOf(model);
  t.same(
    routes.map((list) => list.map(({ statPrefix }) => statPrefix)),
    [['counted'], ['counted', 'counted']],
  );
});

t.test('hashes', async (t) => {
  const hash = extension('envoy.extensions.matching.input_matchers.consistent_hashing.v3.ConsistentHashing', {
    threshold: 5,
    modulo: 10,
    seed: '18446744073709551615',
  });
  const model = host(listOf(single(header, { custom_match: hash }), toRoute))?.matcher;
  const test = { kind: 'hash', seed: '18446744073709551615', modulo: 10, from: 5 };
  t.match(model?.choice, { entries: [{ predicate: { test } }] });
});

t.test('trees', async (t) => {
  const map = { a: toRoute };
  const choice = (matcher_tree: object): unknown =>
    host({ matcher_tree: { input: header, ...matcher_tree } })?.matcher?.choice;
  t.match(choice({ exact_match_map: { map } }), { kind: 'exact', entries: [{ keys: ['a'] }] });
  t.match(choice({ prefix_match_map: { map } }), { kind: 'prefix', entries: [{ keys: ['a'] }] });
  const ranges = [{ address_prefix: '10.0.0.0', prefix_len: 40 }];
  const range_matchers = [{ ranges, on_match: toRoute, exclusive: true }];
  t.match(choice({ custom_match: extension('xds.type.matcher.v3.IPMatcher', { range_matchers }) }), {
    kind: 'ip',
    entries: [{ ranges: [{ address: '10.0.0.0', prefixLength: 32 }], exclusive: true }],
  });
  const domain_matchers = [{ domains: ['a.test', '*.b.test', '*'], on_match: toRoute }];
  t.match(choice({ custom_match: extension('xds.type.matcher.v3.ServerNameMatcher', { domain_matchers }) }), {
    kind: 'names',
    entries: [{ keys: ['a.test', '*.b.test', '*'] }],
  });
});

t.test('inputs that every place has', async (t) => {
  const state = extension(`${NETWORK}FilterStateInput`, { key: 'k', field: 'f' });
  const input = (it: object): unknown =>
    host({ matcher_tree: { input: it, exact_match_map: { map: { a: toRoute } } } })?.matcher?.choice;
  t.match(input(state), { input: { kind: 'filter_state', key: 'k', field: 'f' } });
  process.env['OUTRIGGER_TEST_INPUT'] = 'set';
  const environment = (name: string): object =>
    extension('envoy.extensions.matching.common_inputs.environment_variable.v3.Config', { name });
  t.match(input(environment('OUTRIGGER_TEST_INPUT')), { input: { kind: 'constant', value: 'set' } });
  t.match(input(environment('OUTRIGGER_TEST_NOT_SET')), { input: { kind: 'constant', value: null } });
});

t.test('keep_matching passes over what it finds', async (t) => {
  const port = extension(`${NETWORK}DestinationPortInput`);
  const state = extension(`${NETWORK}FilterStateInput`, { key: 'k' });
  const is = (input: object, exact: string): object => single(input, { value_match: { exact } });
  const model = listener({
    matcher_list: {
      matchers: [
        { predicate: is(port, '1'), on_match: toChain('one', { keep_matching: true }) },
        { predicate: is(port, '1'), on_match: toChain('two') },
        { predicate: is(state, 'kept'), on_match: toChain('one') },
      ],
    },
  }).chainMatcher;
  if (model === null) throw new Error('no matcher');
  const match = compileChainTree(
    model,
    new Map([
      ['one', 1],
      ['two', 2],
    ]),
    0,
    {},
  );
  t.equal(match({ ...HOME, localPort: 1 }), 2);
  t.equal(match({ ...HOME, localPort: 2 }), 0, 'the default chain');
  const filterState = new FilterState();
  filterState.set('k', 'kept');
  const kept = { ...HOME, localPort: 2, filterState };
  t.equal(match(kept), 1);
});

t.test('tests of values that are no texts', async (t) => {
  const test = (type: string, config: object): unknown => {
    const custom_match = extension(`envoy.extensions.matching.input_matchers.${type}`, config);
    const model = host(listOf(single(header, { custom_match }), toRoute))?.matcher?.choice;
    return model?.kind === 'list' && model.entries[0]?.predicate.kind === 'single' && model.entries[0].predicate.test;
  };
  const runtime_fraction = { default_value: { numerator: 3, denominator: 'MILLION' }, runtime_key: 'k' };
  t.same(test('runtime_fraction.v3.RuntimeFraction', { runtime_fraction, seed: '9' }), {
    kind: 'fraction',
    seed: '9',
    fraction: { numerator: 3, denominator: 1_000_000, runtimeKey: 'k' },
  });
  t.same(test('metadata.v3.Metadata', { value: { null_match: {} }, invert: true }), { kind: 'never' });
});

t.test('refusals in Envoy’s words', async (t) => {
  const value_match = { exact: 'a' };
  const by = (input: object): object => listOf(single(input, { value_match }), toRoute);
  const said = (matcher: object, more: object = {}): string => refusal(() => host(matcher, more));
  t.match(said(by(header), { routes: [direct] }), 'cannot set both matcher and routes on virtual host');
  t.match(
    said(by(extension(`${NETWORK}SourceIPInput`))),
    `Route table can only match on request headers, saw type.googleapis.com/${NETWORK}SourceIPInput`,
  );
  for (const input of [`${NETWORK}DynamicMetadataInput`, 'envoy.extensions.matching.common_inputs.ssl.v3.UriSanInput'])
    t.match(
      said(by(extension(input))),
      `Route table can only match on request headers, saw type.googleapis.com/${input}`,
    );
  t.match(said(by(extension('envoy.config.route.v3.Route'))), "Didn't find a registered implementation for 'it'");
  t.match(said(listOf(single(header, { value_match }), toChain('one'))), "Didn't find a registered implementation");
  t.match(
    said(listOf(single(header, { value_match }), { ...toRoute, keep_matching: true })),
    'keep_matching is not supported in this context',
  );
  const names = (...domains: string[]): object =>
    extension('xds.type.matcher.v3.ServerNameMatcher', { domain_matchers: [{ domains, on_match: toChain('one') }] });
  const tree = (custom_match: object): string =>
    refusal(() => listener({ matcher_tree: { input: extension(`${NETWORK}ServerNameInput`), custom_match } }));
  const start = 'cannot create a filter chain matcher: ';
  t.match(tree(names('a.test', 'a.test')), `${start}Duplicate domain in ServerNameMatcher: a.test`);
  t.match(tree(names('a.*.test')), `${start}Invalid wildcard domain format: a.*.test.`);
  const ranges = [{ address_prefix: '10.0.0.x', prefix_len: 8 }];
  const bad = extension('xds.type.matcher.v3.IPMatcher', { range_matchers: [{ ranges, on_match: toChain('one') }] });
  t.match(tree(bad), `${start}malformed IP address: 10.0.0.x`);
  const otherwise = { on_no_match: toChain('one') };
  t.match(
    refusal(() => listener(otherwise, [''])),
    '"name" field is required when using a listener matcher',
  );
  t.match(
    refusal(() => listener(otherwise, ['a', 'a'])),
    '"name" field is duplicated with value \'a\'',
  );
  let deep: object = otherwise;
  for (let i = 0; i < 40; i++) deep = { on_no_match: { matcher: deep } };
  t.doesNotThrow(() => listener(deep), 'as deep as configurations nest');
});
