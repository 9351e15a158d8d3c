import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readTap, renderFailures } from '../../scripts/tap-report.ts';

const SCRIPT = new URL('../../scripts/count-tests.ts', import.meta.url).pathname;

const PASSING = `TAP version 14
1..2
# Subtest: test/a.test.ts
    # Subtest: outer
        # Subtest: inner
            ok 1 - one
            ok 2 - two # SKIP not here
            1..2
        ok 1 - inner # time=1ms
        ok 2 - of its own
        1..2
    ok 1 - outer # time=2ms
    1..1
    # time=12.5ms
ok 1 - test/a.test.ts # time=12.5ms

# Subtest: test/b.test.ts
    ok 1 - three
    1..1
    # time=1.5s
ok 2 - test/b.test.ts # time=1.5s
`;

const ASSERTION = `TAP version 14
# Subtest: test/a.test.ts
    # Subtest: with a \\# in it
        not ok 1 - not the same
          ---
          diff: |
            @@ -1,2 +1,2 @@
            -not ok 1 - no result but what was compared
            +ok 1 - nor this
          at:
            fileName: test/a.test.ts
          ...

        ok 2 - goes on
        1..2
    not ok 1 - with a \\# in it # time=3ms
      ---
      at:
        fileName: test/a.test.ts
      ...

    1..1
not ok 1 - test/a.test.ts # time=3ms
  ---
  exitCode: 1
  ...
`;

// One file died without a word, the other while it wrote.
const CRASHED = `TAP version 14
# Subtest: test/crash.test.ts
    # Subtest: before
        ok 1 - passed
        1..1
    ok 1 - before # time=8ms

    # Subtest: dies
        ok 1 - begun
    # test count(1) != plan(null)
        # test count(1) != plan(null)
not ok 1 - test/crash.test.ts # time=20ms
  ---
  exitCode: null
  signal: SIGKILL
  ...

# Subtest: test/cut.test.ts
    # Subtest: dies
        not ok 1 - half a diagnostic
          ---
          diff: |
            +o
not ok 2 - test/cut.test.ts # time=20ms
  ---
  signal: SIGSEGV
  ...

# Subtest: test/exit.test.ts
    ok 1 - all is well, but
    1..1
not ok 3 - test/exit.test.ts # time=20ms
  ---
  exitCode: 3
  ...
`;

const TIMED_OUT = `TAP version 14
# Subtest: test/hang.test.ts
    # Subtest: waits
        ok 1 - begun
        not ok 2 - timeout!
          ---
          signal: null
          expired: TAP
          ...

        1..2
    not ok 1 - waits # time=60025.502ms
      ---
      at:
        fileName: test/hang.test.ts
      ...

    1..1
    # time=60075.602ms
not ok 1 - test/hang.test.ts # time=60075.602ms
  ---
  signal: SIGALRM
  ...

# Subtest: test/quick.test.ts
    ok 1 - fine
    1..1
ok 2 - test/quick.test.ts # time=5ms

not ok 3 - timeout!
  ---
  expired: test/hang.test.ts
  ...
`;

t.test('results are counted, not what stands for several of them', (t) => {
  const report = readTap(PASSING);
  t.match(report, { passed: 3, failed: 0, skipped: 1, failures: [] });
  t.strictSame(report.slowest, [
    { file: 'test/b.test.ts', ms: 1500 },
    { file: 'test/a.test.ts', ms: 12.5 },
  ]);
  t.strictSame(renderFailures(report), []);
  t.end();
});

t.test('a failed assertion has its path and its diagnostic, which is not read as results', (t) => {
  const report = readTap(ASSERTION);
  t.match(report, { passed: 1, failed: 1, skipped: 0 });
  t.strictSame(renderFailures(report), [
    'FAILED test/a.test.ts > with a # in it > not the same',
    '    diff: |',
    '      @@ -1,2 +1,2 @@',
    '      -not ok 1 - no result but what was compared',
    '      +ok 1 - nor this',
    '    at:',
    '      fileName: test/a.test.ts',
    'slowest: test/a.test.ts 0.0 s',
  ]);
  t.end();
});

t.test('a file that crashed is named, though none of its results failed', (t) => {
  const report = readTap(CRASHED);
  t.match(report, { passed: 3, failed: 3, skipped: 0 });
  t.strictSame(
    report.failures.map((f) => [f.path.join(' > '), f.diagnostic.at(-1)]),
    [
      ['test/crash.test.ts', 'signal: SIGKILL'],
      ['test/cut.test.ts > dies > half a diagnostic', '  +o'],
      ['test/exit.test.ts', 'exitCode: 3'],
    ],
  );
  t.end();
});

t.test('a file that ran out of time is named twice: where it was, and that it was', (t) => {
  const report = readTap(TIMED_OUT);
  t.match(report, { passed: 2, failed: 2, skipped: 0 });
  t.strictSame(
    report.failures.map((f) => f.path.join(' > ')),
    ['test/hang.test.ts > waits > timeout!', 'test/hang.test.ts > timeout!'],
  );
  t.match(renderFailures(report).at(-1), /^slowest: test\/hang\.test\.ts 60\.1 s, test\/quick/);
  t.end();
});

t.test('long diagnostics and many failures are cut, and say so', (t) => {
  const diagnostic = Array.from({ length: 45 }, (_, i) => `      line ${i}\n`).join('');
  const failures = Array.from(
    { length: 23 },
    (_, i) => `    not ok ${i + 1} - n${i}\n      ---\n${diagnostic}      ...\n`,
  );
  const report = readTap(`# Subtest: test/a.test.ts\n${failures.join('')}    1..23\nnot ok 1 - test/a.test.ts\n`);
  t.equal(report.failed, 23);
  const lines = renderFailures(report);
  t.equal(lines.filter((line) => line.startsWith('FAILED ')).length, 20);
  t.strictSame(lines.slice(40, 42), ['    line 39', '    … 5 more lines']);
  t.equal(lines.at(-1), '… 3 more failures');
  t.end();
});

t.test('the count is the last line, and the exit code says whether all is well', async (t) => {
  const failing = await count(t.testdir(), TIMED_OUT, '1');
  t.equal(failing.code, 1);
  t.equal(failing.lines[0], 'FAILED test/hang.test.ts > waits > timeout!');
  t.equal(failing.lines.at(-1), '2 passed, 2 failed');

  t.strictSame(await count(t.testdir(), PASSING, '0'), { code: 0, lines: ['3 passed, 0 failed, 1 skipped'] });

  const broken = await count(t.testdir(), PASSING, '7');
  t.equal(broken.code, 1);
  t.match(broken.lines[0], /^FAILED the run, with exit code 7/);
  t.ok(broken.lines.includes('    ok 2 - test/b.test.ts # time=1.5s'), 'the end of the record');
  t.equal(broken.lines.at(-1), '3 passed, 1 failed, 1 skipped');

  t.strictSame(await count(t.testdir(), '', '0'), { code: 1, lines: ['0 passed, 0 failed'] });
});

function count(dir: string, tap: string, exitCode: string): Promise<{ code: number; lines: string[] }> {
  const path = join(dir, 'tests.tap');
  writeFileSync(path, tap);
  return new Promise((resolve) => {
    execFile(process.execPath, [SCRIPT, path, exitCode], (error, stdout) => {
      resolve({ code: error === null ? 0 : Number(error.code), lines: stdout.trimEnd().split('\n') });
    });
  });
}
