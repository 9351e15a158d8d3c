// Keys of the runtime layers, each read once for whoever asks (Envoy: Runtime::SnapshotImpl::createEntry). What a value is
// not, whoever asks for that takes for not set.

import type { FractionModel } from './common.ts';

/** What one key says. */
export interface RuntimeEntry {
  /** Numbers in texts count; `null` = it is none. */
  readonly number: number | null;
  /** Truth values, and whole numbers that an `int` holds: zero or not. */
  readonly flag: boolean | null;
  /** A `FractionalPercent`. */
  readonly share: Share | null;
}

/** By dotted key. */
export type RuntimeKeys = { readonly [key: string]: RuntimeEntry };

/** A share of requests. */
export type Share = Pick<FractionModel, 'numerator' | 'denominator'>;

const U64_END = 2 ** 64;

/** A number from zero on that 64 bits hold, without what is behind its point. @param key empty = none */
export function runtimeInteger(keys: RuntimeKeys, key: string, fallback: number): number {
  return integerOf(entryOf(keys, key)) ?? fallback;
}

/** Any number. */
export function runtimeNumber(keys: RuntimeKeys, key: string, fallback: number): number {
  return entryOf(keys, key)?.number ?? fallback;
}

export function runtimeFlag(keys: RuntimeKeys, key: string, fallback: boolean): boolean {
  return entryOf(keys, key)?.flag ?? fallback;
}

/** A share, or whole percent. @returns `null` = nothing is set */
export function runtimeShare(keys: RuntimeKeys, key: string): Share | null {
  const entry = entryOf(keys, key);
  if (entry === null || entry.share !== null) return entry === null ? null : entry.share;
  const percent = integerOf(entry);
  return percent === null ? null : { numerator: percent, denominator: 100 };
}

/** The share that holds of a configured one. */
export function runtimeFraction(keys: RuntimeKeys, fraction: FractionModel): Share {
  return runtimeShare(keys, fraction.runtimeKey) ?? fraction;
}

function entryOf(keys: RuntimeKeys, key: string): RuntimeEntry | null {
  return key !== '' && Object.hasOwn(keys, key) ? (keys[key] as RuntimeEntry) : null;
}

function integerOf(entry: RuntimeEntry | null): number | null {
  const number = entry === null ? null : entry.number;
  return number !== null && number >= 0 && number < U64_END ? Math.trunc(number) : null;
}
