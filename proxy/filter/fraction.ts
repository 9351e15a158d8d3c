// Shares of requests: `RuntimeFractionalPercent`, and percentages with a runtime key of their own
// (Envoy: Runtime::Snapshot::featureEnabled).

import type { FractionModel } from '../config/model.ts';
import type { RuntimeValue } from '../router/match.ts';
import type { Runtime } from '../util/runtime.ts';

/** Draws: whether it holds this time. */
export type Draw = () => boolean;

const DENOMINATORS = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION: 1_000_000 } as const;

export const NEVER: Draw = () => false;
export const ALWAYS: Draw = () => true;

/** @param value numerator and denominator; a numerator that is not below the denominator always holds */
export function compileDraw(value: Fraction, runtime: Runtime): Draw {
  const { numerator, denominator } = value;
  if (numerator <= 0) return NEVER;
  if (numerator >= denominator) return ALWAYS;
  return () => Math.floor(runtime.random() * denominator) < numerator;
}

export type Fraction = Pick<FractionModel, 'numerator' | 'denominator'>;

/** The share that holds: the runtime's where the key is set to one. */
export function runtimeFraction(fallback: Fraction, key: string, runtimeValue: RuntimeValue): Fraction {
  const value = key === '' ? null : runtimeValue(key);
  if (typeof value === 'number') return percent(value) ?? fallback;
  if (typeof value !== 'string') return fallback;
  if (value !== '' && Number.isFinite(Number(value))) return percent(Number(value)) ?? fallback;
  return value.startsWith('{') ? (parsed(value) ?? fallback) : fallback;
}

/** A plain number is a percentage, without what is behind its point. */
function percent(value: number): Fraction | null {
  return value >= 0 ? { numerator: Math.floor(value), denominator: 100 } : null;
}

/** A `FractionalPercent`, which runtime layers keep as its JSON text. */
function parsed(text: string): Fraction | null {
  const { numerator = 0, denominator = 'HUNDRED' } = JSON.parse(text) as { numerator?: unknown; denominator?: unknown };
  const known = DENOMINATORS[denominator as keyof typeof DENOMINATORS];
  return typeof numerator === 'number' && known !== undefined ? { numerator, denominator: known } : null;
}
