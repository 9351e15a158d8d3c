// All groups of scenarios.

import { routing } from './scenarios/routing.ts';
import type { Group } from './types.ts';

export const GROUPS: readonly Group[] = [routing];
