// TLS files that are replaced while the proxy runs: in place, by a rename, by a turned symbolic link; good ones and bad
// ones; towards clients and hosts. And what `/certs` and the gauges say.

import { once } from 'node:events';
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import t from 'tap';
import { type Authority, type Issued, makeCa } from '../fixtures/pki.ts';
import { ADMIN, httpListener, type RunningProxy, startProxy, staticCluster } from '../fixtures/proxy.ts';
import { downstreamTls, upstreamTls } from '../fixtures/tls.ts';

const DAY_MS = 86_400_000;
/** A file that nobody noticed would never be: milliseconds between two looks, and looks. */
const LOOK_MS = 50;
const LOOKS_MAX = 400;

t.setTimeout(120_000);

const ca = makeCa();
const serial = (n: number): string => `0${n}`;
const server = (n: number, authority: Authority = ca, notAfter?: Date): Issued =>
  authority.issue({
    ...(notAfter === undefined ? {} : { notAfter }),
    serial: serial(n),
    dns: ['a.example'],
    uri: ['spiffe://td/sa/server'],
    ip: ['127.0.0.1'],
  });

function writePair(dir: string, { chain, key }: Issued): void {
  writeFileSync(`${dir}/tls.crt`, chain);
  writeFileSync(`${dir}/tls.key`, key);
}

const pairOf = (dir: string): object => ({
  certificate_chain: { filename: `${dir}/tls.crt` },
  private_key: { filename: `${dir}/tls.key` },
});

/** A listener that answers by itself, over TLS. */
function secured(name: string, common: object, context: object = {}): object {
  const listener = httpListener(name, 'c') as { filter_chains: object[] };
  const [chain] = listener.filter_chains;
  return { ...listener, filter_chains: [{ ...chain, transport_socket: downstreamTls(common, context) }] };
}

const bootstrap = (listeners: readonly object[], clusters: readonly object[] = [staticCluster('c', 1)]): object => ({
  admin: ADMIN,
  static_resources: { listeners, clusters },
});

async function open(port: number, options: object = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  await once(socket, 'secureConnect');
  return socket;
}

/** Serial number of the certificate that a new connection is shown. */
async function shown(port: number): Promise<string> {
  const socket = await open(port);
  const number = socket.getPeerX509Certificate()?.serialNumber.toLowerCase() ?? '';
  socket.destroy();
  return number;
}

/** Looks until a condition holds. */
async function until(holds: () => Promise<boolean>): Promise<boolean> {
  for (let i = 0; i < LOOKS_MAX; i++) {
    if (await holds()) return true;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return false;
}

const REJECTED = 'outrigger.tls.update_rejected';
const UPDATED = 'outrigger.tls.context_updated';

t.test('a certificate of a listener', async (t) => {
  const dir = t.testdir({});
  writePair(dir, server(1));
  const flags = ['--concurrency', '2', '-l', 'info'];
  const proxy = await startProxy(bootstrap([secured('web', { tls_certificates: [pairOf(dir)] })]), flags);
  t.teardown(() => proxy.stop());
  const port = await proxy.portOf('web');
  t.equal(await shown(port), serial(1));
  const ends = async (): Promise<number> =>
    Number(/expiration_unix_time_seconds: (\d+)/.exec(await proxy.admin('/stats?filter=unnamed_cert'))?.[1]);
  const firstEnds = await ends();
  const old = await open(port);

  writePair(dir, server(2, ca, new Date((firstEnds + 1_000) * 1_000)));
  t.ok(await until(async () => (await shown(port)) === serial(2)), 'written in place');
  t.ok(await until(async () => (await ends()) === firstEnds + 1_000), 'its end is stated');
  t.equal(await proxy.stat(UPDATED), 1);

  // A key without its certificate: the old pair stays, and one line says why.
  writeFileSync(`${dir}/tls.key`, server(3).key);
  await proxy.waitForLog('the old ones stay');
  t.match(
    proxy.log(),
    /TLS files were replaced by ones that cannot be used; the old ones stay: static_resources\.listeners\[0\]\S*\.tls_certificates\[0\]\.private_key: Failed to load private key from \S*tls\.key, Cause: .*KEY_VALUES_MISMATCH/,
  );
  t.ok((await proxy.stat(REJECTED)) >= 1);
  t.equal(await shown(port), serial(2));

  const next = server(4);
  writeFileSync(`${dir}/new.crt`, next.chain);
  writeFileSync(`${dir}/new.key`, next.key);
  renameSync(`${dir}/new.key`, `${dir}/tls.key`);
  renameSync(`${dir}/new.crt`, `${dir}/tls.crt`);
  t.ok(await until(async () => (await shown(port)) === serial(4)), 'by renames');

  old.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  const [answer] = await once(old, 'data');
  t.match(String(answer), /^HTTP\/1\.1 503 /, 'a connection of the first certificate lives on');
  old.destroy();
});

t.test('a chain behind a filter that may refuse connections', async (t) => {
  const dir = t.testdir({});
  writePair(dir, server(1));
  const listener = secured('web', { tls_certificates: [pairOf(dir)] }) as { filter_chains: { filters: object[] }[] };
  listener.filter_chains[0]?.filters.unshift({
    name: 'limit',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit',
      stat_prefix: 'limit',
      max_connections: 100,
    },
  });
  const proxy = await startProxy(bootstrap([listener]));
  t.teardown(() => proxy.stop());
  const port = await proxy.portOf('web');
  t.equal(await shown(port), serial(1));
  writePair(dir, server(2));
  t.ok(await until(async () => (await shown(port)) === serial(2)));
});

t.test('a directory as Kubernetes mounts secrets', async (t) => {
  const dir = t.testdir({});
  const version = (name: string, issued: Issued): void => {
    mkdirSync(`${dir}/${name}`);
    writePair(`${dir}/${name}`, issued);
    symlinkSync(name, `${dir}/..data_tmp`);
    renameSync(`${dir}/..data_tmp`, `${dir}/..data`);
  };
  version('..1', server(1));
  for (const name of ['tls.crt', 'tls.key']) symlinkSync(`..data/${name}`, `${dir}/${name}`);
  const proxy = await startProxy(bootstrap([secured('web', { tls_certificates: [pairOf(dir)] })]));
  t.teardown(() => proxy.stop());
  const port = await proxy.portOf('web');
  t.equal(await shown(port), serial(1));
  for (const n of [2, 3]) {
    version(`..${n}`, server(n));
    t.ok(await until(async () => (await shown(port)) === serial(n)), `version ${n}`);
  }
  t.equal(await proxy.stat(REJECTED), 0, 'both files at once');
});

t.test('roots of a listener, from a secret in a file', async (t) => {
  const dir = t.testdir({});
  const other = makeCa();
  const type = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';
  const secret = (root: string): string => {
    const validation_context = { trusted_ca: { inline_string: root } };
    return JSON.stringify({ resources: [{ '@type': type, name: 'roots', validation_context }] });
  };
  writePair(dir, server(1));
  writeFileSync(`${dir}/roots.json`, secret(ca.root));
  const sds_config = { path_config_source: { path: `${dir}/roots.json` }, resource_api_version: 'V3' };
  const common = {
    tls_certificates: [pairOf(dir)],
    validation_context_sds_secret_config: { name: 'roots', sds_config },
    tls_params: { tls_maximum_protocol_version: 'TLSv1_2' },
  };
  const proxy = await startProxy(bootstrap([secured('web', common, { require_client_certificate: true })]));
  t.teardown(() => proxy.stop());
  const port = await proxy.portOf('web');
  const accepts = async ({ chain, key }: Issued): Promise<boolean> => {
    try {
      (await open(port, { cert: chain, key })).destroy();
      return true;
    } catch {
      return false;
    }
  };
  const [ours, theirs] = [ca.issue({ dns: ['c'] }), other.issue({ dns: ['c'] })];
  t.same([await accepts(ours), await accepts(theirs)], [true, false]);
  writeFileSync(`${dir}/roots.json`, secret(other.root));
  t.ok(await until(() => accepts(theirs)), 'the new root counts');
  t.notOk(await accepts(ours), 'the old one does not');
});

t.test('a certificate and the roots of a cluster', async (t) => {
  const dir = t.testdir({});
  const next = makeCa();
  writePair(dir, ca.issue({ serial: serial(1), uri: ['spiffe://td/sa/client'] }));
  writeFileSync(`${dir}/ca.crt`, ca.root);
  const seen: string[] = [];
  const host = (authority: Authority) => {
    const { chain, key } = server(9, authority);
    const options = { cert: chain, key, requestCert: true, rejectUnauthorized: false };
    const made = createServer(options, (socket) => {
      seen.push(socket.getPeerX509Certificate()?.serialNumber.toLowerCase() ?? '');
      socket.on('error', () => {});
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n'));
    });
    made.listen(0, '127.0.0.1');
    return made;
  };
  const [old, young] = [host(ca), host(next)];
  t.teardown(() => {
    old.close();
    young.close();
  });
  await Promise.all([once(old, 'listening'), once(young, 'listening')]);
  const common = {
    tls_certificates: [pairOf(dir)],
    validation_context: { trusted_ca: { filename: `${dir}/ca.crt` } },
  };
  const clusters = [old, young].map((one, i) => ({
    ...staticCluster(`c${i}`, (one.address() as AddressInfo).port),
    transport_socket: upstreamTls(common),
  }));
  const listeners = [httpListener('old', 'c0'), httpListener('young', 'c1')];
  const proxy = await startProxy(bootstrap(listeners, clusters));
  t.teardown(() => proxy.stop());
  const ask = async (name: string): Promise<number> =>
    (await fetch(`http://127.0.0.1:${await proxy.portOf(name)}/`)).status;
  t.same([await ask('old'), await ask('young')], [200, 503]);
  t.equal(seen[0], serial(1));
  writeFileSync(`${dir}/ca.crt`, next.root);
  t.ok(await until(async () => (await ask('young')) === 200), 'the new root counts');
  t.equal(await ask('old'), 503, 'the old one does not');
  writeFileSync(`${dir}/tls.key`, 'nonsense');
  await proxy.waitForLog('NO_START_LINE');
  writePair(dir, ca.issue({ serial: serial(2), uri: ['spiffe://td/sa/client'] }));
  t.ok(
    await until(async () => (await ask('young')) === 200 && seen.at(-1) === serial(2)),
    'the new certificate is shown',
  );
  writeFileSync(`${dir}/ca.crt`, ca.root);
  t.ok(
    await until(async () => (await ask('old')) === 200),
    'what was not read because of the bad key is still watched',
  );
});

t.test('what the admin says', async (t) => {
  const dir = t.testdir({});
  const ends = (days: number): Date => new Date(Math.floor(Date.now() / 1_000) * 1_000 + days * DAY_MS + 60_000);
  const issue = (number: string, days: number): Issued =>
    ca.issue({ serial: number, dns: ['a.example'], uri: ['spiffe://td/a'], ip: ['::1'], notAfter: ends(days) });
  writePair(dir, issue('0a', 3));
  const root = { trusted_ca: { inline_string: makeCa({ serial: '0c', notAfter: ends(2) }).root } };
  const common = { tls_certificates: [pairOf(dir)], validation_context: root };
  const proxy: RunningProxy = await startProxy(
    bootstrap([secured('web', common, { require_client_certificate: true })]),
  );
  t.teardown(() => proxy.stop());
  const certs = async () => (JSON.parse(await proxy.admin('/certs')) as { certificates: object[] }).certificates;
  t.match(await certs(), [
    {
      ca_cert: [{ path: '<inline>', serial_number: '0c', subject_alt_names: [], days_until_expiration: '2' }],
      cert_chain: [
        {
          path: `${dir}/tls.crt`,
          serial_number: '0a',
          subject_alt_names: [{ dns: 'a.example' }, { uri: 'spiffe://td/a' }, { ip_address: '::1' }],
          days_until_expiration: '3',
          valid_from: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/,
          expiration_time: ends(3).toISOString().replace('.000Z', 'Z').slice(0, 13),
        },
      ],
    },
  ]);
  t.equal(await proxy.stat('server.days_until_first_cert_expiring'), 2);
  writePair(dir, issue('0b', 1));
  t.ok(await until(async () => (await proxy.admin('/certs')).includes('"0b"')), 'the new one is shown');
  t.equal(await proxy.stat('server.days_until_first_cert_expiring'), 1);
});

t.test('private keys are in no dump, and files of merged configurations are read again', async (t) => {
  const dir = t.testdir({});
  writePair(dir, server(1));
  const secrets = [
    { name: 'roots', validation_context: { trusted_ca: { inline_string: ca.root } } },
    { name: 'inline', tls_certificate: { ...pairOf(dir), private_key: { inline_string: server(5).key } } },
  ];
  writeFileSync(`${dir}/base.json`, JSON.stringify({ static_resources: { secrets } }));
  const listeners = [secured('web', { tls_certificates: [pairOf(dir)] })];
  const proxy = await startProxy(bootstrap(listeners), ['-c', `${dir}/base.json`]);
  t.teardown(() => proxy.stop());
  const port = await proxy.portOf('web');
  const text = await proxy.admin('/config_dump');
  t.notMatch(text, 'PRIVATE KEY');
  t.notMatch(text, 'tls.key');
  const { configs } = JSON.parse(text) as { configs: readonly { '@type': string; static_secrets?: unknown }[] };
  const dumped = configs.find((section) => section['@type'].endsWith('SecretsConfigDump'));
  const type = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';
  const [roots, inline] = secrets;
  t.same(dumped?.static_secrets, [
    {
      name: 'inline',
      secret: {
        '@type': type,
        ...inline,
        tls_certificate: {
          certificate_chain: { filename: `${dir}/tls.crt` },
          private_key: { inline_string: '[redacted]' },
        },
      },
    },
    { name: 'roots', secret: { '@type': type, ...roots } },
  ]);
  writePair(dir, server(2));
  t.ok(await until(async () => (await shown(port)) === serial(2)), 'the path of the key was not redacted for us');
});
