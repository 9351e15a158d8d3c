// Watching files through what happens to them while they are replaced.

import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { TlsWatch } from '../../proxy/server/tls-watch.ts';

/** Longest wait for a change to be seen, milliseconds; it takes a fifth of a second. */
const WAIT_MS = 20_000;

t.setTimeout(2 * WAIT_MS);

/** Resolves with the next change that is seen. */
function watching(files: readonly string[]): { watch: TlsWatch; next: () => Promise<void> } {
  let seen = (): void => {};
  const watch = new TlsWatch(
    () => seen(),
    () => {},
  );
  watch.start(files);
  // The watch's own timers keep no process alive.
  const next = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('nobody saw it')), WAIT_MS);
      seen = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  return { watch, next };
}

t.test('a link that leads to itself for a while', async (t) => {
  const dir = t.testdir({ one: { 'tls.crt': 'one' }, two: { 'tls.crt': 'two' } });
  symlinkSync('one', `${dir}/..data`);
  symlinkSync('..data/tls.crt', `${dir}/tls.crt`);
  const { watch, next } = watching([`${dir}/tls.crt`]);
  t.teardown(() => watch.close());
  rmSync(`${dir}/..data`);
  symlinkSync('..data', `${dir}/..data`);
  await next();
  symlinkSync('two', `${dir}/..next`);
  renameSync(`${dir}/..next`, `${dir}/..data`);
  await next();
  t.pass('both were seen');
});

t.test('files that are missing at first, and below a file', async (t) => {
  const dir = t.testdir({ plain: 'not a folder' });
  mkdirSync(`${dir}/certs`);
  const { watch, next } = watching([`${dir}/certs/tls.crt`, `${dir}/plain/tls.crt`]);
  t.teardown(() => watch.close());
  writeFileSync(`${dir}/certs/tls.crt`, 'one');
  await next();
  t.pass('it was seen');
});
