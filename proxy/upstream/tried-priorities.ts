// Retries that leave out the priorities where attempts went (Envoy: extensions.retry.priority.previous_priorities).

import type { UpstreamHostInfo } from '../observe/stream-info.ts';

/** Priorities that can be left out; further ones never are. */
const PRIORITIES_MAX = 31;

/** Whether a mask of priorities holds this one. */
export function holdsPriority(mask: number, priority: number): boolean {
  return priority < PRIORITIES_MAX && (mask & (1 << priority)) !== 0;
}

/** What one request has tried. */
export class TriedPriorities {
  /** So many attempts make a step: then all priorities that were tried are left out. */
  private readonly frequency: number;
  private readonly hosts: UpstreamHostInfo[];
  private mask: number;

  constructor(frequency: number) {
    this.frequency = frequency;
    this.hosts = [];
    this.mask = 0;
  }

  /** An attempt has gone to this host. */
  note(host: UpstreamHostInfo): void {
    this.hosts.push(host);
  }

  /** Nothing is left to try: all priorities are good again. */
  reset(): void {
    this.hosts.length = 0;
    this.mask = 0;
  }

  /** One bit for each priority to leave out. @param priorities the cluster's hosts by priority */
  leftOut(priorities: readonly (readonly UpstreamHostInfo[])[]): number {
    const { hosts, frequency } = this;
    if (hosts.length === 0 || hosts.length % frequency !== 0) return this.mask;
    for (const host of hosts) {
      const priority = priorities.findIndex((level) => level.includes(host));
      if (priority >= 0 && priority < PRIORITIES_MAX) this.mask |= 1 << priority;
    }
    return this.mask;
  }
}
