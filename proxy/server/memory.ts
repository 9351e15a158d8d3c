// Gives memory back to the system after something large is done with (measured: a plain collection returns nothing).

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { trimMalloc } from '../net/sockopt.ts';

type Collect = (options: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void;

let collect: Collect | null = null;

/** What start-up needed is given back this long after it: the configuration thread is surely gone. Milliseconds. */
const SETTLE_MS = 300;
/** How often a busy thread is asked before it is left alone. */
const ATTEMPTS_MAX = 100;

/**
 * Gives back what start-up needed, at a moment at which nobody waits for this thread: collecting takes 20 to 100 ms.
 * @param isIdle asked every 300 ms
 */
export function giveMemoryBackWhenIdle(isIdle: () => boolean): void {
  let attempts = 0;
  const timer = setInterval(() => {
    const idle = isIdle();
    if (idle || ++attempts === ATTEMPTS_MAX) clearInterval(timer);
    if (idle) giveMemoryBack();
  }, SETTLE_MS);
  timer.unref();
}

/** Collects this thread's heap and returns free pages. Takes some milliseconds: never while serving without need. */
export function giveMemoryBack(): void {
  if (collect === null) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as Collect;
  }
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  trimMalloc();
}
