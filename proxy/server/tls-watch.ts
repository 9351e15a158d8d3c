// Watches the files that TLS contexts were read from. Directories are watched, not files, so that a file that is replaced
// by a rename, and a directory that a symbolic link is turned to (`..data` of Kubernetes), are seen.

import { type FSWatcher, realpathSync, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';

/** Directories that are watched at most; the kernel's own limit is some thousands a user. */
const DIRECTORIES_MAX = 256;
/** Files are written one after the other: what follows within this time belongs together, milliseconds. */
const SETTLE_MS = 200;

/** See the head of this file. */
export class TlsWatch {
  private readonly onChange: () => void;
  private readonly warn: (text: string) => void;
  private files: readonly string[];
  private readonly watchers: Map<string, FSWatcher>;
  private seen: string;
  private timer: NodeJS.Timeout | null;

  /** @param onChange called when the files have been other ones for a moment */
  constructor(onChange: () => void, warn: (text: string) => void) {
    this.onChange = onChange;
    this.warn = warn;
    this.files = [];
    this.watchers = new Map();
    this.seen = '';
    this.timer = null;
  }

  /** Files that were just read for the first time, and directories whose changes may concern them. */
  start(files: readonly string[]): void {
    this.files = files;
    this.seen = this.look();
    this.watchDirectories();
  }

  /** The files after a reading. What is seen now may be newer than what was read, so it does not count as known. */
  update(files: readonly string[]): void {
    const same = files.length === this.files.length && files.every((file, i) => file === this.files[i]);
    if (same) return;
    this.files = files;
    this.seen = '';
    this.watchDirectories();
    this.settle();
  }

  close(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    for (const watcher of this.watchers.values()) watcher.close();
    this.watchers.clear();
  }

  private watchDirectories(): void {
    const wanted = new Set(this.files.flatMap((file) => [dirname(file), dirname(real(file))]));
    for (const [directory, watcher] of this.watchers) {
      if (wanted.has(directory)) continue;
      watcher.close();
      this.watchers.delete(directory);
    }
    for (const directory of wanted) {
      if (this.watchers.has(directory)) continue;
      if (this.watchers.size >= DIRECTORIES_MAX) {
        this.warn(`TLS files in ${directory} are not watched: ${DIRECTORIES_MAX} directories are the most`);
        return;
      }
      try {
        const watcher = watch(directory, { persistent: false }, () => this.settle());
        // A directory that goes away is seen by the one above, or by nobody.
        watcher.on('error', () => this.settle());
        this.watchers.set(directory, watcher);
      } catch (error) {
        this.warn(`TLS files in ${directory} are not watched: ${(error as Error).message}`);
      }
    }
  }

  private settle(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = setTimeout(() => this.check(), SETTLE_MS);
    this.timer.unref();
  }

  private check(): void {
    this.timer = null;
    const now = this.look();
    if (now === this.seen) return;
    this.seen = now;
    this.watchDirectories();
    this.onChange();
  }

  /** Which files these are: cheap, as a directory may be a busy one. */
  private look(): string {
    return this.files.map(identity).join('\n');
  }
}

/** A file that cannot be reached (missing, in a loop of links, behind a closed directory) has none. */
function identity(file: string): string {
  try {
    const { ino, size, mtimeMs } = statSync(file);
    return `${ino} ${size} ${mtimeMs}`;
  } catch {
    return '-';
  }
}

function real(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}
