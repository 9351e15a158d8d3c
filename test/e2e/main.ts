// `npm run test:e2e`: captured traffic in network namespaces with real packet filters, through stock Envoy and through
// this proxy, compared. Needs root, iproute2, iptables and ip6tables. Exit codes: 0 all as expected, or skipped; 1 not.

import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findPeer, HOW_TO_GET } from '../../scripts/peers.ts';
import { type MeshOptions, meshBootstrap } from './mesh.ts';
import { type Agent, capture, missing, Namespace } from './namespace.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/outrigger-proxy.mjs', import.meta.url));
const START_MS_MAX = 20_000;
const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
/** Enough for every inspector to see that it is nothing they know. */
const NOT_HTTP = `${'\0'.repeat(100)}\n`;
const GET_SELF = 'GET /self HTTP/1.1\r\nhost: a\r\n\r\n';

interface Places {
  readonly pod: string;
  readonly out: string;
  readonly vip: string;
  readonly passed: string;
  readonly loopback: string;
}

const PLACES: Readonly<Record<4 | 6, Places>> = {
  4: { pod: '10.7.0.2', out: '10.7.0.1', vip: '10.96.0.1', passed: '127.0.0.6', loopback: '127.0.0.1' },
  6: { pod: 'fd00:7::2', out: 'fd00:7::1', vip: 'fd00:96::0:1', passed: '::6', loopback: '::1' },
};

interface Probe {
  readonly name: string;
  readonly by: 'pod' | 'out';
  readonly to: string;
  readonly port: number;
  readonly say: string;
  /** What must be seen, whatever Envoy does. */
  readonly expect: string;
}

function probes(places: Places, mode: MeshOptions['mode']): Probe[] {
  const { pod, out, passed, loopback } = places;
  const vip = places.vip.replace('::0:', '::');
  const from = mode === 'TPROXY' ? out : passed;
  const self = mode === 'TPROXY' ? pod : passed;
  const probe = (name: string, by: Probe['by'], to: string, port: number, say: string, expect: string): Probe => ({
    name,
    by,
    to,
    port,
    say,
    expect,
  });
  return [
    probe('listener of a VIP', 'pod', vip, 443, 'hello', `answered: out ${vip} 443 from ${pod}`),
    probe('listener of any address, HTTP', 'pod', out, 80, GET, `answered: 200 out ${out} 80 from ${pod}`),
    probe('listener of any address, not HTTP', 'pod', out, 80, NOT_HTTP, `answered: out ${out} 80 from ${pod}`),
    probe('no listener: pass through', 'pod', out, 12345, 'hello', `answered: out ${out} 12345 from ${pod}`),
    probe('the server speaks first', 'pod', out, 3306, '', `answered: mysql out ${out} 3306 from ${pod}`),
    probe('nobody there', 'pod', out, 12346, 'hello', 'closed:'),
    probe('straight at 15001', 'pod', loopback, 15001, 'hello', 'closed:'),
    probe('the own address', 'pod', pod, 9080, GET, `answered: 200 pod ${pod} 9080 from ${pod}`),
    probe('itself through a service', 'pod', out, 80, GET_SELF, `answered: 200 pod ${pod} 9080 from ${self}`),
    probe('inbound, known port', 'out', pod, 9080, GET, `answered: 200 pod ${pod} 9080 from ${from}`),
    probe('inbound, unknown port, HTTP', 'out', pod, 9999, GET, `answered: 200 pod ${pod} 9999 from ${from}`),
    probe('inbound, unknown port, not HTTP', 'out', pod, 9999, NOT_HTTP, `answered: pod ${pod} 9999 from ${from}`),
    probe('inbound, nobody there', 'out', pod, 9998, GET, 'answered: 503'),
    probe('straight at 15006', 'out', pod, 15006, 'hello', 'closed:'),
    probe('straight at 15001 from outside', 'out', pod, 15001, NOT_HTTP, 'closed:'),
  ];
}

interface Host {
  readonly pod: Namespace;
  readonly out: Namespace;
  readonly agents: Readonly<Record<Probe['by'], Agent>>;
}

function cable(): Host {
  const pod = new Namespace('pod');
  const out = new Namespace('out');
  const end = `ot${process.pid}`;
  out.run('ip', 'link', 'add', end, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pod.name);
  const set = (place: Namespace, device: string, which: 'pod' | 'out'): void => {
    place.run('ip', 'addr', 'add', `${PLACES[4][which]}/24`, 'dev', device);
    place.run('ip', 'addr', 'add', `${PLACES[6][which]}/64`, 'dev', device, 'nodad');
    place.run('ip', 'link', 'set', device, 'up');
  };
  set(pod, 'eth0', 'pod');
  set(out, end, 'out');
  pod.run('ip', 'addr', 'add', '::6/128', 'dev', 'lo');
  for (const vip of [PLACES[4].vip, PLACES[6].vip]) out.run('ip', 'addr', 'add', vip, 'dev', 'lo');
  pod.run('ip', 'route', 'add', 'default', 'via', PLACES[4].out);
  pod.run('ip', '-6', 'route', 'add', 'default', 'via', PLACES[6].out);
  const agents = {
    pod: pod.agent('pod', ['9080', '9999']),
    out: out.agent('out', ['80', '443', '9080', '12345', '3306:mysql']),
  };
  return { pod, out, agents };
}

/** Waits until both hosts see each other and serve: a first packet over IPv6 has to find its way. */
async function settle({ agents }: Host, places: Places): Promise<void> {
  const until = Date.now() + START_MS_MAX;
  for (const [by, to, port] of [
    ['pod', places.out, 12345],
    ['pod', places.vip, 443],
    ['out', places.pod, 9080],
  ] as const)
    while (!(await agents[by].connect(to, port, 'hello')).startsWith('answered'))
      if (Date.now() > until) throw new Error(`no way from ${by} to ${to}`);
}

async function ready(pod: Namespace, child: ChildProcess): Promise<void> {
  const until = Date.now() + START_MS_MAX;
  const ask =
    'exec 3<>/dev/tcp/127.0.0.1/15000; printf "GET /ready HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n" >&3; head -1 <&3';
  for (;;) {
    try {
      if (pod.run('bash', '-c', ask).includes('200')) return;
    } catch {
      // Not there yet.
    }
    if (Date.now() > until || child.exitCode !== null) throw new Error('the proxy does not become ready');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

interface Observed {
  readonly answers: Readonly<Record<string, string>>;
  readonly log: readonly string[];
}

/** Plays all probes through one proxy. */
async function play(host: Host, options: MeshOptions, command: string, args: readonly string[]): Promise<Observed> {
  const config = `${options.logPath}.json`;
  writeFileSync(config, JSON.stringify(meshBootstrap(options)));
  writeFileSync(options.logPath, '');
  const child = host.pod.spawnProxy(command, [...args, '-c', config, '--concurrency', '2', '-l', 'error']);
  const gone = new Promise((resolve) => child.once('exit', resolve));
  const answers: Record<string, string> = {};
  try {
    await ready(host.pod, child);
    for (const { name, by, to, port, say } of probes(PLACES[options.family], options.mode))
      answers[name] = await host.agents[by].connect(to, port, say);
  } finally {
    child.kill();
    await gone;
  }
  // Flags of TCP connections stand in the order in which Envoy set them; ours have one order.
  const text = readFileSync(options.logPath, 'utf8')
    .replaceAll('UF,URX', 'URX,UF')
    // Whether a black hole's close arrives as a reset depends on whether the bytes were there before it.
    .replaceAll(' 0 UR - ', ' 0 - - ');
  const log = text.split('\n').filter((line) => line !== '');
  return { answers, log: log.sort() };
}

function check(who: string, observed: Observed, options: MeshOptions, envoy: Observed | null): number {
  let failures = 0;
  const fail = (text: string): void => {
    failures++;
    console.log(`FAILED ${options.mode} IPv${options.family}, ${who}: ${text}`);
  };
  for (const { name, expect } of probes(PLACES[options.family], options.mode))
    if (!observed.answers[name]?.startsWith(expect))
      fail(`${name}: "${expect}" expected, "${observed.answers[name]}" seen`);
  if (envoy === null) return failures;
  for (const [name, want] of Object.entries(envoy.answers))
    if (observed.answers[name] !== want) fail(`${name}: Envoy says "${want}", we "${observed.answers[name]}"`);
  const missed = envoy.log.filter((line) => !observed.log.includes(line));
  const added = observed.log.filter((line) => !envoy.log.includes(line));
  for (const line of new Set(missed)) fail(`not logged: ${line}`);
  for (const line of new Set(added)) fail(`logged: ${line}`);
  return failures;
}

async function run(family: 4 | 6, mode: MeshOptions['mode'], dir: string): Promise<number> {
  const host = cable();
  try {
    await settle(host, PLACES[family]);
    capture(host.pod, family, mode);
    const options = { family, mode, logPath: join(dir, `${mode}${family}.log`), podIp: PLACES[family].pod };
    const envoy = findPeer('envoy');
    const envoyFlags = ['--disable-hot-restart', '--base-id', String((process.pid % 30_000) + 1_000)];
    const theirs = envoy === null ? null : await play(host, options, envoy, envoyFlags);
    if (theirs === null) console.log(`SKIPPED the comparison: no Envoy. To have one: ${HOW_TO_GET.envoy}`);
    const ours = await play(host, options, process.execPath, [LAUNCHER]);
    const failures =
      (theirs === null ? 0 : check('Envoy', theirs, options, null)) + check('Outrigger', ours, options, theirs);
    console.log(
      `${mode} IPv${family}: ${Object.keys(ours.answers).length} connections, ${ours.log.length} records, ${failures} differences`,
    );
    return failures;
  } finally {
    host.pod.delete();
    host.out.delete();
  }
}

/** More upstream connections from one address than it has ports. */
function runPorts(): number {
  const place = new Namespace('ports');
  try {
    place.run('sysctl', '-qw', 'net.ipv4.ip_local_port_range=40000 40009');
    const script = fileURLToPath(new URL('ports.ts', import.meta.url));
    const opened = place.run(process.execPath, '--disable-warning=ExperimentalWarning', script).trim();
    console.log(`connections from 127.0.0.6 with ten local ports: ${opened}`);
    return opened === '27 of 27' ? 0 : 1;
  } finally {
    place.delete();
  }
}

const why = missing();
if (why !== '') {
  console.log(`SKIPPED 5 of 5 end-to-end runs: ${why}`);
  process.exit(0);
}
const dir = mkdtempSync(join(tmpdir(), 'outrigger-e2e-'));
let failures = 0;
try {
  failures += runPorts();
  for (const mode of ['REDIRECT', 'TPROXY'] as const)
    for (const family of [4, 6] as const) failures += await run(family, mode, dir);
} finally {
  rmSync(dir, { recursive: true, force: true });
}
process.exit(failures > 0 ? 1 : 0);
