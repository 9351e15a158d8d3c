// The recorded observations of stock Envoy, one file per group.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { GroupObservation } from './types.ts';

const pathOf = (group: string): URL => new URL(`./golden/${group}.json`, import.meta.url);

/** What Envoy did, or `null` when it was never recorded. */
export function readGolden(group: string): GroupObservation | null {
  const path = pathOf(group);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as GroupObservation) : null;
}

export function writeGolden(group: string, observation: GroupObservation): void {
  writeFileSync(pathOf(group), `${JSON.stringify(observation, null, 1)}\n`);
}
