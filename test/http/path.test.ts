// Paths and hosts in normal form. Every row was seen on Envoy 1.40.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { normalizeHost, normalizePath, type PathRules } from '../../proxy/http/path.ts';

const rules = (normalize: boolean, merge: boolean, slashes: PathRules['escapedSlashes']): PathRules => ({
  normalizePath: normalize,
  mergeSlashes: merge,
  escapedSlashes: slashes,
});
const SETTINGS: { readonly [name: string]: PathRules } = {
  normalize: rules(true, false, 'keep'),
  merge: rules(false, true, 'keep'),
  both: rules(true, true, 'keep'),
  redirect: rules(false, false, 'unescape_and_redirect'),
  forward: rules(false, false, 'unescape_and_forward'),
  reject: rules(false, false, 'reject'),
  'both, redirect': rules(true, true, 'unescape_and_redirect'),
  'both, forward': rules(true, true, 'unescape_and_forward'),
};
interface Tables {
  readonly settings: readonly string[];
  /** Path, then what each setting makes of it: a path, `307 path` or `400`. */
  readonly paths: readonly (readonly string[])[];
  /** Host, then: any port stripped, matching port, trailing dot, any port and dot. Listener ports 21928 … 21931. */
  readonly hosts: readonly (readonly string[])[];
}
const tables = JSON.parse(readFileSync(new URL('../corpus/normal-forms.json', import.meta.url), 'utf8')) as Tables;

t.test('paths', (t) => {
  for (const [path, ...wanted] of tables.paths)
    wanted.forEach((want, i) => {
      const setting = tables.settings[i] as string;
      const { kind, path: got } = normalizePath(path as string, SETTINGS[setting] as PathRules);
      const shown = kind === 'reject' ? '400' : kind === 'redirect' ? `307 ${got}` : got;
      t.equal(shown, want, `${path} under ${setting}`);
    });
  t.end();
});

t.test('a fragment is refused whatever is configured', (t) => {
  for (const path of ['/a#b', '/a?b#c', '/#'])
    t.equal(normalizePath(path, rules(false, false, 'keep')).kind, 'reject', path);
  t.end();
});

t.test('normal forms are stable', (t) => {
  for (const [path] of tables.paths)
    for (const setting of ['normalize', 'both', 'both, forward']) {
      const once = normalizePath(path as string, SETTINGS[setting] as PathRules);
      if (once.kind === 'reject') continue;
      const first = once.path;
      t.equal(normalizePath(first, SETTINGS[setting] as PathRules).path, first, `${path} under ${setting}`);
    }
  t.end();
});

t.test('hosts', (t) => {
  const hostRules = [
    { stripHostPort: 'any', stripTrailingHostDot: false },
    { stripHostPort: 'matching', stripTrailingHostDot: false },
    { stripHostPort: 'no', stripTrailingHostDot: true },
    { stripHostPort: 'any', stripTrailingHostDot: true },
  ] as const;
  for (const [host, ...wanted] of tables.hosts)
    wanted.forEach((want, i) => {
      const rule = hostRules[i] as (typeof hostRules)[number];
      t.equal(normalizeHost(host as string, rule, 21_928 + i), want, `«${host}» under ${JSON.stringify(rule)}`);
    });
  t.end();
});
