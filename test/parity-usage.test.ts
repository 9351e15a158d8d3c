// `npm run test:parity`: wrong usage, and names that match nothing, are told and exit 2.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const MAIN = fileURLToPath(new URL('parity/main.ts', import.meta.url));

function run(...args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
}

t.test('--help', async (t) => {
  const { status, stdout } = run('--help');
  t.equal(status, 0);
  t.match(stdout, /^Usage: /);
});

t.test('wrong usage', async (t) => {
  for (const [args, words] of [
    [['--groups', 'retries'], '--groups'],
    [['retries'], 'retries'],
    [['fuzz', '--seeds', '1'], '--seeds'],
    [['--replay', '--update'], 'exclude each other'],
    [['--replay', '--group', 'nobody'], "no group is named like 'nobody'"],
    [['--replay', '--group', 'retries', '--scenario', 'no such thing'], "no scenario is named like 'no such thing'"],
  ] as const) {
    const { status, stdout, stderr } = run(...args);
    t.equal(status, 2, args.join(' '));
    t.match(stderr, /^parity: /);
    t.match(stderr, words);
    t.equal(stdout, '', 'nothing ran');
  }
});
