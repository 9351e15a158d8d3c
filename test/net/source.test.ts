// Upstream connections from a given address: what the peer sees, and that ports are not taken before they must be.

import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import t from 'tap';
import type { BindModel } from '../../proxy/config/model/cluster.ts';
import { type DialHandler, dial, NO_NAMES } from '../../proxy/net/dial.ts';
import { descriptorOf, IP_BIND_ADDRESS_NO_PORT, IPPROTO_IP, systemCalls } from '../../proxy/net/sockopt.ts';
import { sourceFor } from '../../proxy/net/source.ts';
import type { Transport } from '../../proxy/net/transport.ts';

const bindTo = (...addresses: string[]): BindModel => ({
  sources: addresses.map((address) => ({ address, port: 0, socketOptions: [] })),
  freebind: false,
  socketOptions: [],
});

/** One connection; settles when it is there, or with the error that ended it. */
async function connect(bind: BindModel, address: string, port: number) {
  const { promise, resolve } = Promise.withResolvers<NodeJS.ErrnoException | null>();
  const received: string[] = [];
  const handler: DialHandler = {
    onConnect: () => resolve(null),
    onData: (chunk) => received.push(String(chunk)),
    onEnd: () => transport.end(),
    onDrain: () => {},
    onClose: (error) => resolve(error),
  };
  const target = { kind: 'socket', protocol: 'tcp', address, port, ipv4Compat: false } as const;
  const binding = sourceFor(bind, address);
  const transport: Transport = dial(
    { address: target, hostname: '', bind: binding, keepalive: null, bufferLimitBytes: 1000, layer: null },
    handler,
    NO_NAMES,
  );
  return { error: await promise, transport, received };
}

t.test('the source of the upstream’s family', async (t) => {
  const seen: (string | undefined)[] = [];
  const servers = await Promise.all(
    ['127.0.0.1', '::1'].map(async (host) => {
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        seen.push(socket.remoteAddress);
        socket.end('hello');
      }).listen(0, host);
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port) as [number, number];
  t.teardown(() => servers.map((server) => server.close()));
  const bind = bindTo('127.0.0.6', '::1');
  for (const [i, address] of ['127.0.0.1', '::1'].entries()) {
    const { error, transport, received } = await connect(bind, address, ports[i] as number);
    t.equal(error, null);
    const calls = systemCalls();
    if (calls === null) t.comment('skipped: this Node.js has no node:ffi');
    else {
      const fd = descriptorOf(transport.socket);
      t.equal(calls.getInt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT), 1, 'no port is taken when binding');
    }
    const source = i === 0 ? '127.0.0.6' : '::1';
    t.equal(transport.socket.localAddress, source);
    t.ok((transport.socket.localPort as number) > 0, 'with its real port');
    await once(transport.socket, 'close');
    t.equal(received.join(''), 'hello', 'reads as any other');
    t.equal(seen[i], source);
  }
});

t.test('failures come later, with the call that failed', async (t) => {
  const foreign = await connect(bindTo('198.51.100.1'), '127.0.0.1', 1);
  t.match(foreign.error, { code: 'EADDRNOTAVAIL', syscall: 'bind' });
  const refused = await connect(bindTo('127.0.0.6'), '127.0.0.1', 1);
  t.match(refused.error, { code: 'ECONNREFUSED', syscall: 'connect' });
  const option = {
    description: '',
    level: 1,
    name: 9_999,
    value: { kind: 'int', value: 1 },
    state: 'prebind',
  } as const;
  const unknown = await connect({ sources: [], freebind: false, socketOptions: [option] }, '127.0.0.1', 1);
  t.match(unknown.error, { code: 'ENOPROTOOPT', syscall: 'setsockopt' });
});
