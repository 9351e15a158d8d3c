// An upstream that answers exactly the bytes it is told and records what it was asked.

import { readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import { tlsPath } from '../fixtures/tls.ts';
import type { Waiter } from './client.ts';
import { playHttp2 } from './http2-upstream.ts';
import type { Action, Http2Action, Http2Script, ObservedMessage, ServerTls, UpstreamScript } from './types.ts';
import { parseMessage } from './wire.ts';

const DEFAULT_REPLY: readonly Action[] = ['HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'];

const DEFAULT_HTTP2_REPLY: readonly Http2Action[] = [{ head: [':status: 200'] }, { data: 'ok', end: true }];

/** A server on a port of its own. The script is exchanged before each scenario. */
export class ScriptedUpstream {
  readonly server: Server;
  private readonly waiter: Waiter;
  private script: UpstreamScript = {};
  private readonly sockets = new Set<Socket>();
  private requests: ObservedMessage[] = [];
  private replied = 0;
  private rawBytes = 0;
  private readonly tlsServers = new Map<ServerTls, TlsServer>();
  /** Requests whose head has arrived. */
  heads = 0;

  private constructor(waiter: Waiter) {
    this.waiter = waiter;
    this.server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.accept(socket));
  }

  static start(waiter: Waiter): Promise<ScriptedUpstream> {
    const upstream = new ScriptedUpstream(waiter);
    return new Promise((resolve, reject) => {
      upstream.server.on('error', reject);
      upstream.server.listen(0, '127.0.0.1', () => resolve(upstream));
    });
  }

  get port(): number {
    const address = this.server.address();
    return address !== null && typeof address === 'object' ? address.port : 0;
  }

  /** How far it has come: requests, or bytes of a raw script. */
  get saw(): number {
    return this.script.raw === undefined ? this.heads : this.rawBytes;
  }

  reset(script: UpstreamScript | undefined): void {
    this.script = script ?? {};
    this.requests = [];
    this.replied = 0;
    this.rawBytes = 0;
    this.heads = 0;
  }

  /** What was seen since `reset`. */
  seen(): readonly ObservedMessage[] {
    return this.requests.map((request) => {
      // An HTTP head on a raw connection is compared as one: the order of its headers is no matter.
      // A ClientHello is random.
      if (request.body.startsWith('\x16\x03')) return { ...request, body: 'ClientHello' };
      const from = request.line === 'raw' ? proxyHeaderLength(request.body) : 0;
      const text = request.body.slice(from);
      const end = request.line === 'raw' && /^[A-Z]+ \S+ HTTP\//.test(text) ? text.indexOf('\r\n\r\n') : -1;
      const parsed = end < 0 ? null : parseMessage(text.slice(0, end + 4), 0, true, true);
      return parsed === null ? request : { ...parsed.message, body: request.body.slice(0, from) + text.slice(end + 4) };
    });
  }

  /** Closes every connection and waits until the proxy has let go of them, so that no pool outlives a scenario. */
  async hangUp(timeoutMs: number): Promise<void> {
    for (const socket of this.sockets) socket.end();
    if (await this.waiter.until(() => this.sockets.size === 0, timeoutMs)) return;
    for (const socket of this.sockets) socket.destroy();
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }

  private accept(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('close', () => {
      this.sockets.delete(socket);
      this.waiter.changed();
    });
    socket.on('error', () => socket.destroy());
    if (this.script.tls === undefined) this.serve(socket, []);
    else this.tlsServer(this.script.tls).emit('connection', socket);
  }

  /** Sessions last as long as a script: a scenario never resumes those of another. */
  private tlsServer(script: ServerTls): TlsServer {
    const known = this.tlsServers.get(script);
    if (known !== undefined) return known;
    const read = (name: string): Buffer => readFileSync(tlsPath(name));
    const server = createTlsServer({
      cert: read(`${script.certificate}.pem`),
      key: read(`${script.certificate}.key`),
      ca: read('ca.pem'),
      requestCert: script.asks !== undefined,
      rejectUnauthorized: script.asks === 'require',
      allowHalfOpen: true,
      ...(script.alpn === undefined ? {} : { ALPNProtocols: [...script.alpn] }),
      ...(script.version === undefined ? {} : { minVersion: script.version, maxVersion: script.version }),
    });
    server.on('secureConnection', (socket) => {
      socket.on('error', () => socket.destroy());
      this.serve(socket, handshakeOf(socket));
    });
    server.on('tlsClientError', () => {});
    this.tlsServers.set(script, server);
    return server;
  }

  /** @param handshake headers that are added to each request as recorded */
  private serve(socket: Socket, handshake: readonly string[]): void {
    const { http2, tls } = this.script;
    // Where the script has protocols to choose from, it is HTTP/2 only if that was chosen.
    if (http2 !== undefined && (tls?.alpn === undefined || handshake.includes('tls-alpn: h2'))) {
      this.acceptHttp2(socket, http2, handshake);
      return;
    }
    if (this.script.raw !== undefined) {
      this.acceptRaw(socket, this.script.raw);
      return;
    }
    let text = '';
    let headSeen = false;
    let busy = this.play(socket, this.script.onConnect ?? []);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (!headSeen && text.includes('\r\n\r\n')) {
        headSeen = true;
        this.heads++;
        if (this.script.early === true) busy = busy.then(() => this.play(socket, this.nextReply()));
      }
      for (;;) {
        const parsed = parseMessage(text, 0, false, false);
        if (parsed === null) break;
        text = text.slice(parsed.end);
        headSeen = false;
        const { message } = parsed;
        this.requests.push({ ...message, headers: [...handshake, ...message.headers] });
        if (this.script.early !== true) busy = busy.then(() => this.play(socket, this.nextReply()));
      }
      this.waiter.changed();
    });
    socket.on('end', () => {
      // A request that never became whole is part of what was seen.
      if (text !== '') this.requests.push({ line: `incomplete: ${text}`, headers: [], body: '' });
      text = '';
      busy.then(() => socket.end());
    });
  }

  private acceptHttp2(socket: Socket, script: Http2Script, handshake: readonly string[]): void {
    playHttp2(socket, script, {
      waiter: this.waiter,
      handshake,
      record: (request) => {
        this.heads++;
        this.requests.push(request);
      },
      nextReply: () => {
        const replies = script.replies ?? [];
        return replies[Math.min(this.replied++, replies.length - 1)] ?? DEFAULT_HTTP2_REPLY;
      },
    });
  }

  private acceptRaw(socket: Socket, steps: NonNullable<UpstreamScript['raw']>): void {
    let text = '';
    let ended = false;
    const record = { line: 'raw', headers: [], body: '' };
    this.requests.push(record);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      record.body = text;
      this.rawBytes += chunk.length;
      this.waiter.changed();
    });
    socket.on('end', () => {
      record.body = `${text}<end>`;
      ended = true;
      this.waiter.changed();
    });
    void (async () => {
      for (const step of steps) {
        if (typeof step === 'object' && 'read' in step) {
          const { read } = step;
          await this.waiter.until(() => text.length >= read || ended, 3_000);
        } else await this.play(socket, [step]);
      }
      await this.waiter.until(() => ended, 3_000);
      socket.end();
    })();
  }

  private nextReply(): readonly Action[] {
    const replies = this.script.replies ?? [];
    const reply = replies[Math.min(this.replied, replies.length - 1)];
    this.replied++;
    return reply ?? DEFAULT_REPLY;
  }

  private async play(socket: Socket, actions: readonly Action[]): Promise<void> {
    for (const action of actions) {
      if (socket.destroyed) return;
      if (typeof action === 'string') socket.write(action, 'latin1');
      else if ('waitMs' in action) await this.waiter.pass(action.waitMs);
      else if (action.close === 'fin') socket.end();
      else if (action.close === 'reset') socket.resetAndDestroy();
      else socket.destroy();
    }
  }
}

/** What the proxy said of itself when it connected. */
function handshakeOf(socket: TLSSocket): readonly string[] {
  const certificate = socket.getPeerX509Certificate();
  return [
    `tls: ${socket.getProtocol()} ${socket.getCipher().name}${socket.isSessionReused() ? ' resumed' : ''}`,
    `tls-alpn: ${socket.alpnProtocol === false ? '' : socket.alpnProtocol}`,
    `tls-certificate: ${certificate?.serialNumber ?? ''}`,
    `tls-server-name: ${(socket as { servername?: string | false }).servername || ''}`,
  ];
}

/** Bytes of a PROXY header before what is said; 0 = there is none. */
function proxyHeaderLength(text: string): number {
  if (text.startsWith('\r\n\r\n\0\r\nQUIT\n')) return 16 + text.charCodeAt(14) * 256 + text.charCodeAt(15);
  return /^PROXY [^\r\n]*\r\n/.exec(text)?.[0].length ?? 0;
}
