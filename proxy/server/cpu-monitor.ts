// How busy the processors are: those of the host, or what the container may use of them. Smoothed, as Envoy does it
// (Envoy: extensions.resource_monitors.cpu_utilization).

import { readFileSync } from 'node:fs';

/** How much of a new value goes into the smoothed one. */
const WEIGHT_OF_NEW = 0.05;
const HOST_FILE = '/proc/stat';
const V2 = '/sys/fs/cgroup';
/** Where version 1 says what was used, nanoseconds. */
const V1_USAGE = ['/sys/fs/cgroup/cpu/cpuacct.usage', '/sys/fs/cgroup/cpuacct/cpuacct.usage'];
const V1_SHARES = '/sys/fs/cgroup/cpu/cpu.shares';
const SHARES_PER_CORE = 1000;

/** What was worked since some moment, and what could have been; units are those of the source. */
interface Reading {
  readonly work: number;
  readonly total: number;
}

/** Reads a file. @throws Error when there is none */
type ReadText = (path: string) => string;

/** See the head of this file. */
export class CpuMonitor {
  private readonly read: () => Reading;
  private before: Reading | null;
  private smoothed: number;

  /**
   * @param nowNs monotonic
   * @param readText of the files of Linux
   */
  constructor(
    mode: 'host' | 'container',
    nowNs: () => number = () => Number(process.hrtime.bigint()),
    readText: ReadText = (path) => readFileSync(path, 'latin1'),
  ) {
    this.read = mode === 'host' ? () => readHost(readText) : () => readContainer(readText, nowNs);
    this.before = null;
    this.smoothed = 0;
  }

  /** @returns 0 = idle, 1 = everything is in use. @throws Error when it cannot be told */
  measure(): number {
    const now = this.read();
    const { before } = this;
    if (before === null) {
      this.before = now;
      return 0;
    }
    const work = now.work - before.work;
    const total = now.total - before.total;
    if (work < 0 || total <= 0)
      throw new Error(
        `Erroneous CPU stats calculation. Work_over_period='${work}' cannot be a negative number and total_over_period='${total}' must be a positive number.`,
      );
    this.before = now;
    this.smoothed = (work / total) * WEIGHT_OF_NEW + this.smoothed * (1 - WEIGHT_OF_NEW);
    return this.smoothed;
  }
}

/** `cpu  user nice system idle …`, in ticks. */
function readHost(readText: ReadText): Reading {
  const match = /^cpu {2}(\d+) (\d+) (\d+) (\d+)/.exec(readText(HOST_FILE));
  if (match === null) throw new Error(`Unexpected format in linux cpu stats file ${HOST_FILE}`);
  const [user, nice, system, idle] = match.slice(1).map(Number) as [number, number, number, number];
  return { work: user + nice + system, total: user + nice + system + idle };
}

function readContainer(readText: ReadText, nowNs: () => number): Reading {
  const stat = textOrNull(readText, `${V2}/cpu.stat`);
  const max = textOrNull(readText, `${V2}/cpu.max`);
  const cpus = textOrNull(readText, `${V2}/cpuset.cpus.effective`);
  if (stat === null || max === null || cpus === null) return readVersion1(readText, nowNs);
  const usage = /^usage_usec (\d+)/m.exec(stat)?.[1];
  if (usage === undefined) throw new Error('Missing usage_usec in cpu.stat');
  return { work: Number(usage) * 1000, total: nowNs() * coresOf(max, cpus) };
}

function readVersion1(readText: ReadText, nowNs: () => number): Reading {
  const shares = Number(textOrNull(readText, V1_SHARES) ?? Number.NaN);
  for (const path of V1_USAGE) {
    const usage = Number(textOrNull(readText, path) ?? Number.NaN);
    if (usage >= 0 && shares > 0) return { work: (usage * SHARES_PER_CORE) / shares, total: nowNs() };
  }
  throw new Error('No supported cgroup CPU implementation found');
}

/** What a quota leaves of the processors there are: `max 100000` or `150000 100000`; `0-3,8`. */
function coresOf(max: string, cpus: string): number {
  let count = 0;
  for (const range of cpus.trim().split(',')) {
    const [first, last = first] = range.split('-').map(Number) as [number, number?];
    count += (last as number) - first + 1;
  }
  const [quota, period] = max.trim().split(/\s+/);
  const cores = quota === 'max' ? count : Math.min(count, Number(quota) / Number(period));
  if (!(cores > 0)) throw new Error('Failed to parse cpu.max or cpuset.cpus.effective');
  return cores;
}

function textOrNull(readText: ReadText, path: string): string | null {
  try {
    return readText(path);
  } catch {
    return null;
  }
}
