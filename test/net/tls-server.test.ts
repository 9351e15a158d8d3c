// What a chain's TLS does beside judging clients: certificates by name, protocols, hellos in pieces, clients that go.

import { constants, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net';
import { connect } from 'node:tls';
import t from 'tap';
import type { DataModel } from '../../proxy/config/model/tls.ts';
import { readSlot } from '../../proxy/net/read-buffer.ts';
import { DownstreamTls } from '../../proxy/net/tls-server.ts';
import { Transport } from '../../proxy/net/transport.ts';
import { makeCa } from '../fixtures/pki.ts';
import {
  certificateModel,
  data,
  downstreamModel,
  NO_COUNTS,
  serveTls,
  tlsEnv,
  tryClient,
} from '../fixtures/tls-ends.ts';

const ca = makeCa();
const plain = ca.issue({ dns: ['default.example'] });
const exact = ca.issue({ dns: ['a.example'] });
const wild = ca.issue({ dns: ['*.b.example'] });
const rsa = ca.issue({ dns: ['a.example'], keyType: 'rsa' });
const certificates = [
  certificateModel(plain, ['default.example']),
  certificateModel(exact, ['a.example']),
  certificateModel(wild, ['*.b.example']),
  certificateModel(rsa, ['a.example']),
];

/** Serial number of the certificate that a client is shown; empty when there was no handshake. */
function shown(port: number, options: object): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options }, () => {
      resolve(socket.getPeerX509Certificate()?.serialNumber.toLowerCase() ?? '');
      socket.destroy();
    });
    socket.on('error', () => resolve(''));
  });
}

t.test('certificates by server name and key type', async (t) => {
  const end = await serveTls(new DownstreamTls(downstreamModel({ certificates }), tlsEnv(), NO_COUNTS));
  t.teardown(end.close);
  const cases: readonly [string, object, string][] = [
    ['no name', {}, plain.serial],
    ['exact', { servername: 'a.example' }, exact.serial],
    ['any case', { servername: 'A.Example' }, exact.serial],
    ['wildcard', { servername: 'x.b.example' }, wild.serial],
    ['a wildcard is one label', { servername: 'x.y.b.example' }, plain.serial],
    ['not below the wildcard', { servername: 'b.example' }, plain.serial],
    ['unknown', { servername: 'c.example' }, plain.serial],
    ['a client that knows only RSA', { servername: 'a.example', sigalgs: 'RSA-PSS+SHA256' }, rsa.serial],
  ];
  for (const [what, options, serial] of cases) t.equal(await shown(end.port, options), serial, what);
});

t.test('protocols', async (t) => {
  const model = downstreamModel({ certificates: [certificateModel(plain)], alpn: ['h2', 'http/1.1'] });
  const end = await serveTls(new DownstreamTls(model, tlsEnv(), NO_COUNTS));
  t.teardown(end.close);
  const agreed = async (...ALPNProtocols: string[]) => (await tryClient(end.port, { ALPNProtocols })).alpn;
  t.equal(await agreed('http/1.1', 'h2'), 'h2', 'our order');
  t.equal(await agreed('x', 'http/1.1'), 'http/1.1');
  t.equal(await agreed('istio'), false, 'a handshake without a common protocol goes on');
  t.equal(await agreed(), false);
});

t.test('a hello that comes byte by byte', async (t) => {
  const end = await serveTls(
    new DownstreamTls(downstreamModel({ certificates: [certificateModel(plain)], alpn: ['h2'] }), tlsEnv(), NO_COUNTS),
  );
  t.teardown(end.close);
  const relay = await dripping(end.port, 3);
  t.teardown(() => relay.close());
  const result = await tryClient(relay.port, { ALPNProtocols: ['h2'] });
  t.match(result, { admitted: true, alpn: 'h2' });
});

t.test('what is decrypted while reading is held waits for its release, and the end behind it', async (t) => {
  const tls = new DownstreamTls(downstreamModel({ certificates: [certificateModel(plain)] }), tlsEnv(), NO_COUNTS);
  const sent = randomBytes(200_000);
  const heard: Buffer[] = [];
  let whileHeld = 0;
  let shares = false;
  const done = new Promise<void>((resolve) => {
    const server = createServer({ allowHalfOpen: true }, (raw) => {
      tls.accept(raw, null, { onSecure: (socket) => serve(socket), onRefused: () => resolve() });
    });
    const serve = (socket: Socket): void => {
      let held = false;
      const transport = new Transport(socket, {
        onData: (chunk) => {
          if (held) whileHeld++;
          heard.push(Buffer.from(chunk));
          held = true;
          transport.hold();
          setImmediate(() => {
            held = false;
            transport.release();
          });
        },
        onEnd: () => {
          if (held) whileHeld++;
          transport.end();
          resolve();
        },
        onDrain: () => {},
        onClose: () => resolve(),
      });
      shares = readSlot(transport.socket) !== null;
    };
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      const client = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => client.end(sent));
      client.on('close', () => server.close()).resume();
    });
  });
  await done;
  t.equal(whileHeld, 0, 'nothing is told while reading is held');
  t.ok(Buffer.concat(heard).equals(sent), 'every byte, in order, before the end');
  t.ok(shares, 'this Node lets sockets of a server decrypt into the shared buffer');
});

/** A relay that passes the first bytes of a client on in pieces of so many bytes, each in a turn of its own. */
async function dripping(port: number, bytes: number) {
  const server = createServer((client) => {
    const upstream = connectTcp(port, '127.0.0.1').setNoDelay(true);
    let queue = Promise.resolve();
    client.on('data', (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; at += bytes) {
        const piece = chunk.subarray(at, at + bytes);
        queue = queue.then(() => new Promise((resolve) => upstream.write(piece, () => setImmediate(resolve))));
      }
    });
    upstream.on('data', (chunk) => client.write(chunk));
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as [Socket, Socket][]) {
      one.on('error', () => {});
      one.on('close', () => other.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as { port: number }).port, close: () => server.close() };
}

t.test('what is no hello is refused, who goes away leaves nothing', async (t) => {
  const end = await serveTls(
    new DownstreamTls(downstreamModel({ certificates: [certificateModel(plain)] }), tlsEnv(), NO_COUNTS),
  );
  t.teardown(end.close);
  const send = async (bytes: string | Buffer, fin = false): Promise<string> => {
    const socket = connectTcp(end.port, '127.0.0.1');
    socket.on('error', () => {});
    let heard = '';
    socket.on('data', (chunk) => {
      heard += chunk.toString('hex');
    });
    socket.write(bytes);
    if (fin) socket.end();
    await once(socket, 'close');
    return heard;
  };
  await send('GET / HTTP/1.1\r\n\r\n');
  t.match(end.refused.at(-1)?.text ?? '', /HTTP_REQUEST/);
  const seed = Date.now();
  t.comment(`noise of ${seed}`);
  await send(Buffer.concat([Buffer.from([0x16, 0x03, 0x01, 0x40, 0x00, 0x01, 0x00, 0x3f, 0xfc]), randomBytes(16_380)]));
  t.equal(await send('\x16\x03', true), '', 'half a head');
  t.equal(end.refused.length, 3);
  t.equal(end.accepted.length, 0);
});

t.test('a handshake that is given up half-way', async (t) => {
  const tls = new DownstreamTls(downstreamModel({ certificates: [certificateModel(plain)] }), tlsEnv(), NO_COUNTS);
  const hello = await recordHello();
  for (const bytes of [hello.subarray(0, 20), hello]) {
    const { promise, resolve } = Promise.withResolvers<string>();
    const server = createServer({ allowHalfOpen: true }, (raw) => {
      const handshake = tls.accept(raw, null, {
        onSecure: () => resolve('secure'),
        onRefused: ({ text }) => resolve(`refused ${text}`),
      });
      // Long enough for OpenSSL to have answered the hello.
      setTimeout(() => handshake.cancel(), 50);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = connectTcp((server.address() as AddressInfo).port, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    socket.write(bytes);
    await once(socket, 'close');
    t.equal(await promise, 'refused ');
    server.close();
  }
});

t.test('a client that goes away during its handshake', async (t) => {
  const tls = new DownstreamTls(downstreamModel({ certificates: [certificateModel(plain)] }), tlsEnv(), NO_COUNTS);
  const hello = await recordHello();
  const gone: Readonly<Record<string, (socket: Socket) => void>> = {
    'ends its side': (socket) => socket.end(),
    closes: (socket) => socket.destroy(),
    resets: (socket) => socket.resetAndDestroy(),
  };
  for (const [how, go] of Object.entries(gone)) {
    const { promise, resolve } = Promise.withResolvers<string>();
    const closed = Promise.withResolvers<void>();
    const server = createServer({ allowHalfOpen: true }, (raw) => {
      raw.on('close', closed.resolve);
      tls.accept(raw, null, { onSecure: () => resolve('secure'), onRefused: () => resolve('refused') });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = connectTcp((server.address() as AddressInfo).port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(hello);
    // OpenSSL has answered the hello.
    await once(socket, 'data');
    go(socket);
    t.equal(await promise, 'refused', how);
    await closed.promise;
    server.close();
  }
});

t.test('a client that ends its side after its handshake is still answered', async (t) => {
  const tls = new DownstreamTls(downstreamModel({ certificates: [certificateModel(plain)] }), tlsEnv(), NO_COUNTS);
  const server = createServer({ allowHalfOpen: true }, (raw) => {
    tls.accept(raw, null, {
      onSecure: (socket) => {
        socket.on('error', () => {});
        socket.resume();
        socket.on('end', () => setImmediate(() => socket.end('answer')));
      },
      onRefused: () => {},
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const { port } = server.address() as AddressInfo;
    const versions = { minVersion: version, maxVersion: version };
    const below = connectTcp({ port, host: '127.0.0.1', allowHalfOpen: true });
    const client = connect({ socket: below, rejectUnauthorized: false, ...versions });
    // With its last message of the handshake. TLS sockets take from the one below whether they may be half-open.
    client.end('request');
    let heard = '';
    client.on('data', (chunk: Buffer) => {
      heard += chunk.toString();
    });
    await once(client, 'end');
    t.equal(heard, 'answer', version);
  }
});

/** The first bytes of a TLS client. */
async function recordHello(): Promise<Buffer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
  client.on('error', () => {});
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [hello] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return hello;
}

t.test('tickets', async (t) => {
  const keys = randomBytes(80);
  const model = downstreamModel({ certificates: [certificateModel(plain)], sessionTicketKeys: [data(keys)] });
  const end = await serveTls(new DownstreamTls(model, tlsEnv(), NO_COUNTS));
  t.teardown(end.close);
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    end.use(new DownstreamTls(model, tlsEnv(), NO_COUNTS));
    const bounds = { minVersion: version, maxVersion: version };
    const { session } = await tryClient(end.port, bounds);
    if (session === null) throw new Error('no session');
    end.use(new DownstreamTls(model, tlsEnv(), NO_COUNTS));
    t.ok((await tryClient(end.port, { ...bounds, session })).resumed, `${version}: configured keys outlive a process`);
    end.use(new DownstreamTls({ ...model, sessionTickets: false }, tlsEnv(), NO_COUNTS));
    t.notOk((await tryClient(end.port, { ...bounds, session })).resumed, `${version}: none are taken when off`);
  }
});

t.test('several keys of tickets: the first encrypts, all decrypt', async (t) => {
  const [older, newer] = [data(randomBytes(80)), data(randomBytes(80))];
  const keyed = (...sessionTicketKeys: DataModel[]): DownstreamTls =>
    new DownstreamTls(
      downstreamModel({ certificates: [certificateModel(plain)], sessionTicketKeys }),
      tlsEnv(),
      NO_COUNTS,
    );
  const end = await serveTls(keyed(older));
  t.teardown(end.close);
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const bounds = { minVersion: version, maxVersion: version };
    const resumes = async (session: Buffer | null): Promise<boolean> => {
      if (session === null) throw new Error('no session');
      return (await tryClient(end.port, { ...bounds, session })).resumed;
    };
    end.use(keyed(older));
    const { session: old } = await tryClient(end.port, bounds);
    end.use(keyed(newer, older));
    t.ok(await resumes(old), `${version}: a ticket of the second key`);
    const { session: fresh } = await tryClient(end.port, bounds);
    t.ok(await resumes(fresh), `${version}: a ticket of the first`);
    end.use(keyed(newer));
    t.notOk(await resumes(old), `${version}: the second key is gone`);
    t.ok(await resumes(fresh), `${version}: new tickets came with the first`);
    end.use(keyed(older));
    t.notOk(await resumes(fresh), `${version}: and not with the second`);
  }
});

t.test('sessions of clients without tickets', async (t) => {
  const model = downstreamModel({ certificates: [certificateModel(plain)] });
  const end = await serveTls(new DownstreamTls(model, tlsEnv(), NO_COUNTS));
  t.teardown(end.close);
  const ticketless = { maxVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_TICKET } as const;
  const again = async (options: object): Promise<boolean> => {
    const { session } = await tryClient(end.port, options);
    if (session === null) throw new Error('no session');
    return (await tryClient(end.port, { ...options, session })).resumed;
  };
  t.ok(await again(ticketless), 'are kept');
  end.use(new DownstreamTls({ ...model, statefulResumption: false }, tlsEnv(), NO_COUNTS));
  t.notOk(await again(ticketless), 'unless that is off');
  t.ok(await again({ maxVersion: 'TLSv1.2' }), 'which tickets do not care about');
  end.use(new DownstreamTls({ ...model, sessionTickets: false }, tlsEnv(), NO_COUNTS));
  t.ok(await again({ maxVersion: 'TLSv1.2' }), 'without tickets of the server they stand in');
  end.use(new DownstreamTls({ ...model, sessionTickets: false, statefulResumption: false }, tlsEnv(), NO_COUNTS));
  t.notOk(await again({ maxVersion: 'TLSv1.2' }), 'with neither there is no coming back');
});

t.test('a staple, and a key log', async (t) => {
  const lines: string[] = [];
  const staple = randomBytes(40);
  const model = downstreamModel({
    certificates: [{ ...certificateModel(plain), ocspStaple: data(staple), stapleEndsMs: Number.POSITIVE_INFINITY }],
    keyLog: { path: 'keys.log' },
  });
  const asked: string[] = [];
  const counts = { ...NO_COUNTS, stapleAsked: (action: string) => asked.push(action) };
  const env = tlsEnv({ keyLog: (path, line) => lines.push(`${path} ${line}`) });
  const end = await serveTls(new DownstreamTls(model, env, counts));
  t.teardown(end.close);
  const socket = connect({ port: end.port, host: '127.0.0.1', rejectUnauthorized: false, requestOCSP: true });
  const [response] = (await once(socket, 'OCSPResponse')) as [Buffer];
  t.same(response, staple);
  socket.destroy();
  t.same(asked, ['staple']);
  t.match(lines.join(), /keys\.log (CLIENT|SERVER)_HANDSHAKE_TRAFFIC_SECRET /);
});
