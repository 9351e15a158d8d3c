// Network namespaces of the tests' own: two hosts with a cable, packet filters as Istio sets them, and programs inside.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Outcome, Task } from './agent.ts';

/** Group of the proxy's processes: the packet filters let it through, as Istio's do. */
const PROXY_GID = 1337;
const TPROXY_MARK = 1337;
const ROUTE_TABLE = 133;

function sh(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Why namespaces and packet filters cannot be had here; empty = they can. */
export function missing(): string {
  const probe = `outrigger-probe-${process.pid}`;
  try {
    sh('ip', 'netns', 'add', probe);
  } catch {
    return 'network namespaces need root and iproute2';
  }
  try {
    for (const tool of ['iptables', 'ip6tables'])
      for (const table of ['nat', 'mangle']) sh('ip', 'netns', 'exec', probe, tool, '-t', table, '-L');
    return '';
  } catch {
    return 'iptables and ip6tables with the tables nat and mangle are needed (apt-get install iptables)';
  } finally {
    sh('ip', 'netns', 'del', probe);
  }
}

/** One namespace. */
export class Namespace {
  readonly name: string;
  private readonly children: ChildProcess[] = [];

  constructor(label: string) {
    this.name = `outrigger-${label}-${process.pid}`;
    sh('ip', 'netns', 'add', this.name);
    this.run('ip', 'link', 'set', 'lo', 'up');
  }

  run(command: string, ...args: string[]): string {
    return sh('ip', 'netns', 'exec', this.name, command, ...args);
  }

  /** Adds packet-filter rules, one a line: `TABLE RULE…`. */
  filter(family: 4 | 6, rules: string): void {
    for (const line of rules.split('\n').map((each) => each.trim())) {
      if (line === '') continue;
      const [table = '', ...rule] = line.split(/\s+/);
      this.run(family === 4 ? 'iptables' : 'ip6tables', '-t', table, ...rule);
    }
  }

  /** Starts a program that the packet filters let through. */
  spawnProxy(command: string, args: readonly string[]): ChildProcess {
    const gid = ['setpriv', `--regid=${PROXY_GID}`, '--clear-groups', command, ...args];
    const child = spawn('ip', ['netns', 'exec', this.name, ...gid], { stdio: ['ignore', 'ignore', 'inherit'] });
    this.children.push(child);
    return child;
  }

  /** Starts an agent that serves on ports and connects on demand. */
  agent(label: string, ports: readonly string[]): Agent {
    const script = fileURLToPath(new URL('agent.ts', import.meta.url));
    const command = ['netns', 'exec', this.name, process.execPath, script, label, ...ports];
    const child = spawn('ip', command, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.children.push(child);
    return new Agent(child);
  }

  delete(): void {
    for (const child of this.children) child.kill();
    sh('ip', 'netns', 'del', this.name);
  }
}

/** Makes connections inside a namespace. */
export class Agent {
  private readonly child: ChildProcess;
  private readonly waiting = new Map<number, (outcome: Outcome) => void>();
  private lastId = 0;

  constructor(child: ChildProcess) {
    this.child = child;
    if (child.stdout === null) throw new Error('no standard output');
    createInterface({ input: child.stdout }).on('line', (line) => {
      const outcome = JSON.parse(line) as Outcome;
      this.waiting.get(outcome.id)?.(outcome);
      this.waiting.delete(outcome.id);
    });
  }

  async connect(ip: string, port: number, say: string): Promise<string> {
    const task: Task = { id: ++this.lastId, ip, port, say };
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    this.waiting.set(task.id, resolve);
    this.child.stdin?.write(`${JSON.stringify(task)}\n`);
    const { heard, end } = await promise;
    // An HTTP answer is its body: heads differ in times.
    const body = /^HTTP\/1\.1 (\d+)[\s\S]*\r\n\r\n([\s\S]*)$/.exec(heard);
    return `${end}: ${body === null ? heard : `${body[1]} ${body[2]}`}`.trim();
  }
}

/** Istio's rules for traffic that leaves the pod, and for a pod that calls itself. */
function outboundRules(family: 4 | 6): string {
  const [passed, loopback] = family === 4 ? ['127.0.0.6/32', '127.0.0.1/32'] : ['::6/128', '::1/128'];
  return `
    nat -N ISTIO_REDIRECT
    nat -A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001
    nat -N ISTIO_IN_REDIRECT
    nat -A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006
    nat -N ISTIO_OUTPUT
    nat -A OUTPUT -p tcp -j ISTIO_OUTPUT
    nat -A ISTIO_OUTPUT -o lo -s ${passed} -j RETURN
    nat -A ISTIO_OUTPUT ! -d ${loopback} -o lo -m owner --gid-owner ${PROXY_GID} -j ISTIO_IN_REDIRECT
    nat -A ISTIO_OUTPUT -o lo -m owner ! --gid-owner ${PROXY_GID} -j RETURN
    nat -A ISTIO_OUTPUT -m owner --gid-owner ${PROXY_GID} -j RETURN
    nat -A ISTIO_OUTPUT -d ${loopback} -j RETURN
    nat -A ISTIO_OUTPUT -j ISTIO_REDIRECT`;
}

/** Captures a pod's traffic as `istio-iptables` does in the given mode. */
export function capture(pod: Namespace, family: 4 | 6, mode: 'REDIRECT' | 'TPROXY'): void {
  pod.filter(family, outboundRules(family));
  if (mode === 'TPROXY') pod.filter(family, `nat -I ISTIO_OUTPUT 1 -m mark --mark ${TPROXY_MARK} -j RETURN`);
  if (mode === 'REDIRECT') {
    pod.filter(family, 'nat -A PREROUTING -p tcp -j ISTIO_IN_REDIRECT');
    return;
  }
  const loopback = family === 4 ? '127.0.0.1/32' : '::1/128';
  pod.filter(
    family,
    `
    mangle -N ISTIO_DIVERT
    mangle -A ISTIO_DIVERT -j MARK --set-mark ${TPROXY_MARK}
    mangle -A ISTIO_DIVERT -j ACCEPT
    mangle -N ISTIO_TPROXY
    mangle -A ISTIO_TPROXY ! -d ${loopback} -p tcp -j TPROXY --tproxy-mark ${TPROXY_MARK}/0xffffffff --on-port 15006
    mangle -N ISTIO_INBOUND
    mangle -A PREROUTING -p tcp -j ISTIO_INBOUND
    mangle -A PREROUTING -p tcp -m mark --mark ${TPROXY_MARK} -j CONNMARK --save-mark
    mangle -A OUTPUT -p tcp -m connmark --mark ${TPROXY_MARK} -j CONNMARK --restore-mark
    mangle -A ISTIO_INBOUND -p tcp -m mark --mark ${TPROXY_MARK} -j RETURN
    mangle -A ISTIO_INBOUND -p tcp -i lo -j RETURN
    mangle -A ISTIO_INBOUND -p tcp -m conntrack --ctstate RELATED,ESTABLISHED -j ISTIO_DIVERT
    mangle -A ISTIO_INBOUND -p tcp -j ISTIO_TPROXY`,
  );
  const flag = family === 4 ? '-4' : '-6';
  pod.run('ip', flag, 'rule', 'add', 'fwmark', String(TPROXY_MARK), 'lookup', String(ROUTE_TABLE));
  pod.run('ip', flag, 'route', 'add', 'local', 'default', 'dev', 'lo', 'table', String(ROUTE_TABLE));
}
