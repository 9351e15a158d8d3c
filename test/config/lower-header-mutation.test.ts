// The header_mutation filter: its model, and Envoy's words for what it refuses.

import t from 'tap';
import { lowerHeaderMutation, lowerRouteHeaderMutation } from '../../proxy/config/lower/header-mutation.ts';
import { lowered, refusal } from '../fixtures/lower.ts';

const TYPE = 'envoy.extensions.filters.http.header_mutation.v3.HeaderMutation';
const mutations = (config: object): unknown => lowered(lowerHeaderMutation, TYPE, { mutations: config }).mutations;
const query = (config: object): unknown => mutations({ query_parameter_mutations: [config] });
const request = (config: object): unknown => mutations({ request_mutations: [config] });

t.test('every field', async (t) => {
  const model = lowered(lowerHeaderMutation, TYPE, {
    most_specific_header_mutations_wins: true,
    mutations: {
      formatters: [
        {
          name: 'f',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery',
          },
        },
      ],
      request_mutations: [
        { append: { header: { key: 'X-E', value: '%REQ(x)%é' }, append_action: 'ADD_IF_ABSENT' } },
        { remove: 'X-Gone' },
        { remove_on_match: { key_matcher: { prefix: 'x-', ignore_case: true } } },
      ],
      response_mutations: [{ remove: 'a' }],
      request_trailers_mutations: [{ remove: 'b' }],
      response_trailers_mutations: [{ remove: 'c' }],
      query_parameter_mutations: [
        { append: { record: { key: 'é', value: '%REQ(y)%' }, action: 'OVERWRITE_IF_EXISTS' } },
        { remove: 'ü' },
      ],
    },
  });
  t.same(model, {
    kind: 'header_mutation',
    mutations: {
      request: [
        {
          kind: 'add',
          add: { name: 'x-e', value: '%REQ(x)%\xc3\xa9', action: 'add_if_absent', keepEmptyValue: false },
        },
        { kind: 'remove', name: 'x-gone' },
        { kind: 'remove_matching', match: { kind: 'prefix', value: 'x-', ignoreCase: true } },
      ],
      response: [{ kind: 'remove', name: 'a' }],
      requestTrailers: [{ kind: 'remove', name: 'b' }],
      responseTrailers: [{ kind: 'remove', name: 'c' }],
      query: [
        { kind: 'append', key: '\xc3\xa9', value: '%REQ(y)%', action: 'overwrite_if_exists' },
        { kind: 'remove', key: '\xc3\xbc' },
      ],
    },
    mostSpecificWins: true,
  });
});

t.test('of a route', async (t) => {
  const type = `${TYPE}PerRoute`;
  const model = lowered(lowerRouteHeaderMutation, type, { mutations: { response_mutations: [{ remove: 'a' }] } });
  t.same(model.mutations.response, [{ kind: 'remove', name: 'a' }]);
  t.same(lowered(lowerRouteHeaderMutation, type, {}).mutations.request, []);
});

t.test('refused', async (t) => {
  const value = { header: { key: 'x', value: 'v' } };
  t.match(
    refusal(() => request({ append: { header: { key: ':path', value: 'v' } } })),
    /:-prefixed or host headers may not be modified/,
  );
  t.match(
    refusal(() => request({ append: { ...value, append: true, append_action: 'ADD_IF_ABSENT' } })),
    /Both append and append_action are set and it's not allowed/,
  );
  t.match(
    refusal(() => request({ append: { header: { key: 'x', value: '%NO%' } } })),
    /NO/,
  );
  for (const name of [':path', 'Host']) {
    t.match(
      refusal(() => request({ remove: name })),
      /:-prefixed or host headers may not be removed/,
    );
  }
  t.match(
    refusal(() => query({})),
    /One of 'append'\/'remove' must be specified\./,
  );
  const record = { key: 'a', value: 'b' };
  t.match(
    refusal(() => query({ append: { record }, remove: 'c' })),
    /Only one of 'append'\/'remove can be specified\./,
  );
  t.match(
    refusal(() => query({ append: {} })),
    /No record specified for append mutation\./,
  );
  t.match(
    refusal(() => query({ append: { record: { key: 'a', value: 5 } } })),
    /Only string value is allowed for record value\./,
  );
  t.match(
    refusal(() => query({ append: { record: { key: 'a', value: '%NO%' } } })),
    /NO/,
  );
});
