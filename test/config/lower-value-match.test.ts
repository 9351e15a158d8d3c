// Matchers of metadata and filter state in routes.

import t from 'tap';
import { lowerRouteMatch } from '../../proxy/config/lower/route-match.ts';
import type { RouteMatchModel } from '../../proxy/config/model/route.ts';
import { decode, refusal } from '../fixtures/lower.ts';

function match(json: object): RouteMatchModel {
  return lowerRouteMatch(decode('envoy.config.route.v3.RouteMatch', { prefix: '/', ...json }), 'it');
}

const metadata = (value: object): object => ({
  dynamic_metadata: [{ filter: 'ns', path: [{ key: 'a' }, { key: 'b' }], value, invert: true }],
});

t.test('values of metadata', async (t) => {
  const value = (json: object): unknown => match(metadata(json)).dynamicMetadata[0]?.value;
  t.match(match(metadata({ bool_match: true })).dynamicMetadata[0], {
    namespace: 'ns',
    path: ['a', 'b'],
    invert: true,
  });
  t.same(value({ present_match: false }), { kind: 'present', present: false });
  t.same(value({ double_match: { range: { start: 1, end: 2 } } }), { kind: 'range', start: 1, end: 2 });
  t.same(value({ list_match: { one_of: { double_match: { exact: 1 } } } }), {
    kind: 'list',
    oneOf: { kind: 'exact_number', value: 1 },
  });
  t.same(value({ or_match: { value_matchers: [{ null_match: {} }, { bool_match: false }] } }), {
    kind: 'or',
    matches: [{ kind: 'null' }, { kind: 'bool', value: false }],
  });
});

t.test('filter state', async (t) => {
  const ranges = [{ address_prefix: '10.0.0.0', prefix_len: 8 }];
  const state = [
    { key: 'a', string_match: { exact: 'x' } },
    { key: 'b', address_match: { ranges, invert_match: true } },
  ];
  t.match(match({ filter_state: state }).filterState, [
    { key: 'a', match: { kind: 'string', string: { value: 'x' } } },
    { key: 'b', match: { kind: 'address', ranges: [{ address: '10.0.0.0', prefixLength: 8 }], invert: true } },
  ]);
});

t.test('values nest as deep as configurations do', async (t) => {
  let deep: object = { bool_match: true };
  for (let i = 0; i < 40; i++) deep = { list_match: { one_of: deep } };
  t.doesNotThrow(() => match(metadata(deep)));
});

t.test('refusals', async (t) => {
  const ranges = [{ address_prefix: '10.0.0.x', prefix_len: 8 }];
  t.match(
    refusal(() => match({ filter_state: [{ key: 'a', address_match: { ranges } }] })),
    "invalid ip/mask combo '10.0.0.x/8'",
  );
});
