// Numbers that runtime layers set above fields, read as Envoy reads them (Envoy: Runtime::Snapshot::getInteger, getDouble).

import type { Model } from '../model/model.ts';

/** A whole number from zero on; anything else is as if it were not set. */
export function runtimeInteger(runtime: Model['runtime'], key: string, fallback: number): number {
  const number = numberOf(runtime[key]);
  return Number.isSafeInteger(number) && number >= 0 ? number : fallback;
}

/** Any number. */
export function runtimeNumber(runtime: Model['runtime'], key: string, fallback: number): number {
  const number = numberOf(runtime[key]);
  return Number.isFinite(number) ? number : fallback;
}

function numberOf(value: Model['runtime'][string] | undefined): number {
  if (typeof value === 'string') return value.trim() === '' ? Number.NaN : Number(value);
  return typeof value === 'number' ? value : Number.NaN;
}
