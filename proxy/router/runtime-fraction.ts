// Shares of requests: `RuntimeFractionalPercent`, and percentages with a runtime key of their own
// (Envoy: Runtime::Snapshot::featureEnabled).

import type { FractionModel } from '../config/model/common.ts';

/** Values of runtime keys; `null` = not set. */
export type RuntimeValue = (key: string) => string | number | boolean | null;

const DENOMINATORS = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION: 1_000_000 } as const;

export type Fraction = Pick<FractionModel, 'numerator' | 'denominator'>;

/** The share that holds: the runtime's where the key is set to one. */
export function runtimeFraction(fallback: Fraction, key: string, runtimeValue: RuntimeValue): Fraction {
  return (key === '' ? null : fractionOf(runtimeValue(key))) ?? fallback;
}

/** What a runtime value says about a share; `null` = nothing: it is not set, or no share. */
function fractionOf(value: ReturnType<RuntimeValue>): Fraction | null {
  if (typeof value === 'number') return percent(value);
  if (typeof value !== 'string') return null;
  if (value !== '' && Number.isFinite(Number(value))) return percent(Number(value));
  return value.startsWith('{') ? parsed(value) : null;
}

/** The runtime's number where the key is set to one. */
export function runtimeInteger(key: string, fallback: number, runtimeValue: RuntimeValue): number {
  const value = runtimeValue(key);
  const number = typeof value === 'number' ? value : typeof value === 'string' && value !== '' ? Number(value) : -1;
  return number >= 0 ? Math.floor(number) : fallback;
}

/** Shares of keys that requests may name: no text is read twice. */
export class RuntimeFractions {
  private readonly runtimeValue: RuntimeValue;
  /** By the text that says them: there are as many as the runtime has values, whatever requests ask for. */
  private readonly known: Map<string, Fraction | null>;

  constructor(runtimeValue: RuntimeValue) {
    this.runtimeValue = runtimeValue;
    this.known = new Map();
  }

  /** @param key empty = none. @returns `null` = what is configured holds */
  of(key: string): Fraction | null {
    if (key === '') return null;
    const value = this.runtimeValue(key);
    if (typeof value !== 'string') return value === null ? null : fractionOf(value);
    let share = this.known.get(value);
    if (share === undefined) {
      share = fractionOf(value);
      this.known.set(value, share);
    }
    return share;
  }
}

/** A plain number is a percentage, without what is behind its point. */
function percent(value: number): Fraction | null {
  return value >= 0 ? { numerator: Math.floor(value), denominator: 100 } : null;
}

/** A `FractionalPercent`, which runtime layers keep as its JSON text. */
function parsed(text: string): Fraction | null {
  let value: { numerator?: unknown; denominator?: unknown };
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const { numerator = 0, denominator = 'HUNDRED' } = value;
  const known = DENOMINATORS[denominator as keyof typeof DENOMINATORS];
  return typeof numerator === 'number' && typeof known === 'number' ? { numerator, denominator: known } : null;
}
