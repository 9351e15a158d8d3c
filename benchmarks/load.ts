// Load generators on `node:net`, one JSON line of results on stdout.
//
//   node benchmarks/load.ts closed PORT SECONDS CONNECTIONS    as fast as answers come back
//   node benchmarks/load.ts open   PORT SECONDS RATE           RATE requests a second, whatever the answers do
//   node benchmarks/load.ts slow   PORT BYTES   BYTES_PER_S    one body of BYTES, read no faster than that
//   node benchmarks/load.ts slow2  PORT BYTES   BYTES_PER_S    the same over HTTP/2
//   node benchmarks/load.ts idle   PORT COUNT                  COUNT connections, one request each, then silence;
//                                                              prints `ready N`, ends when stdin closes
//
// The open loop never waits for an answer before it sends the next request: when every connection is busy it opens
// another, so a slow proxy meets the same arrivals as a fast one (no coordinated omission). Latency counts from the
// tick in which the request was due; how late ticks themselves come is reported beside it as `lagMs`.

import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';

const REQUEST = Buffer.from(
  'GET / HTTP/1.1\r\nhost: bench.example\r\nuser-agent: bench\r\naccept: */*\r\nx-forwarded-proto: http\r\n\r\n',
);
/** Upper bound on the open loop's connections; reaching it is an error of the run, not a result. */
const OPEN_CONNECTIONS_MAX = 2_000;
/** Connections that the idle mode opens at the same time. */
const IDLE_BATCH = 100;
/** A server that takes no more connections is not waited for. */
const IDLE_STALL_MS = 5_000;
const SLOW_TICK_MS = 10;

export interface LoadResult {
  readonly requests: number;
  readonly errors: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
  /** p99 of how late the generator's own ticks came. */
  readonly lagMs: number;
  readonly connections: number;
}

/** A keep-alive connection with at most one request under way. */
class Client {
  readonly socket: Socket;
  sentAt: number;
  private text: string;
  private readonly onAnswer: (client: Client, ok: boolean) => void;

  constructor(port: number, onAnswer: (client: Client, ok: boolean) => void, onReady: (client: Client) => void) {
    this.sentAt = -1;
    this.text = '';
    this.onAnswer = onAnswer;
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => onReady(this));
    this.socket.on('data', (chunk: Buffer) => this.onData(chunk));
    this.socket.on('error', () => this.socket.destroy());
    this.socket.on('close', () => this.onClose());
  }

  send(now: number): void {
    this.sentAt = now;
    this.socket.write(REQUEST);
  }

  private onData(chunk: Buffer): void {
    this.text += chunk.toString('latin1');
    const end = this.text.indexOf('\r\n\r\n');
    if (end < 0) return;
    const length = /content-length: (\d+)/i.exec(this.text);
    if (length === null || this.text.length < end + 4 + Number(length[1])) return;
    const ok = this.text.startsWith('HTTP/1.1 200');
    this.text = '';
    this.onAnswer(this, ok);
  }

  private onClose(): void {
    if (this.sentAt >= 0) this.onAnswer(this, false);
  }
}

function summarise(
  latenciesMs: number[],
  lagsMs: number[],
  errors: number,
  seconds: number,
  connections: number,
): void {
  const sorted = Float64Array.from(latenciesMs).sort();
  const lags = Float64Array.from(lagsMs).sort();
  const result: LoadResult = {
    requests: sorted.length,
    errors,
    seconds,
    p50Ms: quantile(sorted, 0.5),
    p90Ms: quantile(sorted, 0.9),
    p99Ms: quantile(sorted, 0.99),
    p999Ms: quantile(sorted, 0.999),
    maxMs: sorted.at(-1) ?? 0,
    lagMs: quantile(lags, 0.99),
    connections,
  };
  console.log(JSON.stringify(result));
  process.exit(0);
}

function quantile(sorted: Float64Array, q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
}

function closedLoop(port: number, seconds: number, connections: number): void {
  const latencies: number[] = [];
  let errors = 0;
  const began = performance.now();
  const until = began + seconds * 1_000;
  const onAnswer = (client: Client, ok: boolean): void => {
    const now = performance.now();
    if (ok) latencies.push(now - client.sentAt);
    else errors++;
    client.sentAt = -1;
    if (now < until && !client.socket.destroyed) client.send(now);
  };
  for (let i = 0; i < connections; i++) new Client(port, onAnswer, (client) => client.send(performance.now()));
  setTimeout(
    () => summarise(latencies, [], errors, (performance.now() - began) / 1_000, connections),
    seconds * 1_000 + 100,
  );
}

function openLoop(port: number, seconds: number, rate: number): void {
  const latencies: number[] = [];
  const lags: number[] = [];
  const free: Client[] = [];
  let errors = 0;
  let opened = 0;
  let sent = 0;
  const onAnswer = (client: Client, ok: boolean): void => {
    if (ok) latencies.push(performance.now() - client.sentAt);
    else errors++;
    client.sentAt = -1;
    if (!client.socket.destroyed) free.push(client);
  };
  const open = (): Client => {
    opened++;
    return new Client(port, onAnswer, () => undefined);
  };
  for (let i = 0; i < 16; i++) free.push(open());

  const total = Math.round(seconds * rate);
  const began = performance.now() + 200;
  const timer = setInterval(() => {
    const now = performance.now();
    while (sent < total && began + (sent * 1_000) / rate <= now) {
      lags.push(now - (began + (sent * 1_000) / rate));
      sent++;
      const client = free.pop() ?? (opened < OPEN_CONNECTIONS_MAX ? open() : null);
      if (client === null) errors++;
      else if (client.socket.destroyed) errors++;
      else client.send(now);
    }
    if (sent < total || latencies.length + errors < total) return;
    clearInterval(timer);
    summarise(latencies, lags, errors, (performance.now() - began) / 1_000, opened);
  }, 1);
  // Answers that are still missing some seconds after the last request are errors.
  setTimeout(
    () => summarise(latencies, lags, total - latencies.length, (performance.now() - began) / 1_000, opened),
    seconds * 1_000 + 5_000,
  );
}

function slowReader(port: number, bytes: number, bytesPerSecond: number): void {
  const socket = connect({ port, host: '127.0.0.1' });
  const began = performance.now();
  let body = -1;
  socket.write(`GET /bytes?n=${bytes} HTTP/1.1\r\nhost: bench.example\r\n\r\n`);
  socket.on('data', (chunk: Buffer) => {
    body = body >= 0 ? body + chunk.length : chunk.length - chunk.indexOf('\r\n\r\n') - 4;
    if (body >= bytes) finish(0);
    else if (body > ((performance.now() - began) / 1_000) * bytesPerSecond) socket.pause();
  });
  setInterval(() => socket.resume(), SLOW_TICK_MS);
  const finish = (code: number): void => {
    const seconds = (performance.now() - began) / 1_000;
    console.log(JSON.stringify({ bytes: body, seconds, bytesPerSecond: body / seconds }));
    process.exit(code);
  };
  socket.on('error', () => finish(1));
  socket.on('end', () => {
    if (body < bytes) finish(1);
  });
}

/** With the windows that a client of Node has: 64 KiB a stream. */
function slowHttp2Reader(port: number, bytes: number, bytesPerSecond: number): void {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  const stream = session.request({ ':path': `/bytes?n=${bytes}` });
  const began = performance.now();
  let body = 0;
  const finish = (code: number): void => {
    const seconds = (performance.now() - began) / 1_000;
    console.log(JSON.stringify({ bytes: body, seconds, bytesPerSecond: body / seconds }));
    process.exit(code);
  };
  stream.on('data', (chunk: Buffer) => {
    body += chunk.length;
    if (body > ((performance.now() - began) / 1_000) * bytesPerSecond) stream.pause();
  });
  setInterval(() => stream.resume(), SLOW_TICK_MS);
  stream.on('end', () => finish(body === bytes ? 0 : 1));
  stream.on('error', () => finish(1));
  session.on('error', () => finish(1));
}

function idleConnections(port: number, count: number): void {
  let opened = 0;
  let answered = 0;
  let failed = 0;
  let lastProgress = performance.now();
  const ready = (): void => {
    clearInterval(stall);
    console.log(`ready ${answered}`);
  };
  const stall = setInterval(() => {
    if (performance.now() - lastProgress > IDLE_STALL_MS) ready();
  }, 1_000);
  const next = (): void => {
    if (opened >= count) return;
    opened++;
    const onAnswer = (client: Client, ok: boolean): void => {
      client.sentAt = -1;
      lastProgress = performance.now();
      if (ok) answered++;
      else failed++;
      if (answered + failed === count) ready();
      else next();
    };
    new Client(port, onAnswer, (client) => client.send(performance.now()));
  };
  for (let i = 0; i < IDLE_BATCH; i++) next();
  process.stdin.on('end', () => process.exit(0)).resume();
}

if (import.meta.main) {
  const [mode, port, first, second] = process.argv.slice(2);
  if (mode === 'closed') closedLoop(Number(port), Number(first), Number(second));
  else if (mode === 'open') openLoop(Number(port), Number(first), Number(second));
  else if (mode === 'slow') slowReader(Number(port), Number(first), Number(second));
  else if (mode === 'slow2') slowHttp2Reader(Number(port), Number(first), Number(second));
  else if (mode === 'idle') idleConnections(Number(port), Number(first));
  else {
    console.error(`unknown mode "${mode}": closed, open, slow, slow2 or idle`);
    process.exitCode = 2;
  }
}
