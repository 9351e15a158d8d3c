// Load of handshakes, one JSON line of results on stdout. IDENTITY is a JSON file of `clientIdentity`.
//
//   node benchmarks/load-tls.ts full    PORT SECONDS IDENTITY    mutual TLS 1.3 handshakes, none resumed
//   node benchmarks/load-tls.ts resumed PORT SECONDS IDENTITY    each but the first resumed
//   node benchmarks/load-tls.ts idle    PORT COUNT   IDENTITY    COUNT connections, one request each, then silence;
//                                                                prints `ready N`, ends when stdin closes

import { readFileSync } from 'node:fs';
import { type ConnectionOptions, connect, createSecureContext, type TLSSocket } from 'node:tls';

export interface HandshakeResult {
  readonly handshakes: number;
  readonly resumed: number;
  readonly errors: number;
}

const IN_FLIGHT = 8;
const REQUEST = 'GET / HTTP/1.1\r\nhost: bench.example\r\n\r\n';

function options(port: number, identityPath: string): ConnectionOptions {
  const { chain, key, root } = JSON.parse(readFileSync(identityPath, 'utf8')) as Record<string, string>;
  return {
    host: '127.0.0.1',
    port,
    secureContext: createSecureContext({ cert: chain, key, ca: root, minVersion: 'TLSv1.3' }),
    servername: 'origin.bench.svc.cluster.local',
    checkServerIdentity: () => undefined,
  };
}

/** Each connection makes one request, so that a ticket has come and the server is done with it. */
function handshakes(port: number, seconds: number, identityPath: string, resume: boolean): void {
  const base = options(port, identityPath);
  const until = performance.now() + seconds * 1_000;
  const result = { handshakes: 0, resumed: 0, errors: 0 };
  let session: Buffer | undefined;
  let open = 0;
  const next = (): void => {
    if (performance.now() >= until) {
      if (open === 0) {
        console.log(JSON.stringify(result satisfies HandshakeResult));
        process.exit(0);
      }
      return;
    }
    open++;
    const socket: TLSSocket = connect({ ...base, session: resume ? session : undefined });
    socket.on('session', (ticket) => {
      session = ticket;
    });
    socket.once('secureConnect', () => {
      result.handshakes++;
      if (socket.isSessionReused()) result.resumed++;
      socket.write(REQUEST);
    });
    socket.once('data', () => socket.destroy());
    socket.on('error', () => {
      result.errors++;
      socket.destroy();
    });
    socket.once('close', () => {
      open--;
      next();
    });
  };
  for (let i = 0; i < IN_FLIGHT; i++) next();
}

function idle(port: number, count: number, identityPath: string): void {
  const base = options(port, identityPath);
  let opened = 0;
  let answered = 0;
  let failed = 0;
  const next = (): void => {
    if (opened >= count) return;
    opened++;
    const socket = connect(base, () => socket.write(REQUEST));
    const settle = (ok: boolean): void => {
      if (ok) answered++;
      else failed++;
      if (answered + failed === count) console.log(`ready ${answered}`);
      else next();
    };
    socket.once('data', () => settle(true));
    socket.on('error', () => settle(false));
  };
  for (let i = 0; i < IN_FLIGHT; i++) next();
  process.stdin.on('end', () => process.exit(0)).resume();
}

const [mode = '', port, amount, identityPath = ''] = process.argv.slice(2);
if (mode === 'full' || mode === 'resumed') handshakes(Number(port), Number(amount), identityPath, mode === 'resumed');
else if (mode === 'idle') idle(Number(port), Number(amount), identityPath);
else {
  console.error(`unknown mode "${mode}": full, resumed or idle`);
  process.exitCode = 2;
}
