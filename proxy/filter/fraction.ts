// Whether something holds for a request, by chance.

import type { Share } from '../config/model/runtime.ts';
import type { Runtime } from '../util/runtime.ts';

/** Draws: whether it holds this time. */
export type Draw = () => boolean;

export const NEVER: Draw = () => false;
export const ALWAYS: Draw = () => true;

/** @param value numerator and denominator; a numerator that is not below the denominator always holds */
export function compileDraw(value: Share, runtime: Runtime): Draw {
  const { numerator, denominator } = value;
  if (numerator <= 0) return NEVER;
  if (numerator >= denominator) return ALWAYS;
  return () => Math.floor(runtime.random() * denominator) < numerator;
}
