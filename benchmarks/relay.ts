// The bare relay: what moving bytes between two sockets costs in this runtime when nothing is understood.
//
// Usage: node benchmarks/relay.ts PORT ORIGIN_PORT

import { connect, createServer } from 'node:net';

const port = Number(process.argv[2]);
const originPort = Number(process.argv[3]);

createServer({ noDelay: true, allowHalfOpen: true }, (down) => {
  const up = connect({ port: originPort, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
  down.on('data', (chunk) => {
    if (!up.write(chunk)) down.pause();
  });
  up.on('data', (chunk) => {
    if (!down.write(chunk)) up.pause();
  });
  down.on('drain', () => up.resume());
  up.on('drain', () => down.resume());
  down.on('end', () => up.end());
  up.on('end', () => down.end());
  down.on('error', () => up.destroy());
  up.on('error', () => down.destroy());
  down.on('close', () => up.destroy());
}).listen({ port, host: '127.0.0.1', backlog: 4_096 });
