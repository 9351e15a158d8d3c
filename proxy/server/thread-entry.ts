// Where a thread's code is: beside this file as a source, or beside the bundle that this file became a part of.

const EXTENSION = import.meta.url.endsWith('.ts') ? 'ts' : 'js';

/** The program that a thread starts with. */
export function threadEntry(name: 'worker-main' | 'config-thread'): URL {
  return new URL(`./${name}.${EXTENSION}`, import.meta.url);
}
