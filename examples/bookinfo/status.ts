// The live screen: what every proxy is doing, redrawn once a second.

import { readFileSync } from 'node:fs';
import { fetchText } from './client.ts';
import { type PortMap, PROXIES, type ProxyName } from './ports.ts';

const REDRAW_MS = 1_000;
const BAR_CELLS = 30;

interface Sample {
  readonly requests: number;
  readonly failed: number;
  readonly active: number;
  readonly retries: number;
  readonly memoryMb: number;
  /** Requests by upstream cluster. */
  readonly clusters: ReadonlyMap<string, number>;
}

/** Draws until the returned function is called. */
export function showStatus(
  ports: PortMap,
  pids: Readonly<Record<ProxyName, number>>,
  head: readonly string[],
  write: (text: string) => void,
): () => void {
  let before = new Map<ProxyName, Sample>();
  let stopped = false;
  const began = Date.now();
  const draw = async (): Promise<void> => {
    const now = new Map<ProxyName, Sample>();
    for (const name of PROXIES) {
      const sample = await takeSample(ports.admin[name], pids[name]).catch(() => null);
      if (sample !== null) now.set(name, sample);
    }
    if (stopped) return;
    const screen = [
      ...head,
      '',
      ...table(before, now),
      '',
      ...split(now),
      `up ${uptime(began)}   Ctrl-C stops everything`,
    ];
    // Home, every line cleared to its end, then the rest of the screen: no flicker.
    write(`\x1b[H${screen.map((line) => `${line}\x1b[K`).join('\n')}\x1b[J`);
    before = now;
    timer = setTimeout(draw, REDRAW_MS);
  };
  let timer = setTimeout(draw, 0);
  write('\x1b[2J\x1b[?25l');
  return () => {
    stopped = true;
    clearTimeout(timer);
    write('\x1b[?25h\n');
  };
}

async function takeSample(adminPort: number, pid: number): Promise<Sample> {
  const filter =
    '^(http\\.(ingress|inbound|outbound).*\\.downstream_rq_(completed|5xx|active)|cluster\\..*\\.upstream_rq_(retry|total))$';
  const { body } = await fetchText(adminPort, `/stats?filter=${encodeURIComponent(filter)}`, {});
  const sum = { completed: 0, '5xx': 0, active: 0 };
  const clusters = new Map<string, number>();
  let retries = 0;
  for (const [, name = '', text] of body.matchAll(/^(\S+): (\d+)$/gm)) {
    const value = Number(text);
    const kind = /downstream_rq_(completed|5xx|active)$/.exec(name)?.[1];
    if (kind !== undefined) sum[kind as keyof typeof sum] += value;
    else if (name.endsWith('.upstream_rq_retry')) retries += value;
    else clusters.set(name.slice('cluster.'.length, -'.upstream_rq_total'.length), value);
  }
  return {
    requests: sum.completed,
    failed: sum['5xx'],
    active: sum.active,
    retries,
    memoryMb: memoryMb(pid),
    clusters,
  };
}

function table(before: ReadonlyMap<ProxyName, Sample>, now: ReadonlyMap<ProxyName, Sample>): string[] {
  const lines = ['proxy          req/s     total    5xx  active  retries   memory'];
  for (const name of PROXIES) {
    const sample = now.get(name);
    if (sample === undefined) {
      lines.push(`${name.padEnd(12)} does not answer`);
      continue;
    }
    const rate = sample.requests - (before.get(name)?.requests ?? sample.requests);
    const cells = [
      String(rate).padStart(7),
      String(sample.requests).padStart(9),
      String(sample.failed).padStart(6),
      String(sample.active).padStart(7),
      String(sample.retries).padStart(8),
      `${sample.memoryMb.toFixed(0)} MB`.padStart(8),
    ];
    lines.push(`${name.padEnd(12)} ${cells.join(' ')}`);
  }
  return lines;
}

function split(now: ReadonlyMap<ProxyName, Sample>): string[] {
  const clusters = now.get('productpage')?.clusters ?? new Map<string, number>();
  const counts = ['v1', 'v2', 'v3'].map((version) => clusters.get(`reviews-${version}`) ?? 0);
  const total = counts.reduce((a, b) => a + b, 0);
  if (total === 0) return ['reviews: no traffic yet'];
  return counts.map((count, i) => {
    const cells = Math.round((count / total) * BAR_CELLS);
    const bar = '█'.repeat(cells).padEnd(BAR_CELLS, '·');
    return `reviews-v${i + 1}   ${bar} ${((count / total) * 100).toFixed(1).padStart(5)}%`;
  });
}

function memoryMb(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) / 1_024;
  } catch {
    return 0;
  }
}

function uptime(began: number): string {
  const seconds = Math.floor((Date.now() - began) / 1_000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
