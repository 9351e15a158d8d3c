// Replays the scenarios that were recorded from a stock Envoy with this proxy alone; `npm run test:parity` compares the
// two live, and `npm run test:parity -- --update` records anew. Its name lets it begin first: no file takes longer.

import t from 'tap';
import { compareScenario, compareStats } from './parity/compare.ts';
import { readGolden } from './parity/golden.ts';
import { GROUPS } from './parity/groups.ts';
import { runGroup } from './parity/run.ts';
import type { Group, Observation } from './parity/types.ts';

const TIMEOUT_MS = 400_000;
/** Groups that run at the same time: most of a scenario is waiting. */
const PARALLEL = 4;

t.setTimeout(TIMEOUT_MS);
t.jobs = PARALLEL;

for (const group of GROUPS) t.test(group.name, (t) => replay(t, group));

async function replay(t: Tap, group: Group): Promise<void> {
  t.setTimeout(TIMEOUT_MS);
  const golden = readGolden(group.name);
  if (golden === null) {
    t.fail('never recorded: npm run test:parity -- --update');
    return;
  }
  const seen = await runGroup(group, null, golden);
  for (const scenario of group.scenarios) {
    const want: Observation | undefined = golden.scenarios[scenario.name];
    const got: Observation | undefined = seen.scenarios[scenario.name];
    if (want === undefined || got === undefined) t.fail(`${scenario.name}: never recorded`);
    else t.strictSame(compareScenario(scenario, want, got, true), [], scenario.name);
  }
  if (group.stats !== undefined) t.strictSame(compareStats(golden, seen), [], 'stats');
  const unknown = Object.keys(golden.scenarios).filter((name) => !group.scenarios.some((s) => s.name === name));
  t.strictSame(unknown, [], 'every recorded scenario still exists');
}

type Tap = Pick<typeof t, 'strictSame' | 'fail' | 'setTimeout'>;
