// Runs inside a network namespace with ten local ports: opens more upstream connections than that from 127.0.0.6, and
// says how many came to be.

import { createServer } from 'node:net';
import { dial, NO_NAMES } from '../../proxy/net/dial.ts';
import { sourceFor } from '../../proxy/net/source.ts';

const PER_DESTINATION = 9;
const DESTINATIONS = [9001, 9002, 9003];
const source = { address: '127.0.0.6', port: 0, socketOptions: [] };
const bind = sourceFor({ sources: [source], freebind: false, socketOptions: [] }, '127.0.0.1');

function open(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const address = { kind: 'socket', protocol: 'tcp', address: '127.0.0.1', port, ipv4Compat: false } as const;
  dial(
    { address, hostname: '', bind, keepalive: null, bufferLimitBytes: 1_000, layer: null },
    { onConnect: () => resolve(true), onData() {}, onEnd() {}, onDrain() {}, onClose: () => resolve(false) },
    NO_NAMES,
  );
  return promise;
}

for (const port of DESTINATIONS)
  await new Promise<void>((resolve) => createServer().listen(port, '127.0.0.1', () => resolve()));
let opened = 0;
for (const port of DESTINATIONS) for (let i = 0; i < PER_DESTINATION; i++) if (await open(port)) opened++;
console.log(`${opened} of ${DESTINATIONS.length * PER_DESTINATION}`);
process.exit(0);
