// One worker thread as the main thread holds it: messages out, awaited answers back.

import { Worker } from 'node:worker_threads';
import type { AdoptMessage, FromWorker, ToWorker, WorkerInit } from './messages.ts';
import { threadEntry } from './thread-entry.ts';

const ENTRY = threadEntry('worker-main');
/**
 * New objects of a worker live in two halves of a third of this. V8 would let each half grow to 32 MiB, which requests
 * fill before it collects, though next to nothing of them lives on (measured: 40 MB more for the same CPU).
 */
const YOUNG_MIB = 24;

/** Told what a worker says on its own account. */
export interface WorkerEvents {
  onMessage(message: FromWorker): void;
  /** The thread ended without having been asked to. */
  onCrash(reason: string): void;
}

/** See the head of this file. */
export class WorkerHandle {
  readonly index: number;
  readonly startedMs: number;
  /** Connections posted to the worker that it has not taken yet, by descriptor. */
  readonly untaken: Map<number, AdoptMessage>;
  private readonly thread: Worker;
  private waiting: { type: FromWorker['type']; resolve: (message: FromWorker) => void } | null;
  private abandoned: ((error: Error) => void) | null;
  private failure: string;
  private over: boolean;

  constructor(init: WorkerInit, events: WorkerEvents) {
    this.index = init.index;
    this.startedMs = performance.now();
    this.untaken = new Map();
    this.waiting = null;
    this.abandoned = null;
    this.failure = '';
    this.over = false;
    this.thread = new Worker(ENTRY, {
      workerData: init,
      name: `wrk:worker_${init.index}`,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB },
    });
    this.thread.on('message', (message: FromWorker) => this.onMessage(message, events));
    this.thread.on('error', (error) => {
      this.failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
    });
    this.thread.on('exit', (code) => {
      const expected = this.over;
      this.over = true;
      const reason = this.failure === '' ? `exit code ${code}` : this.failure;
      this.abandoned?.(new Error(`worker ${this.index} ended: ${reason}`));
      if (!expected) events.onCrash(reason);
    });
  }

  post(message: ToWorker): void {
    if (!this.over) this.thread.postMessage(message);
  }

  /** Sends a message and waits for its answer. @throws Error when the worker ends first */
  ask(message: ToWorker, type: FromWorker['type']): Promise<FromWorker> {
    const { promise, resolve, reject } = Promise.withResolvers<FromWorker>();
    this.waiting = { type, resolve };
    this.abandoned = reject;
    if (this.over) reject(new Error(`worker ${this.index} has ended: ${this.failure}`));
    else this.thread.postMessage(message);
    return promise;
  }

  /** Ends the thread at once, however busy it is. */
  async terminate(): Promise<void> {
    this.over = true;
    await this.thread.terminate();
  }

  private onMessage(message: FromWorker, events: WorkerEvents): void {
    const { waiting } = this;
    if (waiting !== null && (message.type === waiting.type || message.type === 'refused')) {
      this.waiting = null;
      this.abandoned = null;
      waiting.resolve(message);
      return;
    }
    events.onMessage(message);
  }
}
