// SEAM: substitution format strings (`%REQ(x)%` and so on), compiled once.

import type { FormatModel } from '../config/model-access-log.ts';
import type { StreamInfo } from './stream-info.ts';

/** Renders one record. The result is a latin1 image of the bytes. */
export type Formatter = (info: StreamInfo) => string;

/**
 * Compiles a text format as header values and access logs use it.
 * @throws ConfigError with the position and, where close, the operator that was meant
 */
export declare function compileText(format: string, omitEmpty: boolean): Formatter;
/** Compiles a `FormatModel`; JSON formats render one line with a trailing newline. */
export declare function compileFormat(model: FormatModel): Formatter;
