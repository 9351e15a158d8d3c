// A PROXY header goes before everything else on a connection, TLS included.

import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import t from 'tap';
import { type DialHandler, type DialTarget, dial, NO_NAMES } from '../../proxy/net/dial.ts';
import { ProxyProtocolLayer, type ProxyTransportModel } from '../../proxy/net/proxy-client.ts';
import { UpstreamTls } from '../../proxy/net/tls-client.ts';
import { tlsText } from '../fixtures/tls.ts';
import { NO_COUNTS, tlsEnv, upstreamModel } from '../fixtures/tls-ends.ts';

const V1: ProxyTransportModel = {
  kind: 'proxy_protocol',
  version: 1,
  inner: { kind: 'raw' },
  passAllTlvs: false,
  passTlvs: [],
  addedTlvs: [],
};
const ADDRESSES = { sourceIp: '10.1.2.3', sourcePort: 1, destinationIp: '10.4.5.6', destinationPort: 2 };
const HEADER = 'PROXY TCP4 10.1.2.3 10.4.5.6 1 2\r\n';

t.test('TLS behind the header', async (t) => {
  const secure = createTlsServer({ cert: tlsText('server.pem'), key: tlsText('server.key') }, (socket) => {
    socket.on('data', (chunk) => socket.end(`heard ${chunk}`));
  });
  let header = '';
  const server = createServer((socket: Socket) => {
    socket.once('readable', () => {
      header = String(socket.read(HEADER.length));
      secure.emit('connection', socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const tls = new UpstreamTls(upstreamModel({ sni: 'a.example' }), {
    tls: tlsEnv(),
    counts: NO_COUNTS,
    onRefused: (_, failure) => t.fail(failure.text),
  });
  const target: DialTarget = {
    address: {
      kind: 'socket',
      protocol: 'tcp',
      address: '127.0.0.1',
      port: (server.address() as AddressInfo).port,
      ipv4Compat: false,
    },
    hostname: '',
    bind: null,
    keepalive: null,
    bufferLimitBytes: 65_536,
    layer: new ProxyProtocolLayer(V1, tls, { fixed: [], made: null }),
  };
  const { promise, resolve } = Promise.withResolvers<string>();
  let heard = '';
  const handler: DialHandler = {
    onConnect: () => void transport.write(Buffer.from('hello')),
    onData: (chunk) => {
      heard += chunk.toString();
    },
    onEnd: () => transport.closeSoon(),
    onDrain: () => {},
    onClose: () => resolve(heard),
  };
  const transport = dial(target, handler, { ...NO_NAMES, client: { addresses: ADDRESSES, tlvs: [] } });
  t.equal(await promise, 'heard hello');
  t.equal(header, HEADER);
  server.close();
});
