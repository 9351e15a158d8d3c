// An upstream that answers what it was asked: no two requests can be mixed up, however many run at once.

import { createServer, type Server, type Socket } from 'node:net';
import { parseMessage } from './wire.ts';

/** Heads of answers by the number in `x-answer`. */
const HEADS: readonly (readonly [status: string, ...headers: readonly string[]])[] = [
  ['200 OK'],
  ['200 OK', 'x-a: up', 'content-type: text/plain'],
  ['200 OK', 'x-a: up', 'X-A: up2', 'x-b:', 'server: upstream'],
  ['404 Not Found', 'x-c: up', 'date: Thu, 01 Jan 1970 00:00:00 GMT'],
  ['503 Service Unavailable', 'x-d: a,b', 'x-d: c', 'x-envoy-upstream-service-time: 7'],
  ['302 Found', 'location: http://elsewhere.test/', 'set-cookie: a=1', 'set-cookie: b=2'],
  ['200 OK', 'access-control-allow-origin: *', 'vary: origin', 'x-b: up', 'via: 1.0 up', 'x-request-id: up'],
  ['201 Created', 'x-a: a b', 'x-new: up', 'x-envoy-overloaded: 1', 'x-envoy-upstream-healthchecked-cluster: c'],
];

export class EchoUpstream {
  private readonly name: string;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  /** Requests answered. */
  served = 0;

  private constructor(name: string) {
    this.name = name;
    this.server = createServer({ noDelay: true }, (socket) => this.serve(socket));
  }

  static start(name: string): Promise<EchoUpstream> {
    const upstream = new EchoUpstream(name);
    return new Promise((resolve, reject) => {
      upstream.server.on('error', reject);
      upstream.server.listen(0, '127.0.0.1', () => resolve(upstream));
    });
  }

  get port(): number {
    const address = this.server.address();
    return address !== null && typeof address === 'object' ? address.port : 0;
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }

  private serve(socket: Socket): void {
    let text = '';
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      for (;;) {
        const parsed = parseMessage(text, 0, false, false);
        if (parsed === null) return;
        text = text.slice(parsed.end);
        this.served++;
        const { line, headers, body } = parsed.message;
        const wanted = headers.find((header) => header.startsWith('x-answer:'))?.slice(9);
        const [status, ...more] = HEADS[Number(wanted ?? 0)] ?? ['200 OK'];
        const echo = line.startsWith('HEAD ') ? '' : JSON.stringify({ upstream: this.name, line, headers, body });
        const head = [`HTTP/1.1 ${status}`, `x-up: ${this.name}`, ...more, `content-length: ${echo.length}`];
        socket.write(`${head.join('\r\n')}\r\n\r\n${echo}`, 'latin1');
      }
    });
  }
}
