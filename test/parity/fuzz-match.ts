// Random `RouteMatch`es.

import { HEADER_NAMES, type Json, type Maker, QUERY_NAMES, SEGMENTS, VALUES } from './fuzz-maker.ts';

const TEMPLATE_TYPE = 'type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig';

/** Templates, their variables, and paths to try. */
const TEMPLATES: readonly (readonly [template: string, variables: readonly string[], near: readonly string[]])[] = [
  ['/a/{x}', ['x'], ['/a/b', '/a/', '/a/b/c']],
  ['/{x}/b/{y=**}', ['x', 'y'], ['/a/b/c/1', '/a/b/', '/a/b']],
  ['/a/*', [], ['/a/b', '/a/b/c']],
  ['/**', [], ['/', '/a/b']],
  ['/{x}.b', ['x'], ['/a.b', '/ab.b', '/a.c']],
  ['/{x=a/*}/{y}', ['x', 'y'], ['/a/b/c', '/a/b']],
];

export interface MadeMatch {
  readonly match: Json;
  /** How the path is met, for rewrites. */
  readonly kind: 'prefix' | 'path' | 'path_separated_prefix' | 'safe_regex' | 'template' | 'connect';
  /** Names of the template's variables. */
  readonly variables: readonly string[];
}

export function makeMatch(maker: Maker): MadeMatch {
  const path = makePath(maker);
  return {
    ...path,
    match: {
      ...path.match,
      ...maker.list('headers', 3, () => makeHeaderMatch(maker)),
      ...maker.list('query_parameters', 2, () => makeQueryMatch(maker)),
      ...maker.maybe(8, () => ({ cookies: [makeCookieMatch(maker)] })),
      ...maker.maybe(6, () => {
        maker.hints.headers.push('content-type: application/grpc', 'content-type: application/grpc+proto');
        return { grpc: {} };
      }),
      ...maker.maybe(12, () => ({ runtime_fraction: maker.runtimeFraction() })),
      ...maker.maybe(3, () => ({ tls_context: maker.pick([{}, { presented: false }, { presented: true }]) })),
      ...maker.maybe(3, () => ({
        dynamic_metadata: [
          { filter: 'f', path: [{ key: 'k' }], value: { present_match: true }, invert: maker.chance(70) },
        ],
      })),
    },
  };
}

function makePath(maker: Maker): MadeMatch {
  const path = maker.path();
  const nocase = maker.maybe(25, () => {
    maker.hints.paths.push(path.toUpperCase(), path.toLowerCase());
    return { case_sensitive: false };
  });
  maker.hints.paths.push(path, `${path}/${maker.pick(SEGMENTS)}`, `${path}x`);
  const dice = maker.dice.below(100);
  if (dice < 40) {
    const prefix = maker.chance(25) ? '/' : maker.chance(10) ? '' : path;
    return { match: { prefix, ...nocase }, kind: 'prefix', variables: [] };
  }
  if (dice < 55) return { match: { path, ...nocase }, kind: 'path', variables: [] };
  if (dice < 70) {
    const separated = path === '/' ? '/a' : path;
    return { match: { path_separated_prefix: separated, ...nocase }, kind: 'path_separated_prefix', variables: [] };
  }
  if (dice < 86) {
    const safe_regex = maker.pathRegex((text) => maker.hints.paths.push(text));
    return { match: { safe_regex, ...nocase }, kind: 'safe_regex', variables: [] };
  }
  if (dice < 98) {
    const [path_template, variables, near] = maker.pick(TEMPLATES);
    maker.hints.paths.push(...near);
    const typed_config = { '@type': TEMPLATE_TYPE, path_template };
    return { match: { path_match_policy: { name: 'template', typed_config } }, kind: 'template', variables };
  }
  return { match: { connect_matcher: {} }, kind: 'connect', variables: [] };
}

/** A `HeaderMatcher`, in the older forms too. */
export function makeHeaderMatch(maker: Maker): Json {
  const name: string = maker.chance(75)
    ? maker.pick(HEADER_NAMES)
    : maker.pick([
        ':path',
        ':method',
        ':authority',
        ':scheme',
        'host',
        'X-A',
        'cookie',
        'content-length',
        'user-agent',
      ]);
  const hint = (value: string): void => {
    if (name === ':path') maker.hints.paths.push(value);
    else if (name === ':authority' || name === 'host') maker.hints.hosts.push(value);
    else if (!name.startsWith(':') && name !== 'content-length') maker.hints.headers.push(`${name}: ${value}`);
  };
  return {
    name,
    ...makeHeaderForm(maker, name, hint),
    ...maker.maybe(20, () => ({ invert_match: true })),
    ...maker.maybe(20, () => ({ treat_missing_header_as_empty: true })),
  };
}

function makeHeaderForm(maker: Maker, name: string, hint: (value: string) => void): Json {
  if (name === ':method') return { string_match: { exact: maker.pick(['GET', 'POST', 'get']) } };
  if (name === ':scheme') return { string_match: { exact: maker.pick(['http', 'https']) } };
  const value = maker.pick(VALUES);
  const part = value === '' ? 'b' : value;
  switch (maker.dice.below(10)) {
    case 0:
      hint(value);
      return { exact_match: value };
    case 1:
      return { safe_regex_match: maker.regex(hint) };
    case 2: {
      const start = maker.dice.below(20) - 10;
      for (const number of [start - 1, start, start + 5]) hint(String(number));
      hint(maker.pick(['5.5', '0x1', '+1', ' 2', '007', '9223372036854775808']));
      return { range_match: { start, end: start + maker.dice.below(12) } };
    }
    case 3:
      hint(value);
      return { present_match: maker.chance(70) };
    case 4:
      hint(`${part}z`);
      return { prefix_match: part };
    case 5:
      hint(`z${part}`);
      return { suffix_match: part };
    case 6:
      hint(`z${part}z`);
      return { contains_match: part };
    case 7:
      return {};
    default:
      return { string_match: maker.stringMatch(hint) };
  }
}

function makeQueryMatch(maker: Maker): Json {
  const name = maker.pick(QUERY_NAMES);
  const hint = (value: string): void => {
    maker.hints.queries.push(`${name}=${value.replaceAll(' ', '+')}`, name);
  };
  if (maker.chance(30)) {
    hint(maker.pick(VALUES));
    return { name, ...maker.maybe(80, () => ({ present_match: maker.chance(70) })) };
  }
  return { name, string_match: maker.stringMatch(hint) };
}

function makeCookieMatch(maker: Maker): Json {
  const name = maker.pick(['user', 'id']);
  const hint = (value: string): void => {
    maker.hints.headers.push(`cookie: z=1; ${name}=${value}`, `cookie: ${name}="${value}"; ${name}=2`);
  };
  return { name, string_match: maker.stringMatch(hint), ...maker.maybe(30, () => ({ invert_match: true })) };
}
