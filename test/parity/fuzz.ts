// `npm run test:parity -- fuzz`: random configurations and requests, against a stock Envoy and this proxy.

import { parseArgs } from 'node:util';
import { compareScenario } from './compare.ts';
import { type FuzzCase, makeCase } from './fuzz-case.ts';
import { KNOWN } from './fuzz-known.ts';
import { envoyRefusals, Field, ourRefusal, type Runnable, runCases } from './fuzz-run.ts';
import { type Finding, shrink, signatureOf } from './fuzz-shrink.ts';
import type { Observation } from './types.ts';

/** Configurations of one process. */
const BATCH = 100;

export const FUZZ_USAGE = `       npm run test:parity -- fuzz [options]

  --seed N            default: chosen by chance, and printed
  --configurations N  default 200
  --requests N        of each configuration; default 50
  --only N            only the configuration with this seed, with all that was observed of what differs
  --shrink N          how many kinds of differences are made small; default 10

       npm run test:parity -- distribution    shares where chance decides, and 100,000 requests of a canary
`;

const OPTIONS = {
  seed: { type: 'string' },
  configurations: { type: 'string', default: '200' },
  requests: { type: 'string', default: '50' },
  only: { type: 'string' },
  shrink: { type: 'string', default: '10' },
} as const;

interface Report {
  requests: number;
  refusedByBoth: number;
  /** Differences that are explained, by reason. */
  readonly known: Map<string, number>;
  /** By signature; the first finding and how many there are. */
  readonly findings: Map<string, { readonly finding: Finding; count: number }>;
}

/** Compares with the Envoy it is given. @returns the exit code: 0 = no difference that is not explained, 1 = some */
type Fuzz = (envoy: string) => Promise<number>;

/** @returns `null` = wrong usage, which has been told */
export function fuzzOf(args: readonly string[]): Fuzz | null {
  try {
    const values = parse(args);
    return (envoy) => fuzz(values, envoy);
  } catch (error) {
    console.error(`parity: ${(error as Error).message}\n${FUZZ_USAGE}`);
    return null;
  }
}

async function fuzz(values: ReturnType<typeof parse>, envoy: string): Promise<number> {
  const { seed, configurations, requests } = values;
  console.log(`seed ${seed}, ${configurations} configurations of ${requests} requests`);
  const report: Report = { requests: 0, refusedByBoth: 0, known: new Map(), findings: new Map() };
  const field = await Field.open();
  try {
    for (let from = 0; from < configurations; from += BATCH) {
      const count = Math.min(BATCH, configurations - from);
      await runBatch(
        field,
        envoy,
        Array.from({ length: count }, (_, i) => makeCase(seed + from + i, requests)),
        report,
      );
      process.stderr.write(`${from + count} of ${configurations}: ${report.findings.size} kinds of differences\n`);
    }
    let left = values.shrink;
    for (const { finding, count } of report.findings.values())
      show(left-- > 0 ? await shrink(field, envoy, finding) : finding, count);
  } finally {
    field.close();
  }
  for (const [why, count] of report.known) console.log(`known, ${count} times: ${why}`);
  console.log(
    `${report.requests} requests, ${report.refusedByBoth} configurations refused by both, ` +
      `${report.findings.size} kinds of differences`,
  );
  return report.findings.size === 0 ? 0 : 1;
}

function parse(args: readonly string[]) {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const whole = (name: string, text: string): number => {
    if (!/^\d{1,9}$/.test(text)) throw new Error(`--${name} is a number`);
    return Number(text);
  };
  const only = values.only === undefined ? null : whole('only', values.only);
  return {
    seed: only ?? (values.seed === undefined ? Math.floor(Math.random() * 1e9) : whole('seed', values.seed)),
    configurations: only === null ? whole('configurations', values.configurations) : 1,
    requests: whole('requests', values.requests),
    shrink: whole('shrink', values.shrink),
  };
}

async function runBatch(field: Field, envoy: string, cases: readonly FuzzCase[], report: Report): Promise<void> {
  const theirs = envoyRefusals(field, envoy, cases, (place) => cases[place]?.dubious === true);
  const accepted: FuzzCase[] = [];
  for (const [place, one] of cases.entries()) {
    const envoySays = theirs.get(place) ?? null;
    const weSay = ourRefusal(field, one);
    if (envoySays === null && weSay === null) accepted.push(one);
    else if (envoySays !== null && weSay !== null) report.refusedByBoth++;
    else {
      const lines = [`refusal: ${envoySays ?? 'none'} expected, ${weSay ?? 'none'} seen`];
      judge(report, { seed: one.seed, one: { manager: one.manager, requests: [] }, lines });
    }
  }
  const [expected, actual] = await Promise.all([runCases(field, envoy, accepted), runCases(field, null, accepted)]);
  for (const [i, one] of accepted.entries()) compareCase(one, one.seed, expected[i] ?? [], actual[i] ?? [], report);
}

function compareCase(
  one: Runnable,
  seed: number,
  expected: readonly Observation[],
  actual: readonly Observation[],
  report: Report,
): void {
  for (const [i, request] of one.requests.entries()) {
    report.requests++;
    const lines = compareScenario(
      { name: '', client: [] },
      expected[i] as Observation,
      actual[i] as Observation,
      false,
    );
    if (lines.length > 0) judge(report, { seed, one: { manager: one.manager, requests: [request] }, lines });
  }
}

/** What is known is counted, not reported. @param finding of one request, or of a refusal */
function judge(report: Report, finding: Finding): void {
  const request = finding.one.requests[0]?.text ?? '';
  const known = KNOWN.find(({ explains }) => explains(finding.one, request, finding.lines));
  if (known !== undefined) report.known.set(known.why, (report.known.get(known.why) ?? 0) + 1);
  else addFinding(report, finding);
}

function addFinding(report: Report, finding: Finding): void {
  const signature = signatureOf(finding.lines);
  const known = report.findings.get(signature);
  if (known === undefined) report.findings.set(signature, { finding, count: 1 });
  else known.count++;
}

function show({ seed, one, lines }: Finding, count: number): void {
  console.log(`DIFFERENCE, ${count} times, first with --only ${seed}`);
  console.log(`  ${JSON.stringify(one.manager)}`);
  for (const request of one.requests) console.log(`  ${JSON.stringify(request.text)}`);
  for (const line of lines) console.log(`    ${line}`);
}
