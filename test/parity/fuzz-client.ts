// A client of many requests, one after the other, on connections that are kept as long as the proxy keeps them.

import { connect, type Socket } from 'node:net';
import { Waiter } from './client.ts';
import type { FuzzRequest } from './fuzz-case.ts';
import type { Observation, ObservedMessage } from './types.ts';
import { isInterim, parseMessage } from './wire.ts';

const ANSWER_TIMEOUT_MS = 5_000;

/** A request and what became of it. */
export interface Sent {
  /** Of the connection it was sent on. */
  readonly localPort: number;
  /** Interim answers are named in its line. */
  readonly answer: ObservedMessage;
  /** Bytes behind the answer. */
  readonly rest: string;
  /** `open` also where only the answer says that the connection will be closed. */
  readonly end: Observation['end'];
}

export class FuzzClient {
  private readonly port: number;
  private connection: Connection | null = null;

  /** @param port of the loopback */
  constructor(port: number) {
    this.port = port;
  }

  /** Never rejects: an answer that does not come is an observation. */
  async ask(request: FuzzRequest): Promise<Sent> {
    this.connection ??= await Connection.open(this.port);
    const sent = await this.connection.ask(request);
    if (sent.end !== 'open' || sent.answer.headers.some((header) => /^connection: *close/i.test(header))) this.close();
    return sent;
  }

  close(): void {
    this.connection?.socket.destroy();
    this.connection = null;
  }
}

class Connection {
  readonly socket: Socket;
  private readonly waiter = new Waiter();
  private text = '';
  private ended = false;
  private failed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.text += chunk.toString('latin1');
      this.waiter.changed();
    });
    const finish = (failed: boolean): void => {
      if (!this.ended) this.failed = failed;
      this.ended = true;
      this.waiter.changed();
    };
    socket.on('error', () => finish(true));
    socket.on('close', () => finish(false));
  }

  static open(port: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new Connection(socket));
      });
    });
  }

  async ask(request: FuzzRequest): Promise<Sent> {
    const localPort = this.socket.localPort ?? 0;
    this.text = '';
    if (!this.ended) this.socket.write(request.text, 'latin1');
    let interim = '';
    let answer: ObservedMessage | null = null;
    const whole = (): boolean => {
      for (;;) {
        const parsed = parseMessage(this.text, 0, request.bodiless, this.ended);
        if (parsed === null) return false;
        this.text = this.text.slice(parsed.end);
        if (!isInterim(parsed.message)) {
          answer = parsed.message;
          return true;
        }
        interim += `${parsed.message.line}, then `;
      }
    };
    await this.waiter.until(() => whole() || this.ended, ANSWER_TIMEOUT_MS);
    const end = this.ended ? (this.failed ? 'reset' : 'closed') : answer === null ? 'by client' : 'open';
    const { line, headers, body } = (answer as ObservedMessage | null) ?? { line: 'no answer', headers: [], body: '' };
    return { localPort, answer: { line: interim + line, headers, body }, rest: this.text, end };
  }
}
