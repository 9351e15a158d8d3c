// Counts the results of `tap --reporter=tap`: names what failed, then prints `N passed, N failed[, N skipped]`; exit
// code 1 when a test failed, the run itself failed, or nothing ran.
//
// Usage: node scripts/count-tests.ts FILE EXIT_CODE_OF_TAP

import { readFileSync } from 'node:fs';
import { readTap, renderCounts, renderFailures } from './tap-report.ts';

/** How much of the record is shown where the run failed and no result did. */
const TAIL_LINES = 40;

const [path = '', exitCode = '1'] = process.argv.slice(2);
const text = readFileSync(path, 'utf8');
const report = readTap(text);
let failed = report.failed;
for (const line of renderFailures(report)) console.log(line);
if (failed === 0 && exitCode !== '0') {
  failed = 1;
  console.log(`FAILED the run, with exit code ${exitCode} and no failed result. The end of its record:`);
  for (const line of text.trimEnd().split('\n').slice(-TAIL_LINES)) console.log(`    ${line}`);
}
console.log(renderCounts(report.passed, failed, report.skipped));
process.exitCode = failed > 0 || report.passed === 0 ? 1 : 0;
