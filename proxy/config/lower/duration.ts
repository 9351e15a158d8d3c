// Durations as Envoy reads them: whole milliseconds, what is below one is cut off, negative ones are refused.

import { ConfigError } from '../../util/error.ts';
import { type Msg, sub, toMs } from '../schema/message.ts';

/** A duration field in whole milliseconds; `fallbackMs` when it is not set. */
export function wholeMs(message: Msg, field: string, fallbackMs: number, path: string): number {
  const duration = sub(message, field);
  if (duration === null) return fallbackMs;
  const ms = toMs(duration);
  if (ms < 0) throw new ConfigError('Invalid duration: Expected positive duration', `${path}.${snakeCase(field)}`);
  return Math.floor(ms);
}

/** `idleTimeout` → `idle_timeout`: field paths are written as configurations spell them. */
export function snakeCase(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
