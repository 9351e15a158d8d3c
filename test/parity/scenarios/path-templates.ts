// URI templates that match and rewrite, and paths and hosts that are written by a format.

import { bootstrap, cluster, get, http, routes, STATS, to } from '../config.ts';
import type { Group, Scenario } from '../types.ts';

const PATH = 'type.googleapis.com/envoy.extensions.path.';

function template(path_template: string, more: object = {}): object {
  const type = `${PATH}match.uri_template.v3.UriTemplateMatchConfig`;
  return { path_match_policy: { name: 'template', typed_config: { '@type': type, path_template } }, ...more };
}

function rewritten(path_template_rewrite: string): object {
  const type = `${PATH}rewrite.uri_template.v3.UriTemplateRewriteConfig`;
  return { path_rewrite_policy: { name: 'rewrite', typed_config: { '@type': type, path_template_rewrite } } };
}

/** A route by template that answers by itself. */
const here = (path: string): object => ({
  name: path,
  match: template(path),
  direct_response: { status: 200, body: { inline_string: path } },
});
const up = (path: string, rewrite: string): object => to('', 'a', rewritten(rewrite), { match: template(path) });
const sent = (prefix: string, redirect: object): object => ({ name: 'sent', match: { prefix }, redirect });

const LIST = [
  ...['/one/{id}', '/glob/*/end', '/any/**', '/file/*.html', '/deep/**.jpg', '/dir/', '/exact/a=b', '/star/a*'].map(
    here,
  ),
  ...['/inner/**/end', '/bad/a**', '/nocase/{id}', '/parameters/{id}'].map(here),
  up('/swap/{a}/{b}', '/x/{b}/{a}'),
  up('/rest/{a=**}', '/{a}'),
  up('/shape/{a=x/*/y}/{b=**}', '/{b}-{a}'),
  up('/mixed/v{major}.0', '/{major}'),
  up('/repeated/{a}*', '/R{a}R'),
  to('', 'a', { regex_rewrite: { pattern: { regex: 'regex' }, substitution: 'R' } }, { match: template('/regex/{a}') }),
  to('/path', 'a', { path_rewrite: '/n%REQ(x-p)%' }, { request_headers_to_remove: ['x-gone'] }),
  to('/bare', 'a', { path_rewrite: '%REQ(x-p)%' }),
  to('/query', 'a', { path_rewrite: '/n?z=1' }),
  to('/removed', 'a', { path_rewrite: '/%REQ(x-p)%' }, { request_headers_to_remove: ['x-p'] }),
  to('/host', 'a', { host_rewrite: 'h-%REQ(x-h)%' }),
  to('/forwarded', 'a', { host_rewrite: 'new', append_x_forwarded_host: true }),
  to('/both', 'a', { host_rewrite: 'h.%REQ(:AUTHORITY)%', path_rewrite: '/z/%REQ(:AUTHORITY)%%REQ(:PATH)%' }),
  sent('/to/format', { path_rewrite: '/n%REQ(x-p)%' }),
  sent('/to/own-query', { path_rewrite: '/n?z=1' }),
  sent('/to/strip', { path_rewrite: '/n%REQ(x-p)%', strip_query: true }),
  sent('/to/empty', { path_rewrite: '%REQ(x-p)%' }),
  sent('/to/no-slash-regex', { regex_rewrite: { pattern: { regex: '^/to' }, substitution: 'Z' } }),
  sent('/to/no-slash', { path_redirect: 'x' }),
  { match: template('/leave/{a}'), redirect: { path_redirect: '/left' } },
];

const at = (name: string, path: string, ...headers: string[]): Scenario => ({ name, client: [get(path, ...headers)] });

export const pathTemplates: Group = {
  name: 'path-templates',
  listeners: ['main'],
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [http(ports, log, 'main', routes(LIST, {}, { ignore_path_parameters_in_path_matching: true }))],
      [cluster('a', [ports['a']])],
    ),
  stats: STATS,
  scenarios: [
    at('variable', '/one/1'),
    at('variable with a query', '/one/1?x=/'),
    at('variable is not empty', '/one/'),
    at('variable is one segment', '/one/1/2'),
    at('variable of every character', "/one/!$&'()+,;:@=*-._~%"),
    at('variable without others', '/one/a[b'),
    at('glob in the middle', '/glob/1/end'),
    at('glob is not empty', '/glob//end'),
    at('text glob', '/any/a/b'),
    at('text glob of nothing', '/any/'),
    at('text glob and its slash', '/any'),
    at('suffix', '/file/a.html'),
    at('suffix alone', '/file/.html'),
    at('suffix is literal', '/file/axhtml'),
    at('suffix of a text glob', '/deep/a/b.jpg'),
    at('slash at the end', '/dir/'),
    at('slash at the end is missing', '/dir'),
    at('equals in a literal', '/exact/a=b'),
    at('star in a literal repeats', '/star/aaa'),
    at('star in a literal is none', '/star/a*'),
    at('text glob in the middle', '/inner/a/b/end'),
    at('two stars in a literal', '/bad/a**'),
    at('case', '/NOCASE/1'),
    at('path parameters count', '/parameters;x/1'),
    at('rewritten', '/swap/1/2?q=1'),
    at('rewritten rest', '/rest/a/b/'),
    at('rewritten rest of nothing', '/rest/'),
    at('rewritten by shape', '/shape/x/1/y/r/s?q'),
    at('literal around a variable', '/mixed/v12.0'),
    at('literal around another one', '/mixed/v12x0'),
    at('variable that repeats', '/repeated/ab'),
    at('variable that does not take part', '/repeated/'),
    at('regex rewrite of a template', '/regex/1?regex'),
    at('path by format', '/path/a?q=1', 'x-p: v'),
    at('path by format without value', '/path/a'),
    at('path without slash', '/bare?q', 'x-p: v'),
    at('path that would be empty', '/bare?q'),
    at('path with a query of its own', '/query?y=2'),
    at('path of a header that was removed', '/removed', 'x-p: v'),
    at('host by format', '/host', 'x-h: v'),
    at('host by format without value', '/host'),
    at('host by format, forwarded', '/forwarded'),
    at('host and path by format', '/both?q'),
    at('redirect by format', '/to/format?q', 'x-p: v'),
    at('redirect with its own query', '/to/own-query?q'),
    at('redirect without query', '/to/strip?q', 'x-p: v'),
    at('redirect to nothing', '/to/empty?q'),
    at('redirect without slash', '/to/no-slash'),
    at('redirect without slash by regex', '/to/no-slash-regex?q'),
    at('redirect of a template', '/leave/1?q'),
  ],
};
