// The command line's word about logging, for every thread.

import type { LogOptions } from '../observe/log.ts';
import type { Options } from './args.ts';

/** How every thread logs. */
export function logOptions(options: Options): LogOptions {
  return {
    level: options.logLevel,
    components: options.componentLogLevels,
    format: options.logFormat,
    escaped: options.logFormatEscaped,
    json: null,
    path: options.logPath,
  };
}
