// protobuf-es, loaded when something first needs it: no start from JSON or YAML does (measured: 0.05 s and 6 MB).
// The module is an `.mts`: what hooks into the loading of CommonJS takes a `.ts` that is required for CommonJS.

import { createRequire } from 'node:module';

type Library = typeof import('./protobuf-es.mts');

let loaded: Library | null = null;

/** What the library does for us. Beside this file as a source, or beside the bundle that this file became a part of. */
export function library(): Library {
  const extension = import.meta.url.endsWith('.ts') ? 'mts' : 'js';
  loaded ??= createRequire(import.meta.url)(`./protobuf-es.${extension}`) as Library;
  return loaded;
}
