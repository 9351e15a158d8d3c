// `npm run test:e2e`, third part: OpenSSL's `s_client` and `s_server` as TLS peers of this proxy, and of a stock Envoy,
// which must do the same. Exit codes: 0 all as expected, or skipped; 1 not.

import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPeer, HOW_TO_GET } from '../../scripts/peers.ts';
import { ocspStaple } from '../fixtures/ocsp.ts';
import { opensslVersion, Program, runClient } from '../fixtures/openssl.ts';
import { downstreamTls, upstreamTls } from '../fixtures/tls.ts';
import { bootstrap, cluster, http, routes, tcp, to } from '../parity/config.ts';
import { type Binary, freePorts, startProxy } from '../parity/proxy-process.ts';
import type { Ports } from '../parity/types.ts';
import {
  CERTIFICATES,
  type CertificateName,
  CLIENT_CASES,
  type ClientCase,
  ca,
  ECHO,
  SERVED,
  SERVER_CASES,
  type ServerCase,
  TYPED_CASES,
  type TypedCase,
} from './openssl-cases.ts';

/** An answer of the proxy that takes longer is none, milliseconds. */
const ANSWER_MS_MAX = 5_000;
/** So much of what was printed is shown of a failure, characters. */
const PRINTED_MAX = 2_000;
const dir = mkdtempSync(join(tmpdir(), 'outrigger-openssl-'));
const at = (name: string): string => join(dir, name);
const log = at('access.log');

// === Files and configuration ===

for (const [name, { chain, key }] of Object.entries(CERTIFICATES)) {
  writeFileSync(at(`${name}.pem`), chain);
  writeFileSync(at(`${name}.key`), key);
}
writeFileSync(at('ca.pem'), ca.root);
writeFileSync(at('staple.der'), ocspStaple(ca, CERTIFICATES.ec.serial));

function argsOf(text: string): string[] {
  return text
    .split(' ')
    .filter((word) => word !== '')
    .map((word) =>
      word
        .replace(/^CERT:(\w+)$/, (_, name) => at(`${name}.pem`))
        .replace(/^KEY:(\w+)$/, (_, name) => at(`${name}.key`))
        .replace(/^TMP:/, `${dir}/`)
        .replace(/^CA$/, at('ca.pem')),
    );
}

function pair(name: CertificateName, more: object = {}): object {
  return {
    certificate_chain: { filename: at(`${name}.pem`) },
    private_key: { filename: at(`${name}.key`) },
    ...more,
  };
}

const CONTEXTS: Readonly<Record<(typeof SERVED)[number], readonly [common: object, context?: object]>> = {
  names: [{ tls_certificates: [pair('ec'), pair('rsa'), pair('other')], alpn_protocols: ['h2', 'http/1.1'] }],
  mutual: [
    { tls_certificates: [pair('ec')], validation_context: { trusted_ca: { filename: at('ca.pem') } } },
    { require_client_certificate: true },
  ],
  hiding: [
    {
      tls_certificates: [pair('ec')],
      validation_context: { trusted_ca: { filename: at('ca.pem') }, suppress_client_ca_list: true },
    },
    { require_client_certificate: true },
  ],
  fresh: [
    { tls_certificates: [pair('ec')] },
    { disable_stateless_session_resumption: true, disable_stateful_session_resumption: true },
  ],
  staple: [{ tls_certificates: [pair('ec', { ocsp_staple: { filename: at('staple.der') } })] }],
  tickets: [{ tls_certificates: [pair('ec')] }],
};

function secured(listener: object, socket: object): object {
  const { filter_chains, ...rest } = listener as { filter_chains: object[] };
  return { ...rest, filter_chains: filter_chains.map((chain) => ({ ...chain, transport_socket: socket })) };
}

function towards(
  ports: Ports,
  name: string,
  { common = {}, shows, highest }: Partial<ServerCase>,
  context = {},
): object {
  const socket = upstreamTls(
    {
      validation_context: { trusted_ca: { filename: at('ca.pem') } },
      ...(shows === undefined ? {} : { tls_certificates: [pair(shows)] }),
      ...(highest === null ? {} : { tls_params: { tls_maximum_protocol_version: 'TLSv1_3' } }),
      ...common,
    },
    { sni: 'a.test', ...context },
  );
  return cluster(name, [ports[`${name}-host`]], { transport_socket: socket });
}

const served = (i: number): string => `server-${i}`;
const typed = (i: number): string => `typed-${i}`;
const NAMES = [
  'admin',
  ...SERVED,
  ...SERVER_CASES.flatMap((_, i) => [served(i), `${served(i)}-host`]),
  ...TYPED_CASES.flatMap((_, i) => [typed(i), `${typed(i)}-host`]),
];

function configOf(ports: Ports, echoPort: number): object {
  return bootstrap(
    ports,
    [
      ...SERVED.map((name) => secured(tcp(ports, log, name, { cluster: 'echo' }), downstreamTls(...CONTEXTS[name]))),
      ...SERVER_CASES.map((_, i) => http(ports, log, served(i), routes([to('/', served(i))]))),
      ...TYPED_CASES.map((_, i) => tcp(ports, log, typed(i), { cluster: typed(i) })),
    ],
    [
      cluster('echo', [echoPort]),
      ...SERVER_CASES.map((each, i) => towards(ports, served(i), each)),
      ...TYPED_CASES.map(({ context }, i) => towards(ports, typed(i), {}, context)),
    ],
  );
}

/** Sends back what it is sent; `bye` it answers with its end. */
async function startEcho(): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      if (String(chunk) === 'bye\n') socket.end('gone\n');
      else socket.write(chunk);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

// === Running ===

let failures = 0;
let checks = 0;
function expect(holds: boolean, what: string, printed: string): void {
  checks++;
  if (holds) return;
  failures++;
  console.log(`FAILED ${what}; printed:\n${printed.slice(-PRINTED_MAX)}\n`);
}

async function playClient(who: string, ports: Ports, each: ClientCase): Promise<void> {
  const printed = await runClient(ports[each.to] as number, argsOf(each.args), each.steps ?? ECHO);
  for (const pattern of each.expect) expect(pattern.test(printed), `${who}, client, ${each.name}: ${pattern}`, printed);
  for (const pattern of each.never ?? [])
    expect(!pattern.test(printed), `${who}, client, ${each.name}: never ${pattern}`, printed);
}

async function startServer(port: number | undefined, args: string): Promise<Program> {
  const server = new Program(['s_server', '-accept', `127.0.0.1:${port}`, ...argsOf(args)]);
  await server.until(/ACCEPT/);
  return server;
}

function fetchPage(port: number | undefined): Promise<{ status: number; page: string }> {
  return new Promise((resolve) => {
    const call = get({ host: '127.0.0.1', port, path: '/', agent: false, timeout: ANSWER_MS_MAX }, (response) => {
      let page = '';
      response.setEncoding('latin1').on('data', (text) => {
        page += text;
      });
      response.on('close', () => resolve({ status: response.statusCode ?? 0, page }));
    });
    call.on('timeout', () => call.destroy(new Error('no answer')));
    call.on('error', (error) => resolve({ status: 0, page: error.message }));
  });
}

async function playServer(who: string, ports: Ports, each: ServerCase, i: number): Promise<void> {
  const server = await startServer(ports[`${served(i)}-host`], `${each.args} -www`);
  for (const [wanted, ...patterns] of each.answers) {
    const { status, page } = await fetchPage(ports[served(i)]);
    const told = `${server.printed}\n${page}`;
    expect(status === wanted, `${who}, server, ${each.name}: ${status} for ${wanted}`, told);
    for (const pattern of patterns) expect(pattern.test(page), `${who}, server, ${each.name}: ${pattern}`, told);
  }
  await server.stop();
}

/** Bytes go through in both directions before and after what the server types. */
async function playTyped(who: string, ports: Ports, each: TypedCase, i: number): Promise<void> {
  const server = await startServer(ports[`${typed(i)}-host`], `${each.args} -msg`);
  const socket = connect({ host: '127.0.0.1', port: ports[typed(i)] as number, timeout: ANSWER_MS_MAX });
  socket.on('error', () => {}).on('timeout', () => socket.destroy());
  let heard = '';
  const end = new Promise<void>((resolve) => {
    socket.on('data', (chunk) => {
      heard += String(chunk);
      resolve();
    });
    socket.on('close', () => resolve());
  });
  socket.write('first\n');
  await server.until(/first\n/);
  for (const type of each.types) {
    await server.play([{ after: /^/, type }]);
    // A command is what comes alone.
    await server.until(type === 'r\n' ? />>> .*HelloRequest[\s\S]*(>>> .*Finished|<<< .*Alert)/ : />>> .*KeyUpdate/);
  }
  await server.play([{ after: /^/, type: 'from the server\n' }]);
  await end;
  const came = heard.includes('from the server');
  socket.write('from the client\n');
  if (each.lives) await server.until(/from the client\n/);
  expect(came === each.lives, `${who}, typing server, ${each.name}: ${heard}`, server.printed);
  socket.destroy();
  await server.stop();
}

async function play(who: string, binary: Binary, echoPort: number): Promise<void> {
  const numbers = await freePorts(NAMES.length);
  const ports: Ports = Object.fromEntries(NAMES.map((name, i) => [name, numbers[i] as number]));
  writeFileSync(at('config.json'), JSON.stringify(configOf(ports, echoPort)));
  const proxy = await startProxy(binary, at('config.json'), ports['admin'] as number, at(`${who}.out`));
  const [before, checked] = [failures, checks];
  try {
    for (const each of CLIENT_CASES) await playClient(who, ports, each);
    for (const [i, each] of SERVER_CASES.entries()) await playServer(who, ports, each, i);
    for (const [i, each] of TYPED_CASES.entries()) await playTyped(who, ports, each, i);
  } finally {
    await proxy.stop();
  }
  const cases = CLIENT_CASES.length + SERVER_CASES.length + TYPED_CASES.length;
  console.log(`${who} and openssl: ${cases} conversations, ${checks - checked} checks, ${failures - before} failures`);
}

const version = opensslVersion();
const envoy = findPeer('envoy');
if (version === null) console.log('SKIPPED all conversations with openssl: there is no such program');
else {
  const echo = await startEcho();
  const { port } = echo.address() as AddressInfo;
  if (envoy === null)
    console.log(`SKIPPED conversations of openssl with a stock Envoy: there is none. To have one: ${HOW_TO_GET.envoy}`);
  else await play('Envoy', envoy, port);
  await play('Outrigger', null, port);
  echo.close();
}
rmSync(dir, { recursive: true, force: true });
process.exit(failures > 0 ? 1 : 0);
