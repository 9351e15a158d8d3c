// Log files of one worker: whole lines are gathered and written behind the worker's back.
//
// Rule 1: a record costs one copy into a buffer; the disk is reached through asynchronous writes, one in flight a file.
// Rule 2: a write holds whole lines, and files are opened for appending, so lines of several workers never mix. On
//         pipes, where the kernel may split a write, workers take turns through a lock.
// Rule 3: memory is bounded: when the disk is slow or full, lines are dropped, counted, and it is said once.

import { closeSync, fstatSync, openSync, writev } from 'node:fs';
import { ConfigError } from '../util/error.ts';
import type { Runtime } from '../util/runtime.ts';
import {
  FILESYSTEM,
  FILESYSTEM_FLUSHED_BY_TIMER,
  FILESYSTEM_REOPEN_FAILED,
  FILESYSTEM_WRITE_BUFFERED,
  FILESYSTEM_WRITE_COMPLETED,
  FILESYSTEM_WRITE_FAILED,
  FILESYSTEM_WRITE_TOTAL_BUFFERED,
} from './catalogue-server.ts';
import type { StatsStore } from './stats.ts';

/** Lines are gathered as text up to this many bytes, then copied into the buffer in one call. */
const GATHER_BYTES = 4096;
/** What a file may hold back while the disk does not take it: about two seconds of full load. */
const HELD_BYTES_MAX = 16 * 1024 * 1024;
/** Buffers that go to the kernel in one call. */
const BATCH_BUFFERS_MAX = 64;
/** A full pipe, and one that another worker is writing to, is tried again after this long. */
const PIPE_RETRY_MS = 2;
/** Trouble is announced this often at most. */
const WARNING_INTERVAL_MS = 60_000;
const FILE_MODE = 0o644;

/** What a worker's log files share. */
export interface AccessLogFileOptions {
  /** Time between flushes of partly filled buffers (`--file-flush-interval-msec`). */
  readonly flushIntervalMs: number;
  /** Buffered bytes that cause a flush at once (`--file-flush-min-size-kb`). */
  readonly flushBytes: number;
  readonly stats: StatsStore;
  readonly runtime: Runtime;
  /** Told once when a file stops taking lines, and once when it goes on. */
  readonly warn: (message: string) => void;
  /**
   * Shared by all workers of the process where there are several: the holder's token for standard output and standard
   * error, 0 = free. Whoever replaces a dead worker zeroes the cells that hold its token.
   */
  readonly pipeLocks?: { readonly cells: Int32Array; readonly token: number };
  /** `fs.writev`, for tests. */
  readonly writev?: typeof writev;
}

/**
 * Gives the verdict on a log file at configuration time; creates the file as the workers will.
 * @throws ConfigError in Envoy's words
 */
export function checkLogFile(path: string): void {
  if (descriptorOf(path) !== null) return;
  try {
    closeSync(openSync(path, 'a', FILE_MODE));
  } catch (error) {
    throw new ConfigError(`unable to open file '${path}': ${reasonOf(error)}`);
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // "ENOENT: no such file or directory, open '/x'" → "no such file or directory"
  return /^[A-Z0-9]+: (.*?), /.exec(error.message)?.[1] ?? error.message;
}

function descriptorOf(path: string): number | null {
  if (path === '/dev/stdout') return 1;
  if (path === '/dev/stderr') return 2;
  return null;
}

/** All log files of a worker, one writer per path. */
export class AccessLogFiles {
  private readonly options: AccessLogFileOptions;
  private readonly writers = new Map<string, AccessLogWriter>();

  constructor(options: AccessLogFileOptions) {
    this.options = options;
  }

  /** The writer of a path; `/dev/stdout` and `/dev/stderr` are this process's own descriptors. */
  open(path: string): AccessLogWriter {
    let writer = this.writers.get(path);
    if (writer === undefined) {
      writer = new AccessLogWriter(path, this.options);
      this.writers.set(path, writer);
    }
    return writer;
  }

  /** Opens every file anew (SIGUSR1, after log rotation). */
  reopen(): void {
    for (const writer of this.writers.values()) writer.reopen();
  }

  /** Resolves when all that was written before has reached its file or was given up. */
  async flush(): Promise<void> {
    await Promise.all([...this.writers.values()].map((writer) => writer.flush()));
  }

  /** Flushes and closes all files; nothing may be written afterwards. */
  async close(): Promise<void> {
    await Promise.all([...this.writers.values()].map((writer) => writer.close()));
    this.writers.clear();
  }
}

/** One log file; see the rules above. */
export class AccessLogWriter {
  readonly path: string;
  private readonly options: AccessLogFileOptions;
  private readonly stats: Float64Array;
  private readonly writeBuffers: typeof writev;
  /** Of standard output and standard error, which are never opened or closed; `null` for files. */
  private readonly standard: number | null;
  /** −1 = not open. */
  private fd: number;
  /** Pipe, socket or terminal: the kernel may split writes. */
  private isPipe: boolean;
  private readonly gatherBytes: number;
  /** Gathered lines, a latin1 image. */
  private gathered: string;
  /** Buffer being filled, with `used` bytes in it. */
  private filling: Buffer;
  private used: number;
  /** Full buffers that wait for the disk, oldest first. */
  private readonly waiting: Buffer[];
  private heldBytes: number;
  /** What the write in flight is about; empty = none in flight. */
  private batch: Buffer[];
  private writing: boolean;
  /** Descriptors to close when the write in flight is done. */
  private retired: number[];
  private failing: boolean;
  private announced: boolean;
  private quietUntilMs: number;
  private stopTimer: (() => void) | null;
  private idleWaiters: (() => void)[];

  constructor(path: string, options: AccessLogFileOptions) {
    this.path = path;
    this.options = options;
    this.stats = options.stats.block(FILESYSTEM, 'filesystem.');
    this.writeBuffers = options.writev ?? writev;
    this.standard = descriptorOf(path);
    this.fd = -1;
    this.isPipe = false;
    this.gatherBytes = Math.min(GATHER_BYTES, options.flushBytes);
    this.gathered = '';
    this.filling = Buffer.allocUnsafe(options.flushBytes);
    this.used = 0;
    this.waiting = [];
    this.heldBytes = 0;
    this.batch = [];
    this.writing = false;
    this.retired = [];
    this.failing = false;
    this.announced = false;
    this.quietUntilMs = -1;
    this.stopTimer = null;
    this.idleWaiters = [];
    this.openFile();
    this.startTimer();
  }

  /** Takes one record: whole lines as a latin1 image. */
  write(lines: string): void {
    const bytes = lines.length;
    if (bytes === 0) return;
    if (this.heldBytes + bytes > HELD_BYTES_MAX) {
      this.add(FILESYSTEM_WRITE_FAILED, 1);
      this.fail(`more than ${HELD_BYTES_MAX} bytes wait to be written`);
      return;
    }
    this.heldBytes += bytes;
    this.add(FILESYSTEM_WRITE_BUFFERED, 1);
    this.add(FILESYSTEM_WRITE_TOTAL_BUFFERED, bytes);
    this.gathered += lines;
    if (this.gathered.length >= this.gatherBytes) this.settle();
  }

  /** Opens the file anew; the old one stays in use when that fails, and the next flush tries again. */
  reopen(): void {
    if (this.standard === null) this.openFile();
  }

  /** Resolves when what was written so far has reached the file or was given up. */
  flush(): Promise<void> {
    this.flushNow();
    if (!this.writing) return Promise.resolve();
    return new Promise((resolve) => this.idleWaiters.push(resolve));
  }

  /** Flushes, then closes. */
  async close(): Promise<void> {
    if (this.stopTimer !== null) this.stopTimer();
    this.stopTimer = null;
    await this.flush();
    if (this.standard === null && this.fd >= 0) closeSync(this.fd);
    this.fd = -1;
  }

  // === buffers ===

  /** Moves gathered text into the buffer, and full buffers on their way. */
  private settle(): void {
    const text = this.gathered;
    this.gathered = '';
    if (text.length > this.filling.length - this.used) this.retire();
    if (text.length > this.filling.length) {
      this.waiting.push(Buffer.from(text, 'latin1'));
    } else {
      this.used += this.filling.write(text, this.used, 'latin1');
    }
    if (this.used === this.filling.length) this.retire();
    if (!this.writing && this.waiting.length > 0) this.writeNext();
  }

  /** Queues the filled part and starts a fresh buffer. */
  private retire(): void {
    if (this.used === 0) return;
    this.waiting.push(this.filling.subarray(0, this.used));
    this.filling = Buffer.allocUnsafe(this.options.flushBytes);
    this.used = 0;
  }

  private flushNow(): void {
    if (this.gathered !== '') this.settle();
    this.retire();
    if (!this.writing && this.waiting.length > 0) this.writeNext();
  }

  private startTimer(): void {
    this.stopTimer = this.options.runtime.after(this.options.flushIntervalMs, () => {
      this.add(FILESYSTEM_FLUSHED_BY_TIMER, 1);
      if (this.fd < 0) this.reopen();
      this.flushNow();
      this.startTimer();
    });
  }

  // === the file ===

  private openFile(): void {
    if (this.standard !== null) {
      this.fd = this.standard;
    } else {
      try {
        const fd = openSync(this.path, 'a', FILE_MODE);
        this.retireDescriptor();
        this.fd = fd;
      } catch (error) {
        this.add(FILESYSTEM_REOPEN_FAILED, 1);
        this.fail(`unable to open: ${reasonOf(error)}`);
        return;
      }
    }
    try {
      this.isPipe = !fstatSync(this.fd).isFile();
    } catch {
      // A closed standard output is found out by the first write.
    }
  }

  /** Closes the descriptor, but not under a write in flight. */
  private retireDescriptor(): void {
    if (this.fd < 0) return;
    if (this.writing) this.retired.push(this.fd);
    else closeSync(this.fd);
  }

  private writeNext(): void {
    while (this.retired.length > 0) closeSync(this.retired.pop() as number);
    if (this.waiting.length === 0) {
      this.writing = false;
      const waiters = this.idleWaiters;
      this.idleWaiters = [];
      for (const done of waiters) done();
      return;
    }
    this.writing = true;
    if (!this.lock()) {
      setTimeout(this.resume, PIPE_RETRY_MS);
      return;
    }
    this.batch = this.waiting.splice(0, BATCH_BUFFERS_MAX);
    if (this.fd < 0) this.giveUp();
    else this.writeBuffers(this.fd, this.batch, null, this.onWritten);
  }

  private readonly resume = (): void => {
    if (this.batch.length === 0) this.writeNext();
    else this.writeBuffers(this.fd, this.batch, null, this.onWritten);
  };

  private readonly onWritten = (error: NodeJS.ErrnoException | null, written: number): void => {
    if (error !== null && error.code === 'EAGAIN') {
      setTimeout(this.resume, PIPE_RETRY_MS);
      return;
    }
    if (error !== null) {
      this.fail(reasonOf(error));
      this.giveUp();
      return;
    }
    this.release(written);
    let left = written;
    while (this.batch.length > 0) {
      const buffer = this.batch[0] as Buffer;
      if (left < buffer.length) {
        // The rest of a split write goes before anything else, and before the lock is free.
        this.batch[0] = buffer.subarray(left);
        this.writeBuffers(this.fd, this.batch, null, this.onWritten);
        return;
      }
      left -= buffer.length;
      this.batch.shift();
      this.add(FILESYSTEM_WRITE_COMPLETED, 1);
    }
    this.unlock();
    if (this.waiting.length === 0) this.recover();
    this.writeNext();
  };

  /** Drops the batch and goes on. */
  private giveUp(): void {
    for (const buffer of this.batch) {
      this.release(buffer.length);
      this.add(FILESYSTEM_WRITE_FAILED, 1);
    }
    this.batch = [];
    this.unlock();
    this.writeNext();
  }

  private release(bytes: number): void {
    this.heldBytes -= bytes;
    this.add(FILESYSTEM_WRITE_TOTAL_BUFFERED, -bytes);
  }

  // === the lock of a shared pipe ===

  private lock(): boolean {
    const { pipeLocks } = this.options;
    if (!this.isPipe || this.standard === null || pipeLocks === undefined) return true;
    return Atomics.compareExchange(pipeLocks.cells, this.standard - 1, 0, pipeLocks.token) === 0;
  }

  private unlock(): void {
    const { pipeLocks } = this.options;
    if (!this.isPipe || this.standard === null || pipeLocks === undefined) return;
    Atomics.compareExchange(pipeLocks.cells, this.standard - 1, pipeLocks.token, 0);
  }

  // === what is said about it ===

  private fail(reason: string): void {
    if (this.failing) return;
    this.failing = true;
    const nowMs = this.options.runtime.nowMs();
    this.announced = nowMs >= this.quietUntilMs;
    if (!this.announced) return;
    this.quietUntilMs = nowMs + WARNING_INTERVAL_MS;
    this.options.warn(`access log '${this.path}' loses lines: ${reason}`);
  }

  private recover(): void {
    if (!this.failing) return;
    this.failing = false;
    if (this.announced) this.options.warn(`access log '${this.path}' is written again`);
  }

  private add(stat: number, amount: number): void {
    this.stats[stat] = (this.stats[stat] as number) + amount;
  }
}
