// Runs inside a network namespace: serves on the given ports, and connects as it is told on standard input, one JSON
// line a task, one JSON line an answer. `node agent.ts NAME PORT[:greeting]…`

import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

/** One connection to make. */
export interface Task {
  readonly id: number;
  readonly ip: string;
  readonly port: number;
  /** Sent at once; empty = the other side speaks first. */
  readonly say: string;
}

/** What came of it: all that was said, and how it ended. Whether a close arrives as a reset is a matter of moments. */
export interface Outcome {
  readonly id: number;
  readonly heard: string;
  readonly end: 'answered' | 'closed' | 'refused' | 'silent';
}

/** A connection that says nothing for so long is given up, milliseconds. */
const SILENCE_MS = 2_500;
const [name = '', ...ports] = process.argv.slice(2);

function bare(ip: string | undefined): string {
  return (ip ?? '').replace('::ffff:', '');
}

/** Says whom it sees, over HTTP to those who speak it. */
function serve(socket: Socket, greeting: string): void {
  const facts = `${name} ${bare(socket.localAddress)} ${socket.localPort} from ${bare(socket.remoteAddress)}`;
  socket.on('error', () => {});
  if (greeting !== '') socket.write(`${greeting} ${facts}\n`);
  socket.on('data', (chunk) => {
    const http = chunk.toString('latin1').startsWith('GET ');
    socket.write(http ? `HTTP/1.1 200 OK\r\ncontent-length: ${facts.length + 1}\r\n\r\n${facts}\n` : `${facts}\n`);
  });
}

for (const spec of ports) {
  const [port, greeting = ''] = spec.split(':');
  createServer((socket) => serve(socket, greeting)).listen({ port: Number(port), host: '::' });
}

/** A line, or an HTTP answer with as much of a body as it says. */
function isWhole(heard: string): boolean {
  const head = heard.indexOf('\r\n\r\n');
  if (!heard.startsWith('HTTP/')) return heard.endsWith('\n');
  return head >= 0 && heard.length >= head + 4 + Number(/content-length: (\d+)/.exec(heard)?.[1] ?? 0);
}

function run(task: Task): void {
  const socket = connect({ host: task.ip, port: task.port });
  let heard = '';
  const done = (end: Outcome['end']): void => {
    clearTimeout(timer);
    socket.removeAllListeners('close').destroy();
    process.stdout.write(`${JSON.stringify({ id: task.id, heard, end } satisfies Outcome)}\n`);
  };
  const timer = setTimeout(() => done('silent'), SILENCE_MS);
  socket.on('connect', () => socket.write(task.say));
  socket.on('data', (chunk) => {
    heard += String(chunk);
    if (isWhole(heard)) done('answered');
  });
  socket.on('error', (error: NodeJS.ErrnoException) => done(error.code === 'ECONNREFUSED' ? 'refused' : 'closed'));
  socket.on('close', () => done('closed'));
}

createInterface({ input: process.stdin }).on('line', (line) => run(JSON.parse(line) as Task));
process.stdin.on('end', () => process.exit(0));
