// The stats of outlier detection, printed under `cluster.<name>.outlier_detection.` of clusters that have it.

import type { Catalogue } from './stats.ts';

const NAMES = [
  'ejections_active',
  'ejections_consecutive_5xx',
  'ejections_detected_consecutive_5xx',
  'ejections_detected_consecutive_gateway_failure',
  'ejections_detected_consecutive_local_origin_failure',
  'ejections_detected_degradation',
  'ejections_detected_failure_percentage',
  'ejections_detected_local_origin_failure_percentage',
  'ejections_detected_local_origin_success_rate',
  'ejections_detected_success_rate',
  'ejections_enforced_consecutive_5xx',
  'ejections_enforced_consecutive_gateway_failure',
  'ejections_enforced_consecutive_local_origin_failure',
  'ejections_enforced_failure_percentage',
  'ejections_enforced_local_origin_failure_percentage',
  'ejections_enforced_local_origin_success_rate',
  'ejections_enforced_success_rate',
  'ejections_enforced_total',
  'ejections_overflow',
  'ejections_success_rate',
  'ejections_total',
] as const;

export type OutlierStat = (typeof NAMES)[number];

export const OUTLIER_CATALOGUE: Catalogue = {
  key: 'outlier',
  names: NAMES,
  kinds: NAMES.map((name) => (name === 'ejections_active' ? 'g' : 'c')),
};

/** Slot of a stat in its block. Looked up on ejections only. */
export function outlierStat(name: OutlierStat): number {
  return NAMES.indexOf(name);
}
