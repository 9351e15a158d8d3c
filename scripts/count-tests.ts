// Counts the results of `tap --reporter=tap` and prints `N passed, N failed[, N skipped]`; exit code 1 when a test
// failed, the run itself failed, or nothing ran.
//
// Usage: node scripts/count-tests.ts FILE EXIT_CODE_OF_TAP

import { readFileSync } from 'node:fs';

const [path = '', exitCode = '1'] = process.argv.slice(2);
const lines = readFileSync(path, 'utf8').split('\n');

let passed = 0;
let failed = 0;
let skipped = 0;
for (const [i, line] of lines.entries()) {
  const result = /^( *)(not )?ok\b(.*)$/.exec(line);
  if (result === null || summarises(i, result[1] ?? '')) continue;
  if (/ # (SKIP|TODO)\b/i.test(result[3] ?? '')) skipped++;
  else if (result[2] === undefined) passed++;
  else failed++;
}
// A file that crashes or runs out of time fails the run without a line of its own.
if (failed === 0 && exitCode !== '0') failed = 1;
console.log(`${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;

/** Whether a result stands for a test with results of its own, which are counted instead. */
function summarises(at: number, indent: string): boolean {
  for (let i = at - 1; i >= 0; i--) {
    const before = lines[i] ?? '';
    if (before.startsWith(`${indent}    1..`)) return before.trim() !== '1..0';
    if (before.startsWith(indent) && /^(not )?ok\b/.test(before.slice(indent.length))) return false;
    if (before.startsWith(`${indent}# Subtest`)) return false;
  }
  return false;
}
