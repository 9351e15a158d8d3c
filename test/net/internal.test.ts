// Connections inside the process: order, backpressure, half-closes and resets as over the loopback.

import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import t from 'tap';
import { type DialHandler, dialWith, NO_NAMES } from '../../proxy/net/dial.ts';
import { InternalNetwork } from '../../proxy/net/internal.ts';
import { Transport, type TransportHandler } from '../../proxy/net/transport.ts';

class Recorder implements DialHandler {
  readonly log: string[] = [];
  readonly chunks: Buffer[] = [];
  readonly over = Promise.withResolvers<void>();
  onConnect(): void {
    this.log.push('connect');
  }
  onData(chunk: Buffer): void {
    this.chunks.push(Buffer.from(chunk));
  }
  onEnd(): void {
    this.log.push('end');
  }
  onDrain(): void {
    this.log.push('drain');
  }
  onClose(error: NodeJS.ErrnoException | null): void {
    this.log.push(`close ${error?.code ?? ''}`);
    this.over.resolve();
  }
}

/** Both ends of a connection. */
async function pair(bufferBytes = 1000) {
  const network = new InternalNetwork(bufferBytes);
  const { promise, resolve } = Promise.withResolvers<Socket>();
  network.listen('x', (socket) => resolve(socket));
  const client = new Recorder();
  const server = new Recorder();
  const address = { kind: 'internal', listenerName: 'x', endpointId: 'e' } as const;
  const target = { address, bind: null, hostname: '', keepalive: null, bufferLimitBytes: bufferBytes, layer: null };
  const clientTransport = dialWith(network)(target, client, NO_NAMES);
  const serverTransport = new Transport(await promise, server as TransportHandler);
  return { client, server, clientTransport, serverTransport };
}

t.test('bytes arrive in order, while a reader holds nobody may run ahead', async (t) => {
  const { client, server, clientTransport, serverTransport } = await pair();
  t.same(client.log, ['connect']);
  t.equal(clientTransport.localAddress, 'envoy://internal_client_address/');
  serverTransport.hold();
  const sent = randomBytes(50_000);
  let at = 0;
  while (at < sent.length && clientTransport.write(sent.subarray(at, at + 500))) at += 500;
  at += 500;
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
  t.ok(clientTransport.bufferedBytes > 0 && clientTransport.congested, 'the writer is told to stop');
  t.ok(serverTransport.socket.readableLength <= 1_500, 'the other end holds one buffer');
  serverTransport.release();
  while (at < sent.length) {
    if (clientTransport.write(sent.subarray(at, at + 500))) await new Promise(setImmediate);
    else await once(clientTransport.socket, 'drain');
    at += 500;
  }
  clientTransport.end();
  while (!server.log.includes('end')) await new Promise(setImmediate);
  const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
  t.equal(digest(Buffer.concat(server.chunks)), digest(sent));
  t.ok(client.log.includes('drain'));

  serverTransport.write(Buffer.from('late'));
  serverTransport.closeSoon();
  await Promise.all([client.over.promise, server.over.promise]);
  t.equal(Buffer.concat(client.chunks).toString(), 'late', 'the other direction outlives a half-close');
  t.same(client.log.slice(-2), ['end', 'close ']);
});

t.test('a buffer that the writer reuses', async (t) => {
  const { server, clientTransport, serverTransport } = await pair();
  serverTransport.hold();
  const buffer = Buffer.from('first');
  await new Promise<void>((resolve) => clientTransport.socket.write(buffer, () => resolve()));
  buffer.write('wrong');
  serverTransport.release();
  while (server.chunks.length === 0) await new Promise(setImmediate);
  t.equal(String(server.chunks[0]), 'first');
});

t.test('destroyed, reset, and nobody there', async (t) => {
  const gone = await pair();
  gone.serverTransport.destroy();
  while (!gone.client.log.includes('end')) await new Promise(setImmediate);
  gone.clientTransport.write(Buffer.from('x'));
  await gone.client.over.promise;
  t.same(gone.client.log, ['connect', 'end', 'close EPIPE']);

  const reset = await pair();
  reset.clientTransport.reset();
  await reset.server.over.promise;
  t.same(reset.server.log, ['close ECONNRESET']);

  const nobody = new Recorder();
  const address = { kind: 'internal', listenerName: 'y', endpointId: '' } as const;
  dialWith(new InternalNetwork())(
    { address, hostname: '', bind: null, keepalive: null, bufferLimitBytes: 1, layer: null },
    nobody,
    NO_NAMES,
  );
  await nobody.over.promise;
  t.same(nobody.log, ['close EINVAL']);
});
