// Finds where two observations differ, in lines that a person can read.

import type { GroupObservation, Observation, Part, Scenario } from './types.ts';

/**
 * Differences of one scenario, a line each; empty when equal apart from what the scenario excuses.
 * @param ours the actual observation is of this proxy
 */
export function compareScenario(
  scenario: Scenario,
  expected: Observation,
  actual: Observation,
  ours: boolean,
): string[] {
  const excused = new Set<Part>(ours ? scenario.differs?.parts : []);
  const lines: string[] = [];
  if (ours && scenario.differs !== undefined)
    compareValues(
      'answers',
      [scenario.differs.ours],
      actual.answers.map((answer) => answer.line),
      lines,
    );
  for (const part of ['answers', 'end', 'upstream', 'log'] as const)
    if (!excused.has(part)) compareValues(part, expected[part], actual[part], lines);
  compareValues('tls', expected.tls, actual.tls, lines);
  if (!excused.has('answers')) compareValues('rest', expected.rest, actual.rest, lines);
  return lines;
}

/** Differences of the stats of a group, and of its events. */
export function compareStats(expected: GroupObservation, actual: GroupObservation): string[] {
  const lines: string[] = [];
  for (const [name, value] of Object.entries(expected.stats)) {
    if (actual.stats[name] !== value) lines.push(`${name}: ${value} expected, ${actual.stats[name] ?? 'absent'} seen`);
  }
  for (const name of Object.keys(actual.stats))
    if (expected.stats[name] === undefined) lines.push(`${name}: not expected`);
  compareValues('events', expected.events, actual.events, lines);
  return lines;
}

function compareValues(path: string, expected: unknown, actual: unknown, lines: string[]): void {
  if (typeof expected === 'object' && expected !== null && typeof actual === 'object' && actual !== null) {
    const left = expected as Record<string, unknown>;
    const right = actual as Record<string, unknown>;
    if (Array.isArray(expected) && path.endsWith('.headers')) compareSets(path, expected, actual as unknown[], lines);
    else {
      for (const key of new Set([...Object.keys(left), ...Object.keys(right)]))
        compareValues(`${path}.${key}`, left[key], right[key], lines);
    }
  } else if (expected !== actual) {
    lines.push(`${path}: ${JSON.stringify(expected)} expected, ${JSON.stringify(actual)} seen`);
  }
}

function compareSets(path: string, expected: readonly unknown[], actual: readonly unknown[], lines: string[]): void {
  if (JSON.stringify(expected) === JSON.stringify(actual)) return;
  const missing = expected.filter((item) => !actual.includes(item));
  const extra = actual.filter((item) => !expected.includes(item));
  for (const item of missing) lines.push(`${path}: missing ${JSON.stringify(item)}`);
  for (const item of extra) lines.push(`${path}: unexpected ${JSON.stringify(item)}`);
  if (missing.length + extra.length === 0) lines.push(`${path}: order or number differs: ${JSON.stringify(actual)}`);
}
