// The admin port over real sockets: heads, counters, limits, slow readers, addresses.

import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { runtimeEntries } from '../../proxy/config/lower/runtime.ts';
import type { AddressModel } from '../../proxy/config/model/common.ts';
import type { AdminModel } from '../../proxy/config/model/model.ts';
import { compileText } from '../../proxy/observe/format.ts';
import type { AdminListener } from '../../proxy/server/admin-listener.ts';
import { openAdminListener } from '../../proxy/server/admin-listener.ts';
import { openAdmin } from '../../proxy/server/admin-open.ts';
import { fakeAdmin } from '../fixtures/admin-state.ts';

const LOOPBACK: AddressModel = { kind: 'socket', protocol: 'tcp', address: '127.0.0.1', port: 0, ipv4Compat: false };

function target(listener: AdminListener): { host: string; port: number } | { path: string } {
  const { address } = listener;
  if (address.kind === 'socket') return { host: address.address, port: address.port };
  return { path: address.kind === 'pipe' ? address.path.replace(/^@/, '\0') : '' };
}

/** Sends bytes, half-closes, and returns all that comes back. */
async function exchange(listener: AdminListener, request: string): Promise<string> {
  const socket = connect(target(listener));
  let answer = '';
  socket.setEncoding('latin1');
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  socket.on('error', () => {});
  socket.write(request);
  socket.end();
  await once(socket, 'close');
  return answer;
}

t.test('heads are those of Envoy', async (t) => {
  const { state } = fakeAdmin();
  const listener = await openAdminListener(LOOPBACK, state);
  t.teardown(() => listener.close());
  const answer = await exchange(listener, 'GET /ready?x HTTP/1.1\r\nhost: a\r\n\r\n');
  const [head = '', body] = answer.split('\r\n\r\n');
  const [status, ...headers] = head.split('\r\n');
  t.equal(status, 'HTTP/1.1 200 OK');
  t.same(
    headers.map((line) => line.replace(/^date: .*/i, 'date')).map((line) => line.toLowerCase()),
    [
      'content-type: text/plain; charset=utf-8',
      'cache-control: no-cache, max-age=0',
      'x-content-type-options: nosniff',
      'date',
      'server: envoy',
      'transfer-encoding: chunked',
    ],
  );
  t.equal(body, '5\r\nLIVE\n\r\n0');
  t.match(
    await exchange(listener, 'HEAD /ready HTTP/1.1\r\nhost: a\r\n\r\n'),
    /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\n$/,
  );
  t.match(
    await exchange(listener, 'GET /logging HTTP/1.1\r\nhost: a\r\n\r\n'),
    /^HTTP\/1\.1 405 Method Not Allowed\r\n/,
  );
});

t.test('its own traffic is counted under the names of Envoy', async (t) => {
  const { state, stats } = fakeAdmin();
  const listener = await openAdminListener(LOOPBACK, state);
  t.teardown(() => listener.close());
  const two = 'GET /ready HTTP/1.1\r\nhost: a\r\n\r\nGET /nope HTTP/1.1\r\nhost: a\r\n\r\n';
  await exchange(listener, two);
  await exchange(listener, 'nonsense\r\n\r\n');
  const expected: [name: string, value: number][] = [
    ['listener.admin.downstream_cx_total', 2],
    ['listener.admin.main_thread.downstream_cx_total', 2],
    ['http.admin.downstream_cx_total', 2],
    ['http.admin.downstream_cx_protocol_error', 1],
    ['http.admin.downstream_rq_total', 2],
    ['http.admin.downstream_rq_active', 0],
    ['http.admin.downstream_rq_2xx', 1],
    ['http.admin.downstream_rq_4xx', 1],
    ['http.admin.downstream_rq_completed', 2],
    ['listener.admin.http.admin.downstream_rq_2xx', 1],
    ['listener.admin.http.admin.downstream_rq_4xx', 1],
  ];
  for (const [name, value] of expected) t.equal(stats.valueOf(name), value, name);
});

t.test('a form body gives runtime keys; a long one is refused', async (t) => {
  const seen: string[] = [];
  const { state } = fakeAdmin({
    modifyRuntime(changes) {
      for (const [key, value] of changes) seen.push(`${key}=${value}`);
      return true;
    },
  });
  const listener = await openAdminListener(LOOPBACK, state);
  t.teardown(() => listener.close());
  const post = (body: string) =>
    exchange(
      listener,
      `POST /runtime_modify?b=2 HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
  t.match(await post('a=1'), /^HTTP\/1\.1 200 /);
  t.same(seen, ['b=2', 'a=1']);
  t.match(await post('x'.repeat(100_000)), /^HTTP\/1\.1 413 /);
  t.equal(seen.length, 2);
  const longHead = `GET /ready HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(70_000)}\r\n\r\n`;
  t.notMatch(await exchange(listener, longHead), /^HTTP\/1\.1 200/);
});

t.test('a finished answer arrives whole, and one that nobody reads any more ends', async (t) => {
  const body = new TextEncoder().encode('é-ghijklmnop'.repeat(50_000));
  const { state } = fakeAdmin({ configDump: async () => ({ status: 200, contentType: 'text/plain', body }) });
  const listener = await openAdminListener(LOOPBACK, state);
  t.teardown(() => listener.close());
  const answer = await exchange(listener, 'GET /config_dump HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  const chunks = answer.slice(answer.indexOf('\r\n\r\n') + 4).split(/\r?\n?[0-9a-f]+\r\n/);
  t.equal(Buffer.from(chunks.join('').trimEnd(), 'latin1').compare(body), 0);
  const impatient = connect(target(listener));
  impatient.write('GET /config_dump HTTP/1.1\r\nhost: a\r\n\r\n');
  await once(impatient, 'data');
  impatient.destroy();
  t.match(await exchange(listener, 'GET /ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n'), /^HTTP\/1\.1 200/);
});

t.test('the server quits after it has answered', async (t) => {
  const order: string[] = [];
  const { state } = fakeAdmin({ quit: () => void order.push('quit') });
  const listener = await openAdminListener(LOOPBACK, state);
  t.teardown(() => listener.close());
  const answer = await exchange(listener, 'POST /quitquitquit HTTP/1.1\r\nhost: a\r\n\r\n');
  t.match(answer, /^HTTP\/1\.1 200 OK\r\n[\s\S]*OK\n/);
  t.same(order, ['quit']);
});

t.test('answered requests are logged as Envoy logs them', async (t) => {
  const lines: string[] = [];
  const format = compileText(
    '%PROTOCOL% %REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% [%RESPONSE_CODE_DETAILS%] %RESPONSE_FLAGS% ' +
      '%BYTES_RECEIVED% %BYTES_SENT% auth=%REQ(:AUTHORITY)% ua=%REQ(USER-AGENT)% [%ROUTE_NAME%] [%UPSTREAM_CLUSTER%] ' +
      '[%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%] scheme=%REQ(:SCHEME)% ct=%RESP(CONTENT-TYPE)%',
    false,
  );
  const listener = await openAdminListener(LOOPBACK, fakeAdmin().state, (info) => void lines.push(format(info)));
  t.teardown(() => listener.close());
  await exchange(listener, 'GET /ready HTTP/1.1\r\nHost: a:1\r\nUser-Agent: curl\r\n\r\n');
  await exchange(listener, 'POST /reopen_logs?x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc');
  const type = 'scheme=http ct=text/plain; charset=UTF-8';
  t.same(lines, [
    `HTTP/1.1 GET /ready 200 [admin_filter_response] - 0 5 auth=a:1 ua=curl [-] [-] [127.0.0.1] ${type}`,
    `HTTP/1.1 POST /reopen_logs?x 200 [admin_filter_response] - 3 3 auth=a ua=- [-] [-] [127.0.0.1] ${type}`,
  ]);
});

t.test('filters of its logs read the runtime', async (t) => {
  const path = join(t.testdir({}), 'log');
  const filter = { kind: 'status_code', op: 'ge', value: 500, runtimeKey: 'least' } as const;
  const format = { kind: 'text', format: '%RESPONSE_CODE%\n', omitEmptyValues: false } as const;
  const model: AdminModel = {
    address: LOOPBACK,
    accessLogs: [{ name: 'f', filter, format, sink: { kind: 'file', path } as const }],
    ignoreGlobalConnLimit: false,
  };
  const admin = await openAdmin(model, runtimeEntries({ least: 200 }), fakeAdmin().state);
  await exchange(admin, 'GET /ready HTTP/1.1\r\nhost: a\r\n\r\n');
  await admin.close();
  t.equal(readFileSync(path, 'latin1'), '200\n');
});

t.test('a reader who does not read stops the rendering', async (t) => {
  const { state, stats } = fakeAdmin();
  let rendered = 0;
  const clusters = 50_000;
  for (let i = 0; i < 10; i++) stats.local.cell(`c${i}`, 'c');
  const status = { maxConnections: 1, maxPendingRequests: 1, maxRequests: 1, maxRetries: 1 };
  const list = Array.from({ length: clusters }, (_, i) => ({
    get name() {
      rendered++;
      return `cluster-${i}`;
    },
    observabilityName: '',
    addedViaApi: false,
    edsServiceName: '',
    defaultLimits: status,
    highLimits: status,
    outlier: null,
    hosts: [],
  }));
  const listener = await openAdminListener(LOOPBACK, { ...state, clusters: () => list });
  t.teardown(() => listener.close());
  const socket = connect(target(listener));
  socket.pause();
  socket.write('GET /clusters HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  while (rendered === 0) await new Promise((resolve) => setImmediate(resolve));
  let before = -1;
  while (before !== rendered) {
    before = rendered;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  t.ok(rendered < clusters, `${rendered} of ${clusters} were rendered for a reader who waits`);
  let bytes = 0;
  socket.on('data', (chunk) => {
    bytes += chunk.length;
  });
  socket.resume();
  await once(socket, 'close');
  t.equal(rendered, clusters);
  t.ok(bytes > clusters * 100, `${bytes} bytes came`);
});

t.test('a reader who leaves ends the rendering', async (t) => {
  const { state } = fakeAdmin();
  let rendered = 0;
  let closed: () => void = () => {};
  const ended = new Promise<void>((resolve) => {
    closed = resolve;
  });
  function* endless(): Generator<string> {
    try {
      for (;;) {
        rendered++;
        yield 'x'.repeat(10_000);
      }
    } finally {
      closed();
    }
  }
  const endlessDump = async () => ({ status: 200, contentType: 'text/plain', body: endless() });
  const listener = await openAdminListener(LOOPBACK, { ...state, configDump: endlessDump });
  t.teardown(() => listener.close());
  const socket = connect(target(listener));
  socket.on('error', () => {});
  socket.write('GET /config_dump HTTP/1.1\r\nhost: a\r\n\r\n');
  await once(socket, 'data');
  socket.destroy();
  await ended;
  t.ok(rendered > 0);
});

t.test('addresses', async (t) => {
  const { state } = fakeAdmin();
  const first = await openAdminListener(LOOPBACK, state);
  t.teardown(() => first.close());
  const port = first.address.kind === 'socket' ? first.address.port : 0;
  t.ok(port > 0);
  await t.rejects(openAdminListener(first.address, state), {
    message: `cannot bind '127.0.0.1:${port}': Address already in use`,
  });
  const path = join(t.testdir(), 'admin.sock');
  const pipe: AddressModel = { kind: 'pipe', path, mode: 0o600 };
  const second = await openAdminListener(pipe, state);
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.match(await exchange(second, 'GET /ready HTTP/1.1\r\nhost: a\r\n\r\n'), 'LIVE');
  await second.close();
  t.notOk(existsSync(path));
  const abstract = await openAdminListener({ kind: 'pipe', path: `@outrigger-${process.pid}`, mode: 0 }, state);
  t.match(await exchange(abstract, 'GET /ready HTTP/1.1\r\nhost: a\r\n\r\n'), 'LIVE');
  await abstract.close();
});
