// Bodies of direct responses that are written by a format, alone and behind `local_reply_config`.

import { bootstrap, cluster, get, http, request, routes, STATS } from '../config.ts';
import type { Group, Scenario } from '../types.ts';

const text = (inline_string: string, more: object = {}): object => ({ text_format_source: { inline_string }, ...more });
const direct = (name: string, body_format: object, response: object = {}, more: object = {}): object => ({
  name,
  match: { path: `/${name}` },
  direct_response: { status: 200, body: { inline_string: 'hello' }, body_format, ...response },
  ...more,
});

const LIST = [
  direct('text', text('[%LOCAL_REPLY_BODY%] %REQ(x-h)% %ROUTE_NAME% %RESPONSE_CODE%')),
  direct('no-body', text('no body %REQ(:PATH)%'), { body: undefined }),
  direct('json', { json_format: { a: '%REQ(x-h)%', b: '%LOCAL_REPLY_BODY%', c: '%RESPONSE_CODE%' } }),
  direct('typed', text('t', { content_type: 'text/x; charset=a' })),
  direct('absent', text('%REQ(x-none)%')),
  direct('empty', text('%REQ(x-none)%', { omit_empty_values: true })),
  direct('no-content', text('x'), { status: 204 }),
  direct('moved', text('moved'), { status: 302 }),
  direct(
    'headers',
    text('%RESPONSE_CODE_DETAILS% %RESP(x-r)%', { content_type: 'text/x' }),
    {},
    { response_headers_to_add: [{ header: { key: 'x-r', value: 'r' } }] },
  ),
  direct(
    'own-type',
    text('own', { content_type: 'text/x' }),
    {},
    {
      response_headers_to_add: [
        { header: { key: 'content-type', value: 'text/y' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
      ],
    },
  ),
  direct('beyond', text('\u00fc %REQ(x-h)%')),
];
const REWRITTEN = {
  mappers: [
    {
      filter: { status_code_filter: { comparison: { op: 'EQ', value: { default_value: 302, runtime_key: 'none' } } } },
      status_code: 418,
      body: { inline_string: 'mapped' },
    },
  ],
  body_format: text('<%LOCAL_REPLY_BODY%>'),
};
const NAMES = LIST.map((route) => (route as { readonly name: string }).name);

const at =
  (listener: string) =>
  (name: string): Scenario => ({
    name: `${name} of ${listener}`,
    listener,
    client: [get(`/${name}`, 'x-h: v')],
  });

export const directBodies: Group = {
  name: 'direct-bodies',
  listeners: ['main', 'rewritten'],
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        http(ports, log, 'main', routes(LIST, {}, { max_direct_response_body_size_bytes: 8 })),
        http(ports, log, 'rewritten', routes(LIST), { local_reply_config: REWRITTEN }),
      ],
      [cluster('a', [ports['a']])],
    ),
  stats: STATS,
  scenarios: [
    ...NAMES.map(at('main')),
    ...NAMES.map(at('rewritten')),
    { name: 'HEAD', client: [request('HEAD', '/text', ['x-h: v'])], bodiless: true },
    { name: 'longer than bodies may be configured', client: [get('/text', `x-h: ${'v'.repeat(100)}`)] },
    {
      name: 'gRPC',
      client: [request('POST', '/text', ['content-type: application/grpc', 'content-length: 0', 'x-h: v'])],
    },
  ],
};
