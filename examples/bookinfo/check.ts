// `npm start -- --check`: traffic over the whole graph, every answer looked at, the weighted split tested.

import { connect } from 'node:tls';
import { fetchText } from './client.ts';
import { type PortMap, PROXIES } from './ports.ts';

const PAGES = 400;
const JASON_PAGES = 12;
/** Pages asked for at the same time. */
const PARALLEL = 8;
/** Shares that productpage.yaml gives the versions. */
const SHARES: Readonly<Record<string, number>> = { v1: 0.8, v2: 0.1, v3: 0.1 };
/** A share may be this many standard deviations off; a right proxy fails this once in 150,000 runs. */
const SIGMAS = 4.5;

/** Runs all checks, printing one line each; resolves to the number that failed. */
export async function check(ports: PortMap, print: (line: string) => void): Promise<number> {
  let failures = 0;
  const expect = (ok: boolean, what: string): void => {
    if (!ok) failures++;
    print(`${ok ? 'ok    ' : 'FAILED'} ${what}`);
  };
  for (const [what, run] of CHECKS) {
    try {
      await run(ports, expect);
    } catch (error) {
      expect(false, `${what}: ${(error as Error).message}`);
    }
  }
  return failures;
}

type Expect = (ok: boolean, what: string) => void;
const CHECKS: readonly (readonly [string, (ports: PortMap, expect: Expect) => Promise<void>])[] = [
  ['readiness', checkReady],
  ['gateway routes', checkGateway],
  ['pages', checkPages],
  ['routing by header', checkJason],
  ['counters', checkStats],
  ['mutual TLS', checkTls],
];

async function checkReady(ports: PortMap, expect: Expect): Promise<void> {
  for (const name of PROXIES) {
    const answer = await fetchText(ports.admin[name], '/ready', {});
    expect(answer.status === 200 && answer.body === 'LIVE\n', `${name} is LIVE`);
  }
}

async function checkGateway(ports: PortMap, expect: Expect): Promise<void> {
  const home = await fetchText(ports.gateway, '/', { host: 'bookinfo.example' });
  const location = home.headers['location'];
  expect(
    home.status === 302 && location === 'http://bookinfo.example/productpage',
    `/ redirects (${home.status} ${location})`,
  );
  const none = await fetchText(ports.gateway, '/nowhere', {});
  expect(none.status === 404 && none.body === '', `an unknown path is answered 404 by the gateway (${none.status})`);
  const messy = await fetchText(ports.gateway, '/api//v1/./products', {});
  expect(messy.status === 200 && JSON.parse(messy.body).length === 1, 'an untidy path is normalised');
  const book = await fetchText(ports.gateway, '/api/v1/products/0', {});
  expect(book.status === 200 && JSON.parse(book.body).isbn === '1234567890', 'details answers through four proxies');
}

async function checkPages(ports: PortMap, expect: Expect): Promise<void> {
  const versions: Record<string, number> = { v1: 0, v2: 0, v3: 0 };
  const wrong = new Map<string, number>();
  let left = PAGES;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const page = await fetchText(ports.gateway, '/productpage', {});
      const version = versionOf(page.body);
      const problem = problemOf(page.status, page.body, version);
      if (problem !== null) wrong.set(problem, (wrong.get(problem) ?? 0) + 1);
      if (version !== null) versions[version] = (versions[version] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  const problems = [...wrong].map(([problem, count]) => `${count} × ${problem}`).join(', ');
  expect(wrong.size === 0, `${PAGES} pages are whole${problems === '' ? '' : `: ${problems}`}`);
  for (const [version, share] of Object.entries(SHARES)) {
    const seen = versions[version] ?? 0;
    const deviation = Math.sqrt(PAGES * share * (1 - share));
    const off = Math.abs(seen - PAGES * share);
    expect(off <= SIGMAS * deviation, `reviews-${version} served ${seen} of ${PAGES} (share ${share * 100}%)`);
  }
}

async function checkJason(ports: PortMap, expect: Expect): Promise<void> {
  let right = 0;
  for (let i = 0; i < JASON_PAGES; i++) {
    const page = await fetchText(ports.gateway, '/productpage', { cookie: 'user=jason' });
    if (versionOf(page.body) === 'v2' && page.body.includes('Signed in as <b>jason</b>')) right++;
  }
  expect(right === JASON_PAGES, `jason always meets reviews-v2 (${right} of ${JASON_PAGES})`);
}

async function checkStats(ports: PortMap, expect: Expect): Promise<void> {
  const pages = await stat(ports.admin.gateway, 'http.ingress.downstream_rq_2xx');
  expect(pages >= PAGES + JASON_PAGES, `the gateway counted ${pages} good answers`);
  const retries = await stat(ports.admin.reviews, 'cluster.ratings.upstream_rq_retry_success');
  expect(retries > 0, `${retries} failures of ratings were retried and seen by nobody`);
}

/** Between sidecars everything is encrypted, and nobody without a certificate of the mesh is answered. */
async function checkTls(ports: PortMap, expect: Expect): Promise<void> {
  const inbound = Object.entries(ports.inbound);
  const answered: string[] = [];
  for (const [name, port] of inbound) {
    if (await fetchText(port, '/', {}).then(always, never)) answered.push(`${name} in clear text`);
    if (await answersStranger(port)) answered.push(`${name} without a certificate`);
  }
  const said = answered.length === 0 ? '' : `: answered by ${answered.join(', ')}`;
  expect(answered.length === 0, `${inbound.length} sidecars refuse clear text and TLS without a certificate${said}`);
  const shaken = await stat(ports.admin.gateway, 'cluster.productpage.ssl.handshake');
  const clear = await stat(ports.admin.gateway, 'cluster.productpage.upstream_cx_total');
  expect(shaken > 0 && shaken === clear, `all ${clear} connections of the gateway to productpage are mutual TLS`);
  const refused = await stat(
    ports.admin.details,
    `listener.127.0.0.1_${ports.inbound.details}.ssl.fail_verify_no_cert`,
  );
  expect(refused > 0, 'who came to details without a certificate was counted');
}

const always = (): boolean => true;
const never = (): boolean => false;

/** Whether a client that shows no certificate gets a byte of an answer. */
function answersStranger(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () =>
      socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n'),
    );
    socket.on('data', () => {
      resolve(true);
      socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(false));
  });
}

/** One counter or gauge of a proxy; 0 when it does not exist. */
export async function stat(adminPort: number, name: string): Promise<number> {
  const { body } = await fetchText(adminPort, `/stats?filter=^${name.replaceAll('.', '\\.')}$`, {});
  return Number(/: (\d+)/.exec(body)?.[1] ?? 0);
}

function versionOf(page: string): string | null {
  return /Served by <code>reviews-(v[123])<\/code>/.exec(page)?.[1] ?? null;
}

function problemOf(status: number, page: string, version: string | null): string | null {
  if (status !== 200) return `status ${status}`;
  if (!page.includes('<dd>1234567890</dd>')) return 'details missing';
  if (version === null) return 'reviews missing';
  if (page.includes('not available')) return 'ratings missing';
  const stars = page.includes('class="stars');
  if (stars !== (version !== 'v1')) return `stars ${stars ? 'unexpected' : 'missing'} in ${version}`;
  return null;
}
