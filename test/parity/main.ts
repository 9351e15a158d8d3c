// `npm run test:parity`: the same scripts against a stock Envoy and this proxy, compared. Exit codes: 0 all the same,
// 1 a difference, 2 wrong usage or no Envoy.

import { parseArgs } from 'node:util';
import { findPeer, HOW_TO_GET } from '../../scripts/peers.ts';
import { compareScenario, compareStats } from './compare.ts';
import { distribution } from './distribution.ts';
import { FUZZ_USAGE, fuzzOf } from './fuzz.ts';
import { readGolden, writeGolden } from './golden.ts';
import { GROUPS } from './groups.ts';
import type { Binary } from './proxy-process.ts';
import { runGroup } from './run.ts';
import type { Group, GroupObservation } from './types.ts';

/** Groups that run at the same time: most of a scenario is waiting. */
const PARALLEL = 4;
const USAGE = `Usage: npm run test:parity -- [options]

  --group NAME     only groups whose name contains this
  --scenario NAME  also print everything observed of scenarios whose name contains this
  --update         record what Envoy does as the golden files, and run nothing else
  --replay         compare this proxy with the golden files, without an Envoy
  --verify         compare Envoy with the golden files: do they still hold, is a scenario a matter of luck?
  --help

${FUZZ_USAGE}`;

interface Counts {
  passed: number;
  failed: number;
}

const OPTIONS = {
  group: { type: 'string', default: '' },
  scenario: { type: 'string' },
  update: { type: 'boolean', default: false },
  replay: { type: 'boolean', default: false },
  verify: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

function refuse(sentence: string, more = USAGE): never {
  console.error(`parity: ${sentence}\n${more}`);
  process.exit(2);
}

function parse() {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    return refuse((error as Error).message);
  }
}

/** The groups asked for; a name that matches nothing is a slip of the pen, not a success. */
function chosenGroups(): Group[] {
  const groups = GROUPS.filter((group) => group.name.includes(values.group));
  const shown = values.scenario;
  if (groups.length === 0)
    refuse(`no group is named like '${values.group}'`, `Groups: ${GROUPS.map((group) => group.name).join(', ')}`);
  if (shown !== undefined && !groups.some((group) => group.scenarios.some((s) => s.name.includes(shown))))
    refuse(`no scenario is named like '${shown}'`);
  return groups;
}

const [command, ...rest] = process.argv.slice(2);
if ((command === 'fuzz' || command === 'distribution') && !rest.includes('--help')) {
  const task = command === 'fuzz' ? fuzzOf(rest) : distribution;
  if (task === null) process.exit(2);
  process.exit(await task(findPeer('envoy') ?? refuse(`no Envoy to compare with. To have one: ${HOW_TO_GET.envoy}`)));
}
const values = parse();
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
if ([values.update, values.replay, values.verify].filter(Boolean).length > 1)
  refuse('--update, --replay and --verify exclude each other');

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

const left = chosenGroups();
const envoy = findPeer('envoy');
if (envoy === null && !values.replay) {
  refuse(
    `no Envoy to compare with. To have one: ${HOW_TO_GET.envoy}`,
    '        (npm test and --replay compare with the recorded results instead)',
  );
}
const counts: Counts = { passed: 0, failed: 0 };
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
