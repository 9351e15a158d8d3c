// URI templates of routes: what they become, and what is refused in which words.

import t from 'tap';
import { lowerRouteConfig } from '../../proxy/config/lower/route.ts';
import { parseUriRewrite, parseUriTemplate, TemplateError } from '../../proxy/config/lower/uri-template.ts';
import { lowered, refusal, TYPE } from '../fixtures/lower.ts';

const PATH = `${TYPE}envoy.extensions.path.`;
const MATCH = `${PATH}match.uri_template.v3.UriTemplateMatchConfig`;
const REWRITE = `${PATH}rewrite.uri_template.v3.UriTemplateRewriteConfig`;
const template = (path_template: string): object => ({
  path_match_policy: { name: 'm', typed_config: { '@type': MATCH, path_template } },
});
const rewrite = (path_template_rewrite: string): object => ({
  path_rewrite_policy: { name: 'r', typed_config: { '@type': REWRITE, path_template_rewrite } },
});

function route(
  json: object,
): ReturnType<typeof lowerRouteConfig>['virtualHosts'][number]['routes'][number] | undefined {
  const virtual_hosts = [{ name: 'v', domains: ['*'], routes: [json] }];
  return lowered(lowerRouteConfig, 'envoy.config.route.v3.RouteConfiguration', { name: 'r', virtual_hosts })
    .virtualHosts[0]?.routes[0];
}

const forwarded = (match: object, action: object): object => ({ match, route: { cluster: 'a', ...action } });

t.test('a template and its rewrite', async (t) => {
  const model = route(forwarded(template('/a/{b}/{c=x/**}'), rewrite('/{c}/n/{b}')));
  t.match(model?.match.path, { kind: 'template', value: '/a/{b}/{c=x/**}' });
  t.equal(model?.action.kind === 'route' && model.action.templateRewrite?.parts.join(''), '/2/n/1');
  t.equal(parseUriTemplate('/a.b/$(x)+/{v}').pattern.slice(0, 18), '/a\\.b/\\$\\(x\\)\\+/([');
  const bad = route(forwarded(template('/a**'), {}));
  t.match(bad?.match.path, { pattern: null }, 'an expression that is none');
});

const GLOB = 'Glob after text glob.';
const REFUSED: readonly (readonly [template: string, reason: string])[] = [
  ['a', 'Invalid pattern: "a"'],
  ['/a b', 'Invalid pattern: "/a b"'],
  ['/\u00fc', 'Invalid pattern: "/\u00fc"'],
  ['/a//b', 'Invalid literal: ""'],
  ['/a?b', 'Invalid literal: "a?b"'],
  ['/a}', 'Invalid literal: "a}"'],
  ['/x{a', 'Invalid literal: "x{a"'],
  ['/x{a=b/c}y', 'Invalid literal: "x{a=b"'],
  ['/*{a}', 'Invalid literal: "{a}"'],
  ['/{b/c', 'Unmatched variable bracket in mixed pattern: "{b/c"'],
  ['/x}{a/b', 'Unmatched variable bracket in mixed pattern: "x}{a/b"'],
  ['/x[{1}', 'Invalid prefix literal: "x["'],
  ['/{1}[', 'Invalid suffix literal: "["'],
  ['/{a}{b}', 'Invalid suffix literal: "{b}"'],
  ['/{1b}', 'Invalid variable name: "1b"'],
  ['/{}', 'Invalid variable name: ""'],
  ['/{b=}', 'Empty variable match'],
  ['/{b=*/}', 'Invalid variable match: "/"'],
  ['/{a=*b}', 'Invalid variable match: "b"'],
  ['/{a}/{a}', 'Repeated variable name: "a"'],
  ['/{a}/{b}/{c}/{d}/{e}/{f}', 'Exceeded variable count limit (5)'],
  [
    '/{a2345678901234567}',
    'Invalid variable name length (length of "a2345678901234567" should be at least 1 and no more than 16)',
  ],
  ['/*.html/x', 'Prefix match not supported.'],
  ['/**/*', GLOB],
  ['/**/x/*', GLOB],
  ['/{a=**/x/*}', GLOB],
  ['/x{a=**}/*', GLOB],
  ['/**/{x}', 'Implicit variable path glob after text glob.'],
];

t.test('templates that are refused', async (t) => {
  for (const [text, reason] of REFUSED) {
    t.throws(() => parseUriTemplate(text), new TemplateError(reason), text);
  }
  t.match(
    refusal(() => route(forwarded(template('/a//b'), {}))),
    'path_match_policy.path_template /a//b is invalid: Invalid literal: ""',
  );
});

t.test('rewrites that are refused', async (t) => {
  for (const text of ['x/{b}', '/x//{b}', '/x/{b', '/x/{1}', '/x?{b}', '/x}', '/{}']) {
    t.equal(parseUriRewrite(text), null, text);
  }
  const text = (json: object): string => refusal(() => route(json));
  t.match(text(forwarded(template('/a/{b}'), rewrite('x'))), 'path_rewrite_policy.path_template_rewrite x is invalid');
  t.match(
    text(forwarded(template('/a/{b}'), rewrite('/{c}'))),
    'mismatch between variables in path_match_policy /a/{b} and path_rewrite_policy /{c}',
  );
  t.match(text(forwarded({ prefix: '/' }, rewrite('/x'))), 'uri_template_rewriter extension without');
  t.match(text(forwarded(template('/a'), { prefix_rewrite: '/' })), 'Cannot use prefix_rewrite with matcher extension');
  t.match(
    text(forwarded(template('/a'), { path_rewrite: '/x', ...rewrite('/y') })),
    'Specify only one of prefix_rewrite, regex_rewrite or path_rewrite_policy',
  );
  t.match(
    text({ match: template('/a'), redirect: { prefix_rewrite: '/x' } }),
    'Cannot use redirect.prefix_rewrite with path_match_policy',
  );
  const router = { '@type': `${TYPE}envoy.extensions.filters.http.router.v3.Router` };
  t.match(
    text(forwarded({ path_match_policy: { name: 'm', typed_config: router } }, {})),
    "Didn't find a registered implementation for 'm'",
  );
});

t.test('formats of paths and hosts that are refused', async (t) => {
  const text = (json: object): string => refusal(() => route(json));
  const match = { prefix: '/' };
  t.match(text(forwarded(match, { path_rewrite: '%NO%' })), 'Failed to create path rewrite formatter: Not supported');
  t.match(text(forwarded(match, { host_rewrite: '%NO%' })), 'Failed to create host rewrite formatter: Not supported');
  t.match(
    text({ match, redirect: { path_rewrite: '%NO%' } }),
    'Failed to create path_rewrite formatter: Not supported',
  );
});
