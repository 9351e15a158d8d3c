// How busy processors are, by what Linux says of the host and of control groups.

import t from 'tap';
import { CpuMonitor } from '../../proxy/server/cpu-monitor.ts';

/** A monitor over files that change, and a clock in nanoseconds. */
function rig(mode: 'host' | 'container', files: Record<string, string>) {
  const state = { files, nowNs: 1e9 };
  const readText = (path: string): string => {
    const text = state.files[path];
    if (text === undefined) throw new Error(`ENOENT ${path}`);
    return text;
  };
  return { state, monitor: new CpuMonitor(mode, () => state.nowNs, readText) };
}

const host = (user: number, nice: number, system: number, idle: number): Record<string, string> => ({
  '/proc/stat': `cpu  ${user} ${nice} ${system} ${idle} 9 9 9 0 0 0\ncpu0 1 1 1 1\n`,
});

t.test('the host: work of what could have been worked, smoothed', async (t) => {
  const { state, monitor } = rig('host', host(10, 10, 10, 70));
  t.equal(monitor.measure(), 0, 'there is nothing to compare with');
  state.files = host(20, 20, 20, 140);
  t.equal(monitor.measure(), 0.3 * 0.05);
  state.files = host(120, 20, 20, 140);
  t.equal(monitor.measure(), 1 * 0.05 + 0.015 * 0.95);
  t.throws(() => monitor.measure(), /Erroneous CPU stats calculation/, 'no time has passed');
  state.files = { '/proc/stat': 'intr 1' };
  t.throws(() => monitor.measure(), /Unexpected format in linux cpu stats file/);
});

const group2 = (usageUs: number, max: string, cpus: string): Record<string, string> => ({
  '/sys/fs/cgroup/cpu.stat': `usage_usec ${usageUs}\nuser_usec 1\n`,
  '/sys/fs/cgroup/cpu.max': max,
  '/sys/fs/cgroup/cpuset.cpus.effective': cpus,
});

t.test('a container', async (t) => {
  for (const [max, cpus, cores] of [
    ['max 100000\n', '0-3\n', 4],
    ['150000 100000\n', '0-3\n', 1.5],
    ['900000 100000\n', '0-1,4\n', 3],
    ['max 100000\n', '7\n', 1],
  ] as const) {
    const { state, monitor } = rig('container', group2(1_000_000, max, cpus));
    monitor.measure();
    state.nowNs += 1e9;
    state.files = group2(1_500_000, max, cpus);
    t.ok(Math.abs(monitor.measure() - (0.5 / cores) * 0.05) < 1e-9, `${max.trim()} of ${cpus.trim()}`);
  }
  const { state, monitor } = rig('container', {
    '/sys/fs/cgroup/cpu/cpu.shares': '2000\n',
    '/sys/fs/cgroup/cpuacct/cpuacct.usage': '1000\n',
  });
  monitor.measure();
  state.nowNs += 1e6;
  state.files = { ...state.files, '/sys/fs/cgroup/cpuacct/cpuacct.usage': '1001000\n' };
  t.equal(monitor.measure(), 0.5 * 0.05, 'version 1: shares are thousandths of a core');
  t.throws(() => rig('container', {}).monitor.measure(), /No supported cgroup CPU implementation found/);
});
