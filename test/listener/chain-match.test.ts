// The compiled choice of filter chains against the table that the parity group plays to Envoy.

import t from 'tap';
import { compileChainMatch } from '../../proxy/listener/chain-match.ts';
import { ANY, AS_ENVOY, BLOCKS, HOME } from '../fixtures/chain-table.ts';
import { readGolden } from '../parity/golden.ts';
import { scenarioName } from '../parity/scenarios/chain-match.ts';

const recorded = readGolden('chain-match')?.scenarios ?? {};

/** The chain that Envoy took; `null` = the case cannot be played to it. */
function chainOfEnvoy(name: string): string | null {
  const [record] = recorded[name]?.log ?? [];
  if (record === undefined) return null;
  return record['flags'] === 'NR' ? 'none' : String(record['chain']);
}

let cases = 0;
for (const block of BLOCKS) {
  t.test(block.about, async (t) => {
    const match = compileChainMatch(
      Object.entries(block.chains).map(([value, chain]) => ({ match: { ...ANY, ...chain }, value })),
      block.fallback === true ? 'default' : null,
    );
    for (const [i, [input, expected]] of block.cases.entries()) {
      const chain = match({ ...HOME, ...input }) ?? 'none';
      const envoy = chainOfEnvoy(scenarioName(block, i));
      if (envoy !== null) {
        cases++;
        t.equal(chain, envoy, `as recorded from Envoy: ${JSON.stringify(input)}`);
      }
      if (expected !== AS_ENVOY) t.equal(chain, expected, JSON.stringify(input));
    }
  });
}

t.test('the table keeps its size', async (t) => t.ok(cases >= 200, `${cases} cases`));
