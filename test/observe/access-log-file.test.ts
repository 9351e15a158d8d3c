// Log files: batching, order, rotation, full and slow disks.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writev as fsWritev, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { AccessLogModel } from '../../proxy/config/model/access-log.ts';
import { createAccessLogger } from '../../proxy/observe/access-log.ts';
import { type AccessLogFileOptions, AccessLogFiles, checkLogFile } from '../../proxy/observe/access-log-file.ts';
import { FILESYSTEM } from '../../proxy/observe/catalogue-server.ts';
import type { Catalogue, Histogram, StatsStore } from '../../proxy/observe/stats.ts';
import { type ConnectionInfo, StreamInfo } from '../../proxy/observe/stream-info.ts';
import { ConfigError } from '../../proxy/util/error.ts';
import type { Runtime } from '../../proxy/util/runtime.ts';

type Callback = (error: NodeJS.ErrnoException | null, written: number, buffers: NodeJS.ArrayBufferView[]) => void;

/** A clock that moves when told. */
class ManualRuntime implements Runtime {
  private ms = 0;
  private timers: { at: number; fn: () => void }[] = [];
  nowMs(): number {
    return this.ms;
  }
  random(): number {
    return 0.5;
  }
  after(ms: number, fn: () => void): () => void {
    const timer = { at: this.ms + ms, fn };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((each) => each !== timer);
    };
  }
  advance(ms: number): void {
    this.ms += ms;
    const due = this.timers.filter((timer) => timer.at <= this.ms);
    this.timers = this.timers.filter((timer) => timer.at > this.ms);
    for (const timer of due) timer.fn();
  }
}

/** The stats of one test. */
class FlatStats implements StatsStore {
  readonly slots = new Float64Array(FILESYSTEM.names.length);
  block(_catalogue: Catalogue, prefix: string): Float64Array {
    if (prefix !== 'filesystem.') throw new Error(prefix);
    return this.slots;
  }
  cell(): Float64Array {
    return new Float64Array(1);
  }
  histogram(): Histogram {
    return { record: () => undefined };
  }
  get(name: string): number {
    return this.slots[FILESYSTEM.names.indexOf(name)] as number;
  }
}

function setUp(t: { teardown(fn: () => void): void }, more: Partial<AccessLogFileOptions> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'access-log-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const runtime = new ManualRuntime();
  const stats = new FlatStats();
  const warnings: string[] = [];
  const files = new AccessLogFiles({
    flushIntervalMs: 10_000,
    flushBytes: 65_536,
    stats,
    runtime,
    warn: (message) => warnings.push(message),
    ...more,
  });
  return { folder, runtime, stats, warnings, files, path: join(folder, 'a.log') };
}

/** `fs.writev` that asks a script: a number = bytes taken, a string = error code, `null` = as usual. */
function scripted(script: (length: number, call: number) => number | string | null) {
  const lengths: number[] = [];
  const write = (fd: number, buffers: Buffer[], _at: null, done: Callback): void => {
    const all = Buffer.concat(buffers);
    const answer = script(all.length, lengths.length);
    lengths.push(all.length);
    if (typeof answer === 'string') {
      const error = Object.assign(new Error(`${answer}: disk trouble, write`), { code: answer });
      setImmediate(() => done(error, 0, buffers));
    } else {
      fsWritev(fd, [all.subarray(0, answer ?? all.length)], null, done);
    }
  };
  return { lengths, writev: write as unknown as typeof fsWritev };
}

t.test('lines wait for the interval', async (t) => {
  const { files, path, runtime, stats } = setUp(t);
  const writer = files.open(path);
  t.equal(files.open(path), writer, 'one writer a path');
  writer.write('one\n');
  writer.write('tw\xc3\xb6\n');
  t.equal(readFileSync(path, 'utf8'), '');
  t.equal(stats.get('write_buffered'), 2);
  t.equal(stats.get('write_total_buffered'), 9);
  runtime.advance(10_000);
  await writer.flush();
  t.equal(readFileSync(path, 'utf8'), 'one\ntwö\n');
  t.equal(stats.get('flushed_by_timer'), 1);
  t.equal(stats.get('write_completed'), 1);
  t.equal(stats.get('write_total_buffered'), 0);
  await files.close();
});

t.test('a full buffer is written at once, lines stay whole and in order', async (t) => {
  const { lengths, writev } = scripted(() => null);
  const { files, path, stats } = setUp(t, { writev });
  const writer = files.open(path);
  let expected = '';
  for (let i = 0; i < 3000; i++) {
    const line = `${i} ${'x'.repeat(i % 97)}\n`;
    expected += line;
    writer.write(line);
  }
  t.ok(lengths.length === 1, 'one write in flight');
  const long = `${'y'.repeat(200_000)}\n`;
  writer.write(long);
  writer.write('end\n');
  await writer.flush();
  t.equal(readFileSync(path, 'latin1'), `${expected}${long}end\n`);
  t.equal(stats.get('write_total_buffered'), 0);
  t.equal(stats.get('write_failed'), 0);
  await files.close();
});

t.test('a write that takes a part goes on behind it', async (t) => {
  const { lengths, writev } = scripted((length, call) => (call === 0 ? length - 3 : null));
  const { files, path } = setUp(t, { writev });
  files.open(path).write('first\nsecond\n');
  await files.flush();
  t.same(lengths, [13, 3]);
  t.equal(readFileSync(path, 'utf8'), 'first\nsecond\n');
  await files.close();
});

t.test('a full disk loses lines, counts them, and says so once', async (t) => {
  let full = true;
  const { writev } = scripted(() => (full ? 'ENOSPC' : null));
  const { files, path, stats, warnings } = setUp(t, { writev });
  const writer = files.open(path);
  for (let i = 0; i < 3; i++) {
    writer.write('lost\n');
    await writer.flush();
  }
  t.equal(stats.get('write_failed'), 3);
  t.equal(stats.get('write_total_buffered'), 0, 'nothing is kept');
  t.same(warnings, [`access log '${path}' loses lines: disk trouble`]);
  full = false;
  writer.write('kept\n');
  await writer.flush();
  t.equal(readFileSync(path, 'utf8'), 'kept\n');
  t.equal(warnings[1], `access log '${path}' is written again`);
  await files.close();
});

t.test('a disk that does not answer bounds memory', async (t) => {
  const pending: (() => void)[] = [];
  const writev = ((_fd: number, buffers: Buffer[], _at: null, done: Callback) => {
    const length = buffers.reduce((sum, buffer) => sum + buffer.length, 0);
    pending.push(() => done(null, length, []));
  }) as unknown as typeof fsWritev;
  const { files, path, stats, warnings } = setUp(t, { writev });
  const writer = files.open(path);
  const line = `${'z'.repeat(1023)}\n`;
  for (let i = 0; i < 20_000; i++) writer.write(line);
  t.equal(pending.length, 1, 'one write in flight');
  t.equal(stats.get('write_buffered'), 16_384, '16 MiB are held');
  t.equal(stats.get('write_failed'), 20_000 - 16_384);
  t.equal(warnings.length, 1);
  const flushed = writer.flush();
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) next();
  await flushed;
  t.equal(stats.get('write_total_buffered'), 0);
  writer.write(line);
  t.equal(stats.get('write_buffered'), 16_385, 'lines are taken again');
  const closed = files.close();
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) next();
  await closed;
});

t.test('a full pipe is tried again', async (t) => {
  const { lengths, writev } = scripted((_, call) => (call < 2 ? 'EAGAIN' : null));
  const { files, path, stats } = setUp(t, { writev });
  const writer = files.open(path);
  writer.write('line\n');
  const flushed = writer.flush();
  await flushed;
  t.equal(lengths.length, 3);
  t.equal(stats.get('write_failed'), 0);
  t.equal(readFileSync(path, 'utf8'), 'line\n');
  await files.close();
});

t.test('trouble that comes and goes is not announced each time', async (t) => {
  const { writev } = scripted((_, call) => (call % 2 === 0 ? 'EIO' : null));
  const { files, path, runtime, stats, warnings } = setUp(t, { writev });
  const writer = files.open(path);
  for (let i = 0; i < 10; i++) {
    writer.write('x\n');
    await writer.flush();
  }
  t.equal(stats.get('write_failed'), 5);
  t.equal(warnings.length, 2, 'once that it loses, once that it works');
  runtime.advance(60_000);
  await writer.flush();
  writer.write('x\n');
  await writer.flush();
  t.equal(warnings.length, 3);
  await files.close();
});

t.test('workers take turns on a pipe', async (t) => {
  // Standard output of this child is a pipe; two writers with a shared lock write long lines at once.
  const module = new URL('../../proxy/observe/access-log-file.ts', import.meta.url).href;
  const runtime = new URL('../../proxy/util/runtime.ts', import.meta.url).href;
  const code = `
    import { AccessLogFiles } from '${module}';
    import { SYSTEM_RUNTIME } from '${runtime}';
    const cells = new Int32Array(new SharedArrayBuffer(8));
    const stats = { block: () => new Float64Array(6) };
    const all = [1, 2].map((token) => new AccessLogFiles({ flushIntervalMs: 10000, flushBytes: 65536, stats,
      runtime: SYSTEM_RUNTIME, warn: console.error, pipeLocks: { cells, token } }));
    for (let i = 0; i < 200; i++) {
      for (const [n, files] of all.entries()) files.open('/dev/stdout').write(String(n).repeat(5000) + '\\n');
      if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(all.map((files) => files.close()));
    if (cells[0] !== 0) console.error('locked');
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'pipe'] });
  const out: Buffer[] = [];
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const [status] = await once(child, 'close');
  t.equal(status, 0, errors);
  t.notMatch(errors, /locked|loses/);
  const lines = Buffer.concat(out).toString('latin1').split('\n');
  t.equal(lines.pop(), '');
  t.equal(lines.length, 400);
  t.equal(lines.filter((line) => !/^(?:0{5000}|1{5000})$/.test(line)).length, 0, 'no line is torn');
});

t.test('rotation', async (t) => {
  const { files, path, folder, stats } = setUp(t);
  const writer = files.open(path);
  writer.write('old\n');
  await files.flush();
  const moved = join(folder, 'a.log.1');
  renameSync(path, moved);
  files.reopen();
  writer.write('new\n');
  await files.flush();
  t.equal(readFileSync(moved, 'utf8'), 'old\n');
  t.equal(readFileSync(path, 'utf8'), 'new\n');
  t.equal(stats.get('reopen_failed'), 0);
  await files.close();
});

t.test('a file that cannot be opened', async (t) => {
  const { files, folder, stats, warnings, runtime } = setUp(t);
  const path = join(folder, 'missing', 'a.log');
  t.throws(() => checkLogFile(path), new ConfigError(`unable to open file '${path}': no such file or directory`));
  checkLogFile('/dev/stdout');
  const writer = files.open(path);
  writer.write('lost\n');
  await files.flush();
  t.equal(stats.get('reopen_failed'), 1);
  t.equal(stats.get('write_failed'), 1);
  t.same(warnings, [`access log '${path}' loses lines: unable to open: no such file or directory`]);
  const { mkdirSync } = await import('node:fs');
  mkdirSync(join(folder, 'missing'));
  runtime.advance(10_000);
  writer.write('kept\n');
  await files.flush();
  t.equal(readFileSync(path, 'utf8'), 'kept\n', 'the timer opened it');
  await files.close();
});

t.test('loggers: none, one, several, filtered', async (t) => {
  const { files, path } = setUp(t);
  const model = (format: string, filter: AccessLogModel['filter']): AccessLogModel => ({
    name: '',
    filter,
    sink: { kind: 'file', path },
    format: { kind: 'text', format, omitEmptyValues: false },
  });
  t.equal(createAccessLogger([], files, 'DownstreamEnd', {}), null);
  const one = createAccessLogger([model('%RESPONSE_CODE% %ACCESS_LOG_TYPE%\n', null)], files, 'DownstreamEnd', {});
  const both = createAccessLogger(
    [
      model('a %ACCESS_LOG_TYPE%\n', { kind: 'response_flag', flags: [] }),
      model('b\n', { kind: 'log_type', types: ['TcpConnectionEnd'], exclude: false }),
    ],
    files,
    'TcpConnectionEnd',
    {},
  );
  const info = new StreamInfo({} as ConnectionInfo, 0, 0);
  info.status = 204;
  one?.(info);
  both?.(info);
  await files.flush();
  t.equal(readFileSync(path, 'utf8'), '204 DownstreamEnd\nb\n');
  await files.close();
});
