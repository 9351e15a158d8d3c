// The state of one decode: the path that led to where it is, and where warnings go.

import { ConfigError } from '../../util/error.ts';
import { FieldPath } from '../schema/field-path.ts';
import type { Findings } from './decode-checks.ts';

export interface DecodeOptions {
  /** Unknown fields and enum names are warnings (`--allow-unknown-static-fields`). */
  readonly allowUnknown: boolean;
  /** Receives those warnings, each with its path. */
  readonly warnings: string[];
  /** Receives what was noticed; left as it is when nothing was. */
  readonly findings?: Findings;
}

/** See the head of the file. */
export class Walk {
  readonly options: DecodeOptions;
  /** See `Findings`. */
  invalid = false;
  unanswered = false;
  readonly #path: FieldPath;

  constructor(options: DecodeOptions, prefix: string) {
    this.options = options;
    this.#path = new FieldPath(prefix);
  }

  push(segment: string | number): void {
    if (!this.#path.push(segment)) throw this.error('nested too deep');
  }

  pop(): void {
    this.#path.pop();
  }

  path(): string {
    return this.#path.toString();
  }

  error(text: string): ConfigError {
    return new ConfigError(text, this.path());
  }

  /** An unknown name: refused, or a warning when that is allowed. */
  unknown(text: string): void {
    if (!this.options.allowUnknown) throw this.error(text);
    this.options.warnings.push(`${this.path()}: ${text}`);
  }
}
