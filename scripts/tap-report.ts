// Reads what `tap --reporter=tap` prints: how many results, and which failed with what diagnostic.
//
// A result that stands for a subtest is not counted, its own results are; it is a failure only where none of those
// failed, as when a file crashes or ends with an exit code.

/** A failed result. */
export interface Failure {
  /** Names from the test file down to the result. */
  readonly path: readonly string[];
  /** Lines of its diagnostic without their indentation, at most `DIAGNOSTIC_LINES_MAX`. */
  readonly diagnostic: readonly string[];
  /** Lines of the diagnostic that were left out. */
  readonly omitted: number;
}

export interface TapReport {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** The first `FAILURES_MAX` of those that failed. */
  readonly failures: readonly Failure[];
  /** Test files by the time that they took themselves, the slowest first; at most `SLOWEST_MAX`. */
  readonly slowest: readonly { readonly file: string; readonly ms: number }[];
}

const DIAGNOSTIC_LINES_MAX = 40;
const FAILURES_MAX = 20;
const SLOWEST_MAX = 5;
/** Columns by which tap indents the results of a subtest. */
const INDENT = 4;

/** A subtest that is open: its name, and what has been seen of its results. */
interface Open {
  name: string;
  results: number;
  failed: number;
}

export function readTap(text: string): TapReport {
  const lines = text.split('\n');
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const failures: Failure[] = [];
  const files: { file: string; ms: number }[] = [];
  const open: Open[] = [];
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] as string;
    const subtest = /^( *)# Subtest: (.*)$/.exec(line);
    if (subtest !== null) {
      const depth = (subtest[1] as string).length / INDENT;
      open.length = Math.min(open.length, depth);
      open.push({ name: plain(subtest[2] as string), results: 0, failed: 0 });
      continue;
    }
    const result = /^( *)(not )?ok\b(?: \d+)?(?: - )?(.*)$/.exec(line);
    if (result === null) continue;
    const depth = (result[1] as string).length / INDENT;
    const ok = result[2] === undefined;
    const { name, directive } = described(result[3] as string);
    const diagnostic = diagnosticAfter(lines, i);
    i += diagnostic.length === 0 ? 0 : diagnostic.length + 2;

    const inner = open[depth];
    const summary = inner !== undefined && inner.results > 0 && (ok || inner.failed > 0);
    if (depth === 0) fileTime(files, name, directive);
    open.length = Math.min(open.length, depth);
    for (const outer of open) {
      outer.results++;
      if (!ok) outer.failed++;
    }
    if (summary) continue;
    if (/^(SKIP|TODO)\b/i.test(directive)) counts.skipped++;
    else if (ok) counts.passed++;
    else {
      counts.failed++;
      if (failures.length < FAILURES_MAX) failures.push(failure([...open.map((o) => o.name), name], diagnostic));
    }
  }
  files.sort((a, b) => b.ms - a.ms);
  return { ...counts, failures, slowest: files.slice(0, SLOWEST_MAX) };
}

/** What failed, then which files were slowest; empty when nothing failed. */
export function renderFailures(report: TapReport): string[] {
  if (report.failed === 0) return [];
  const out: string[] = [];
  for (const { path, diagnostic, omitted } of report.failures) {
    out.push(`FAILED ${path.join(' > ')}`, ...diagnostic.map((line) => `    ${line}`));
    if (omitted > 0) out.push(`    … ${omitted} more lines`);
  }
  if (report.failed > report.failures.length) out.push(`… ${report.failed - report.failures.length} more failures`);
  const slowest = report.slowest.map(({ file, ms }) => `${file} ${(ms / 1000).toFixed(1)} s`);
  if (slowest.length > 0) out.push(`slowest: ${slowest.join(', ')}`);
  return out;
}

export function renderCounts(passed: number, failed: number, skipped: number): string {
  return `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}

function failure(path: string[], diagnostic: readonly string[]): Failure {
  // A file that ran out of time has a result beside its own, which says only in the diagnostic whose it is.
  const expired = path.length === 1 && diagnostic.map((line) => /^expired: (.*)$/.exec(line)?.[1]).find((f) => f);
  return {
    path: expired ? [expired, ...path] : path,
    diagnostic: diagnostic.slice(0, DIAGNOSTIC_LINES_MAX),
    omitted: Math.max(0, diagnostic.length - DIAGNOSTIC_LINES_MAX),
  };
}

function fileTime(files: { file: string; ms: number }[], file: string, directive: string): void {
  const time = /^time=([\d.]+)(ms|s)$/.exec(directive);
  if (time !== null) files.push({ file, ms: Number(time[1]) * (time[2] === 's' ? 1000 : 1) });
}

/** The description of a result, and what follows its first `#` that is not escaped. */
function described(text: string): { name: string; directive: string } {
  const at = / # /.exec(text);
  if (at === null) return { name: plain(text), directive: '' };
  return { name: plain(text.slice(0, at.index)), directive: text.slice(at.index + 3).trim() };
}

function plain(escaped: string): string {
  return escaped.replace(/\\([#\\])/g, '$1').trim();
}

/** The lines between `---` and `...` below a result: what they hold is no result, whatever it looks like. */
function diagnosticAfter(lines: readonly string[], at: number): string[] {
  const first = lines[at + 1] ?? '';
  if (first.trim() !== '---') return [];
  const indent = first.slice(0, first.indexOf('-'));
  const out: string[] = [];
  for (let i = at + 2; i < lines.length; i++) {
    const line = lines[i] as string;
    // A process that died while it wrote leaves a block without an end.
    if (line === `${indent}...` || (line.trim() !== '' && !line.startsWith(indent))) break;
    out.push(line.slice(indent.length));
  }
  return out;
}
