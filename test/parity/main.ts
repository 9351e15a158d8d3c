// `npm run test:parity`: the same scripts against a stock Envoy and this proxy, compared.
//
//   --group NAME     only groups whose name contains this
//   --scenario NAME  show the full observations of scenarios whose name contains this
//   --update         record what Envoy does as the golden files, and run nothing else
//   --replay         compare this proxy with the golden files, without an Envoy
//   --verify         compare Envoy with the golden files: do they still hold, is a scenario a matter of luck?

import { parseArgs } from 'node:util';
import { findPeer, HOW_TO_GET } from '../../scripts/peers.ts';
import { compareScenario, compareStats } from './compare.ts';
import { readGolden, writeGolden } from './golden.ts';
import { GROUPS } from './groups.ts';
import type { Binary } from './proxy-process.ts';
import { runGroup } from './run.ts';
import type { Group, GroupObservation } from './types.ts';

/** Groups that run at the same time: most of a scenario is waiting. */
const PARALLEL = 4;

interface Counts {
  passed: number;
  failed: number;
}

const { values } = parseArgs({
  options: {
    group: { type: 'string', default: '' },
    scenario: { type: 'string' },
    update: { type: 'boolean', default: false },
    replay: { type: 'boolean', default: false },
    verify: { type: 'boolean', default: false },
  },
});

function report(counts: Counts, name: string, differences: readonly string[]): void {
  if (differences.length === 0) counts.passed++;
  else {
    counts.failed++;
    console.log(`FAILED ${name}`);
    for (const line of differences) console.log(`    ${line}`);
  }
}

function compareGroup(group: Group, expected: GroupObservation, actual: GroupObservation, counts: Counts): void {
  for (const scenario of group.scenarios) {
    const want = expected.scenarios[scenario.name];
    const got = actual.scenarios[scenario.name];
    const name = `${group.name}: ${scenario.name}`;
    if (want === undefined || got === undefined) report(counts, name, ['never recorded: run with --update']);
    else report(counts, name, compareScenario(scenario, want, got, !values.verify));
  }
  if (group.stats !== undefined) report(counts, `${group.name}: stats`, compareStats(expected, actual));
}

function show(group: Group, who: string, observation: GroupObservation): void {
  for (const [name, seen] of Object.entries(observation.scenarios))
    if (values.scenario !== undefined && name.includes(values.scenario))
      console.log(`${who}, ${group.name}: ${name}\n${JSON.stringify(seen, null, 2)}`);
}

async function run(group: Group, envoy: Binary, counts: Counts): Promise<void> {
  const golden = readGolden(group.name);
  // A recording must not learn from an older one how long to wait for a close.
  const expected =
    values.replay || values.verify ? golden : await runGroup(group, envoy, values.update ? null : golden);
  if (expected === null) {
    report(counts, group.name, ['never recorded: run with --update']);
    return;
  }
  show(group, 'Envoy', expected);
  if (values.update) {
    writeGolden(group.name, expected);
    counts.passed += group.scenarios.length;
    console.log(`${group.name}: ${group.scenarios.length} scenarios recorded`);
    return;
  }
  const actual = await runGroup(group, values.verify ? envoy : null, expected);
  show(group, values.verify ? 'Envoy' : 'Outrigger', actual);
  compareGroup(group, expected, actual, counts);
}

const envoy = findPeer('envoy');
if (envoy === null && !values.replay) {
  console.error(`parity: no Envoy to compare with. To have one: ${HOW_TO_GET.envoy}`);
  console.error('        (npm test and --replay compare with the recorded results instead)');
  process.exit(2);
}
const counts: Counts = { passed: 0, failed: 0 };
const left = GROUPS.filter((group) => group.name.includes(values.group));
const worker = async (): Promise<void> => {
  for (let group = left.shift(); group !== undefined; group = left.shift()) {
    try {
      await run(group, envoy, counts);
    } catch (error) {
      report(counts, group.name, [(error as Error).message]);
    }
  }
};
await Promise.all(Array.from({ length: PARALLEL }, worker));
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exit(counts.failed > 0 || counts.passed === 0 ? 1 : 0);
