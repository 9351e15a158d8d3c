// Whatever Envoy refuses is refused, at a place that can be found, and nothing else is (`test/parity/refused.ts`).

import t from 'tap';
import { loadStaticModel } from '../../proxy/config/load.ts';
import { ConfigError } from '../../proxy/util/error.ts';
import { FLAWS, recorded } from '../parity/refused.ts';

const OPTIONS = {
  configPath: '',
  serviceNode: '',
  serviceCluster: '',
  serviceZone: '',
  allowUnknownStaticFields: false,
  skipDeprecatedLogs: true,
  statsTags: [],
};

/** We want filters that lead somewhere; see `docs/differences.md`. */
const STRICTER: ReadonlySet<string> = new Set(['no router']);

/** Where we say more than Envoy does: which values there are, which fields exclude each other, what was given. */
const OWN_WORDS: ReadonlySet<string> = new Set([
  'weights that are too much',
  'weights that the runtime makes too much',
  'a redirect with two paths',
  'a negative budget of a hedge',
  'no routes',
  'a negative delay',
  'an unknown field',
  'a TCP proxy without a cluster',
  'a negative connect time',
  'an unknown policy',
]);

t.test('one flaw each', async (t) => {
  const envoy = recorded();
  t.same(Object.keys(envoy), Object.keys(FLAWS), 'node test/parity/refused.ts --update');
  for (const [name, { bootstrap, where }] of Object.entries(FLAWS)) {
    let said = '';
    try {
      loadStaticModel({ ...OPTIONS, configYaml: JSON.stringify(bootstrap) });
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      said = error.message;
    }
    const sentence = envoy[name] as string;
    if (sentence === '' && !STRICTER.has(name)) {
      t.equal(said, '', `${name}: Envoy takes it`);
      continue;
    }
    t.ok(said.includes(where), `${name}: at ${where}: ${said}`);
    // Rules that the API's own files give have a language of their own.
    if (OWN_WORDS.has(name) || sentence.includes('ValidationError')) continue;
    t.ok(said.includes(sentence.replace(/:$/, '')), `${name}: ${sentence}: ${said}`);
  }
});
