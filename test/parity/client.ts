// A client that sends exactly the bytes it is told and records everything that comes back.

import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { untilAtRest } from '../fixtures/process-rest.ts';
import { tlsText } from '../fixtures/tls.ts';
import { readHttp2, replies } from './frames.ts';
import { getText } from './proxy-process.ts';
import type { ClientStep, ClientTls, Observation, ObservedMessage, ObservedTls, Scenario } from './types.ts';
import { isInterim, parseMessage, parsePartial } from './wire.ts';

/**
 * Every connection has a local port of its own, from a range below the kernel's: log records are put to scenarios by it,
 * and the kernel would use one port for connections to different listeners.
 */
const LOCAL_PORT_FIRST = 25_500;
const LOCAL_PORTS = 7_000;
let nextLocalPort = Math.floor(Math.random() * LOCAL_PORTS);
/** Nothing in a scenario takes this long. */
const STEP_TIMEOUT_MS = 5_000;
/** How often a stat is asked for. */
const STAT_EVERY_MS = 20;

export interface ClientResult {
  readonly port: number;
  readonly answers: readonly ObservedMessage[];
  readonly rest: string;
  readonly end: Observation['end'];
  /** `null` on clear text, and when there was no handshake. */
  readonly tls: ObservedTls | null;
}

/** Waits until a condition holds, woken by `changed()`; and for times. */
export class Waiter {
  private readonly waiting = new Set<() => void>();
  /** Process of the proxy under test; -1 = none yet. */
  pid = -1;
  /** Of its admin listener. */
  adminPort = 0;
  private resting: Promise<void> = Promise.resolve();

  changed(): void {
    for (const wake of [...this.waiting]) wake();
  }

  /** Resolves to whether the condition came true in time. */
  until(condition: () => boolean, timeoutMs: number): Promise<boolean> {
    if (condition()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const finish = (result: boolean): void => {
        clearTimeout(timer);
        this.waiting.delete(wake);
        resolve(result);
      };
      const wake = (): void => {
        if (condition()) finish(true);
      };
      const timer = setTimeout(() => finish(false), timeoutMs);
      this.waiting.add(wake);
    });
  }

  /** Resolves when a time has passed and the proxy has done all that it had to do within it. */
  async pass(ms: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ms));
    await this.rest();
  }

  /** Resolves when a stat has come so far, or far too late. */
  async untilStat(name: string, atLeast: number): Promise<void> {
    const end = performance.now() + STEP_TIMEOUT_MS;
    while (performance.now() < end) {
      const stats = await getText(
        this.adminPort,
        `/stats?filter=${encodeURIComponent(`^${name.replaceAll('.', '\\.')}$`)}`,
      );
      if (Number(/: (\d+)/.exec(stats)?.[1] ?? 0) >= atLeast) break;
      await new Promise((resolve) => setTimeout(resolve, STAT_EVERY_MS));
    }
    await this.rest();
  }

  /**
   * Resolves when the proxy has nothing left to do but to wait. Who asks at the same time is told one after the other, so
   * that what one does is done with when the next one does something.
   */
  rest(): Promise<void> {
    if (this.pid !== -1) this.resting = this.resting.then(() => untilAtRest(this.pid));
    return this.resting;
  }
}

class ScriptedClient {
  readonly waiter: Waiter;
  readonly socket: Socket;
  readonly bodiless: boolean;
  readonly http2: Scenario['http2'];
  text = '';
  /** Up to where frames have been answered. */
  private answered = 0;
  ended = false;
  failed = false;
  byClient = false;

  constructor(socket: Socket, waiter: Waiter, scenario: Scenario) {
    this.waiter = waiter;
    this.bodiless = scenario.bodiless === true;
    this.http2 = scenario.http2;
    this.socket = socket;
    this.socket.on('data', (chunk) => {
      this.text += chunk.toString('latin1');
      if (this.http2 === 'polite') this.answer();
      waiter.changed();
    });
    this.socket.on('end', () => this.finish(false));
    this.socket.on('error', () => this.finish(true));
    this.socket.on('close', () => this.finish(false));
  }

  private finish(failed: boolean): void {
    if (!this.ended) this.failed = failed;
    this.ended = true;
    this.waiter.changed();
  }

  private answer(): void {
    const { reply, end } = replies(this.text, this.answered);
    this.answered = end;
    if (reply !== '') this.socket.write(reply, 'latin1');
  }

  parse(): { messages: ObservedMessage[]; rest: string } {
    if (this.http2 !== undefined) return readHttp2(this.text);
    const messages: ObservedMessage[] = [];
    let at = 0;
    while (at < this.text.length) {
      const parsed = parseMessage(this.text, at, this.bodiless, this.ended);
      if (parsed === null) break;
      messages.push(parsed.message);
      at = parsed.end;
    }
    return { messages, rest: this.text.slice(at) };
  }

  finals(): number {
    if (this.http2 !== undefined) return readHttp2(this.text).finals;
    return this.parse().messages.filter((message) => !isInterim(message)).length;
  }
}

/**
 * Plays a scenario's client.
 * @param saw how many requests (or raw bytes) the upstreams have seen so far
 * @param lingerMs how long a connection that may stay open is watched for a close
 */
export async function playClient(
  scenario: Scenario,
  port: number,
  waiter: Waiter,
  saw: () => number,
  lingerMs: number,
): Promise<ClientResult> {
  const raw = await connectFromOwnPort(port, scenario);
  const localPort = raw.localPort ?? 0;
  const secured = scenario.tls === undefined ? null : startTls(raw, scenario.tls);
  const client = new ScriptedClient(secured ?? raw, waiter, scenario);
  let tls: ObservedTls | null = null;
  let staple = 'none';
  if (secured !== null) {
    secured.once('OCSPResponse', (response: Buffer | null) => {
      if (response !== null && response.length > 0) staple = 'stapled';
    });
    secured.once('secureConnect', () => {
      tls = { ...observeTls(secured), ...(scenario.tls?.status === true ? { staple } : {}) };
      waiter.changed();
    });
    await waiter.until(() => tls !== null || client.ended, STEP_TIMEOUT_MS);
  }
  for (const step of scenario.client) await playStep(client, step, waiter, saw);
  if (!client.byClient) {
    const wanted = scenario.answers ?? 1;
    await waiter.until(() => client.ended || (wanted > 0 && client.finals() >= wanted), STEP_TIMEOUT_MS);
    await waiter.until(() => client.ended, lingerMs);
    if (!client.ended) await waiter.rest();
  }
  const { messages, rest } = client.parse();
  const partial = parsePartial(rest);
  if (partial !== null) messages.push(partial);
  const end = client.byClient ? 'by client' : !client.ended ? 'open' : client.failed ? 'reset' : 'closed';
  client.socket.destroy();
  return { port: localPort, answers: messages, rest: partial === null ? rest : '', end, tls };
}

/** Takes whatever certificate comes: the proxy is the one under test. */
function startTls(socket: Socket, tls: ClientTls): TLSSocket {
  const { certificate, serverName, alpn, version, ciphers, groups, status } = tls;
  return connectTls({
    socket,
    rejectUnauthorized: false,
    ...(certificate === undefined ? {} : { cert: tlsText(`${certificate}.pem`), key: tlsText(`${certificate}.key`) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
    ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
    ...(version === undefined ? {} : { minVersion: version, maxVersion: version }),
    ...(ciphers === undefined ? {} : { ciphers }),
    ...(groups === undefined ? {} : { ecdhCurve: groups }),
    ...(status === true ? { requestOCSP: true } : {}),
  });
}

function observeTls(socket: TLSSocket): ObservedTls {
  return {
    version: socket.getProtocol() ?? '',
    cipher: socket.getCipher().standardName,
    alpn: typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : '',
    serial: socket.getPeerX509Certificate()?.serialNumber ?? '',
  };
}

async function connectFromOwnPort(port: number, scenario: Scenario): Promise<Socket> {
  for (;;) {
    const localPort = LOCAL_PORT_FIRST + (nextLocalPort++ % LOCAL_PORTS);
    const { from = '127.0.0.1', target = '127.0.0.1' } = scenario;
    const socket = connect({ port, host: target, localAddress: from, localPort, noDelay: true, allowHalfOpen: true });
    const error = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
      socket.once('connect', () => resolve(null));
      socket.once('error', resolve);
    });
    socket.removeAllListeners('error');
    if (error === null) return socket;
    if (error.code !== 'EADDRINUSE' && error.code !== 'EADDRNOTAVAIL') throw error;
  }
}

async function playStep(client: ScriptedClient, step: ClientStep, waiter: Waiter, saw: () => number): Promise<void> {
  if (typeof step === 'string') {
    if (!client.socket.destroyed) client.socket.write(step, 'latin1');
  } else if ('waitMs' in step) {
    // The time counts from when the proxy has taken in what was sent before.
    await waiter.rest();
    await waiter.pass(step.waitMs);
  } else if ('stat' in step) {
    await waiter.untilStat(step.stat, step.atLeast);
  } else if ('close' in step) {
    if (step.close === 'fin') client.socket.end();
    else {
      client.byClient = true;
      if (step.close === 'reset') client.socket.resetAndDestroy();
      else client.socket.destroy();
    }
  } else {
    const holds = (): boolean => {
      if ('answers' in step) return client.finals() >= step.answers;
      return 'bytes' in step ? client.text.length >= step.bytes : saw() >= step.upstreamSaw;
    };
    await waiter.until(() => holds() || client.ended, STEP_TIMEOUT_MS);
  }
}
