// How much of a resource is used, as a share of what there may be: what overload actions are triggered by.

import { readFileSync } from 'node:fs';
import type { MonitorModel } from '../config/model/overload.ts';
import { CpuMonitor } from './cpu-monitor.ts';

/** Measures a pressure, 0 = nothing used, 1 = everything. @throws Error when it cannot be told */
export type Measure = () => number;

/** Where Linux says what a control group uses and may use: version 2, then version 1. */
const CGROUP_FILES = [
  ['/sys/fs/cgroup/memory.current', '/sys/fs/cgroup/memory.max'],
  ['/sys/fs/cgroup/memory/memory.usage_in_bytes', '/sys/fs/cgroup/memory/memory.limit_in_bytes'],
] as const;

/** @param connections how many downstream connections there are */
export function measureOf(monitor: MonitorModel, connections: () => number): Measure {
  switch (monitor.kind) {
    case 'fixed_heap':
      // The memory of the whole process, all threads and their buffers included, as the kernel counts it.
      return () => process.memoryUsage.rss() / monitor.maxBytes;
    case 'cgroup_memory':
      return () => cgroupPressure(monitor.maxBytes);
    case 'cpu': {
      const cpu = new CpuMonitor(monitor.mode);
      return () => cpu.measure();
    }
    case 'injected':
      return () => injectedPressure(monitor.path);
    case 'connections':
      return () => connections() / monitor.max;
  }
}

function injectedPressure(path: string): number {
  const text = readFileSync(path, 'utf8').trim();
  const pressure = Number(text);
  if (text === '' || !(pressure >= 0 && pressure <= 1)) throw new Error('failed to parse injected resource pressure');
  return pressure;
}

function cgroupPressure(maxBytes: number): number {
  for (const [usage, limit] of CGROUP_FILES) {
    const used = readNumber(usage);
    if (used === null) continue;
    // "max": there is no limit.
    const allowed = readNumber(limit) ?? Number.POSITIVE_INFINITY;
    const most = maxBytes === 0 ? allowed : Math.min(maxBytes, allowed);
    return most === 0 ? 1 : used / most;
  }
  throw new Error('no control group');
}

function readNumber(path: string): number | null {
  try {
    const value = Number(readFileSync(path, 'utf8'));
    return Number.isFinite(value) ? value : null;
  } catch {
    return null;
  }
}
