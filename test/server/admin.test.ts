// Every admin endpoint: formats against answers recorded from Envoy 1.40, methods, refusals, effects.

import { readFileSync } from 'node:fs';
import t from 'tap';
import { handleAdmin } from '../../proxy/server/admin.ts';
import { parseQuery, protoJson } from '../../proxy/server/admin-answer.ts';
import { ENDPOINTS } from '../../proxy/server/admin-endpoints.ts';
import type { AdminState, HostStatus } from '../../proxy/server/admin-state.ts';
import { type ConfigDumpSource, renderConfigDump } from '../../proxy/server/config-dump.ts';
import { OUTRIGGER_VERSION } from '../../proxy/server/version.ts';
import { addressOf, bootstrapOf, fakeAdmin, parseClusters } from '../fixtures/admin-state.ts';

const CLUSTERS = golden('clusters.txt');
const DUMP: ConfigDumpSource = {
  bootstrap: bootstrapOf(golden('config-dump.json')),
  loadedAt: '2026-01-02T03:04:05.678Z',
  clusters: parseClusters(CLUSTERS),
};

function golden(name: string): string {
  return readFileSync(new URL(`../golden/admin/${name}`, import.meta.url), 'utf8');
}

async function ask(state: AdminState, target: string, method = 'GET') {
  const [path, query = ''] = target.split(/\?(.*)/s) as [string, string?];
  const answer = await handleAdmin({ method, path, query: parseQuery(query) }, state);
  const body = typeof answer.body === 'string' ? answer.body : [...answer.body].join('');
  return { status: answer.status, type: answer.contentType, body, afterwards: answer.afterwards };
}

t.test('help, index and unknown paths', async (t) => {
  const { state } = fakeAdmin();
  t.equal((await ask(state, '/help')).body, golden('help.txt'));
  const unknown = await ask(state, '/nope');
  t.equal(unknown.status, 404);
  t.equal(unknown.type, 'text/plain; charset=UTF-8');
  t.equal(unknown.body, `invalid path. ${golden('help.txt')}`);
  for (const path of ['/Ready', '/help/', '/stats/x', '']) t.equal((await ask(state, path)).status, 404, path);
  const index = await ask(state, '/');
  t.equal(index.type, 'text/html; charset=UTF-8');
  for (const { path } of ENDPOINTS.slice(1)) t.match(index.body, `"${path.slice(1)}"`);
});

t.test('what changes something needs POST, and everything answers', async (t) => {
  const { state, calls } = fakeAdmin();
  for (const { path, mutates } of ENDPOINTS) {
    const read = await ask(state, path);
    if (mutates) t.same([read.status, read.body], [405, 'Method GET not allowed, POST required.'], path);
    else t.not(read.status, 405, path);
    t.not((await ask(state, path)).status, 404, path);
  }
  t.equal((await ask(state, '/logging', 'PUT')).body, 'Method PUT not allowed, POST required.');
  t.same(calls, [], 'no GET had an effect');
});

t.test('effects', async (t) => {
  const { state, stats, calls } = fakeAdmin();
  const told = async (target: string) => {
    const answer = await ask(state, target, 'POST');
    t.same([answer.status, answer.body], [200, 'OK\n'], target);
    answer.afterwards?.();
  };
  await told('/drain_listeners');
  await told('/drain_listeners?graceful&skip_exit&inboundonly');
  await told('/healthcheck/fail');
  await told('/healthcheck/ok');
  await told('/reopen_logs');
  await told('/quitquitquit');
  t.same(calls, [
    'drain {"graceful":false,"skipExit":false,"inboundOnly":false}',
    'drain {"graceful":true,"skipExit":true,"inboundOnly":true}',
    'health true',
    'health false',
    'reopen',
    'quit',
  ]);
  stats.local.cell('a', 'c')[0] = 3;
  stats.local.flush();
  await told('/reset_counters');
  t.equal(stats.valueOf('a'), 0);
});

t.test('ready follows the state', async (t) => {
  for (const [word, status] of [
    ['LIVE', 200],
    ['DRAINING', 503],
    ['PRE_INITIALIZING', 503],
    ['INITIALIZING', 503],
  ] as const) {
    const { state } = fakeAdmin();
    const info = state.serverInfo();
    const answer = await ask({ ...state, serverInfo: () => ({ ...info, state: word }) }, '/ready');
    t.same([answer.status, answer.body], [status, `${word}\n`]);
  }
});

t.test('clusters', async (t) => {
  const { state } = fakeAdmin({
    clusters: (matches) => parseClusters(CLUSTERS).filter(({ name }) => matches === null || matches(name)),
  });
  t.equal((await ask(state, '/clusters')).body, CLUSTERS);
  // Envoy's order is that of a hash table: here one way in text and the other way in JSON.
  const turned = { ...state, clusters: () => parseClusters(CLUSTERS).reverse() };
  const json = await ask(turned, '/clusters?format=json');
  t.equal(json.type, 'application/json');
  t.equal(json.body, golden('clusters.json'));
  t.equal((await ask(state, '/clusters?filter=none&format=json')).body, '{}\n');
  t.match((await ask(state, '/clusters?filter=^a')).body, /^aa::observability_name/);
  t.equal((await ask(state, '/clusters?filter=none')).body, '');
  t.same((await ask(state, '/clusters?filter=(')).status, 400);
  t.equal((await ask(state, '/clusters?filter=(')).body, 'Invalid re2 regex');
});

t.test('clusters: many hosts come in pieces, and as one', async (t) => {
  const [base] = parseClusters(CLUSTERS).filter((cluster) => cluster.hosts.length > 0);
  if (base === undefined) throw new Error('the golden file has a cluster with hosts');
  for (const count of [0, 1, 49, 50, 51, 100, 120]) {
    const hosts = Array.from({ length: count }, (_, i) => ({
      ...(base.hosts[0] as HostStatus),
      hostname: `h\n\u2028${i}`,
    }));
    const { state } = fakeAdmin({ clusters: () => [{ ...base, hosts }, base] });
    const { body } = await ask(state, '/clusters?format=json');
    const value = JSON.parse(body);
    t.equal(body, protoJson(value), `${count} hosts`);
    const names = (value.cluster_statuses[0].host_statuses ?? []).map(({ hostname }: HostStatus) => hostname);
    t.same(
      names,
      hosts.map(({ hostname }) => hostname),
    );
    t.equal((await ask(state, '/clusters')).body.match(/::hostname::/g)?.length, count + base.hosts.length);
  }
  const answer = await handleAdmin(
    { method: 'GET', path: '/clusters', query: new Map() },
    fakeAdmin({ clusters: () => [{ ...base, hosts: Array(500).fill(base.hosts[0]) }] }).state,
  );
  t.equal([...(answer.body as Iterable<string>)].length, 11);
});

t.test('clusters: what only other clusters have', async (t) => {
  const [base] = parseClusters(CLUSTERS).filter((cluster) => cluster.hosts.length > 0);
  if (base === undefined) throw new Error('the golden file has a cluster with hosts');
  const host = { ...base.hosts[0], stats: [1, 2, 3, 4, 5, 6, 7, 8, 9], successRate: 200 / 3 } as (typeof base.hosts)[0];
  const outlier = {
    successRateAverage: -1,
    successRateEjectionThreshold: 200 / 3,
    localOriginSuccessRateAverage: 0,
    localOriginSuccessRateEjectionThreshold: 0,
  };
  const { state } = fakeAdmin({
    clusters: () => [{ ...base, name: 'e', addedViaApi: true, edsServiceName: 'svc', outlier, hosts: [host] }],
  });
  const text = (await ask(state, '/clusters')).body;
  t.match(text, 'e::observability_name::mm\ne::outlier::success_rate_average::-1\n');
  t.match(text, '\ne::outlier::success_rate_ejection_threshold::66.6667\n', 'six digits');
  t.match(text, 'e::outlier::local_origin_success_rate_ejection_threshold::0\ne::default_priority');
  t.match(text, '::success_rate::66.66666666666667\n', 'as many as there are');
  t.match(text, 'e::added_via_api::true\ne::eds_service_name::svc\ne::127.0.0.1:19904::cx_active::1\n');
  const body = (await ask(state, '/clusters?format=json')).body;
  t.match(body, '"value": 66.666666666666671\n', 'as protobuf writes a double');
  const json = JSON.parse(body);
  t.equal(json.cluster_statuses[0].host_statuses[0].stats[0].value, '2');
  const [status] = json.cluster_statuses;
  t.same(status.success_rate_ejection_threshold, { value: 200 / 3 });
  t.notOk('local_origin_success_rate_ejection_threshold' in status, 'nobody is below 0');
  t.same(status.host_statuses[0].success_rate, { value: 200 / 3 });
  t.equal(json.cluster_statuses[0].eds_service_name, 'svc');
});

t.test('listeners', async (t) => {
  const { state } = fakeAdmin({
    listeners: () => [
      { name: 'ingress', address: addressOf('127.0.0.1:19932'), additionalAddresses: [addressOf('[::1]:19932')] },
      { name: 'pipe', address: addressOf('/tmp/outrigger-test.sock'), additionalAddresses: [] },
    ],
  });
  t.equal((await ask(state, '/listeners')).body, golden('listeners.txt'));
  t.equal((await ask(state, '/listeners?format=json')).body, golden('listeners.json'));
  t.equal((await ask(fakeAdmin().state, '/listeners?format=json')).body, '{}\n');
});

t.test('server info, memory, runtime, certificates, init managers', async (t) => {
  const argv = '-c d.yaml --disable-hot-restart --concurrency 1 -l warning --base-id 80 --drain-time-s 7'.split(' ');
  argv.push(...'--file-flush-interval-msec 1500 --component-log-level http:error,admin:error'.split(' '));
  argv.push(...'--service-zone ZZ --drain-strategy immediate'.split(' '));
  const { state } = fakeAdmin({}, argv);
  const expected = JSON.parse(golden('server-info.json'));
  const { node } = DUMP.bootstrap as { node: object };
  const info = { ...state.serverInfo(), uptimeS: Number.parseInt(expected.uptime_all_epochs, 10) };
  const decorated = JSON.parse(JSON.stringify(node).replaceAll(/"9e55[^"]*"/g, '"VERSION"'));
  decorated.locality.zone = 'ZZ'; // --service-zone
  const answer = await ask({ ...state, serverInfo: () => ({ ...info, node: decorated }) }, '/server_info');
  t.same(JSON.parse(answer.body), expected);
  t.same(Object.keys(JSON.parse(answer.body)), Object.keys(expected));
  t.same(Object.keys(JSON.parse(answer.body).command_line_options), Object.keys(expected.command_line_options));

  const shape = (text: string) => text.replaceAll(/"\d+"/g, '"N"');
  t.equal(shape((await ask(state, '/memory')).body), shape(golden('memory.json')));
  const entries = new Map([
    ['a.b', { finalValue: '2', layerValues: ['1', '2'] }],
    ['f', { finalValue: '0.5', layerValues: ['0.5', ''] }],
    ['nested.k', { finalValue: 'v', layerValues: ['v', ''] }],
    ['s', { finalValue: 'x<y', layerValues: ['x<y', ''] }],
    ['t', { finalValue: 'true', layerValues: ['true', ''] }],
  ]);
  const runtime = { ...state, runtime: () => ({ layers: ['base', 'over'], entries }) };
  t.same(JSON.parse((await ask(runtime, '/runtime')).body), JSON.parse(golden('runtime.json')));
  t.match((await ask(runtime, '/runtime')).body, '"x\\u003cy"');
  t.equal((await ask(state, '/certs')).body, '{\n "certificates": []\n}\n');
  t.equal((await ask(state, '/init_dump')).body, '{}\n');
  const waiting = { ...state, unreadyTargets: () => [{ name: 'listener x', targets: ['RDS'] }] };
  t.match(JSON.parse((await ask(waiting, '/init_dump?mask=listener')).body).unready_targets_dumps, [
    { name: 'listener x' },
  ]);
  t.equal((await ask(waiting, '/init_dump?mask=cluster')).body, '{}\n');
  t.equal((await ask(state, '/hot_restart_version')).body, 'disabled');
});

t.test('config dump', async (t) => {
  const dump = (target: string) => {
    const query = parseQuery(target);
    const answer = renderConfigDump(DUMP, {
      resource: query.get('resource') ?? '',
      mask: query.get('mask') ?? '',
      nameRegex: query.get('name_regex') ?? '',
      includeEds: query.has('include_eds'),
    });
    return { ...answer, body: String(answer.body) };
  };
  t.equal(dump('include_eds').body, golden('config-dump.json'));
  t.notMatch(dump('').body, 'EndpointsConfigDump');
  for (const part of golden('config-dump-queries.txt').split(/^(?=== )/m)) {
    const [head = '', ...rest] = part.split('\n');
    const answer = dump(head.slice(3));
    t.equal(`${answer.body}\n-- ${answer.status} ${answer.contentType}\n`, rest.join('\n'), head);
  }
  const refused: [query: string, status: number, text: string][] = [
    ['resource=bogus', 404, 'bogus not found in config dump'],
    ['resource=static_endpoint_configs', 404, 'static_endpoint_configs not found in config dump'],
    [
      'resource=bootstrap&mask=node.id',
      400,
      'bootstrap is not a repeated field. Use ?mask=bootstrap to get only this field',
    ],
    ['mask=bogus', 400, 'FieldMask bogus could not be successfully applied to any configs.'],
    ['name_regex=(', 400, 'INVALID_ARGUMENT: Error while parsing name_regex from (: missing ): ('],
    ['resource=dynamic_listeners', 200, '{}\n'],
  ];
  for (const [query, status, text] of refused) {
    const answer = dump(query);
    t.same([answer.status, answer.body], [status, text], query);
  }
});

t.test('logging', async (t) => {
  const { state } = fakeAdmin();
  const list = (admin: string, http: string) => `active loggers:\n  admin: ${admin}\n  http: ${http}\n\n`;
  const cases: [query: string, status: number, start: string][] = [
    ['', 200, list('info', 'info')],
    ['level=debug', 200, list('debug', 'debug')],
    ['admin=trace', 200, list('trace', 'debug')],
    ['paths=admin:off,http:critical', 200, list('off', 'critical')],
    ['level=', 200, list('off', 'critical')],
    ['bogus', 200, list('off', 'critical')],
    ['level=bogus', 400, 'error: unknown logger level\n\nusage: /logging?<name>=<level> (change single level)\n'],
    ['nope=info', 400, 'error: unknown logger name\n\nusage'],
    ['paths=admin:info,x:debug', 400, 'error: unknown logger name\n\nusage'],
    ['paths=admin', 400, 'error: empty logger name or empty logger level\n\nusage'],
    ['level=debug&admin=info', 400, 'error: invalid number of parameters\n\nusage'],
    ['group=admin:info', 400, 'error: group parameter requires fine-grain logging to be enabled\n\nusage'],
  ];
  for (const [query, status, start] of cases) {
    const answer = await ask(state, `/logging?${query}`, 'POST');
    t.equal(answer.status, status, query);
    t.ok(answer.body.startsWith(start), `${query}: ${answer.body}`);
    if (status === 400) t.ok(answer.body.endsWith(list('off', 'critical')), 'nothing changed');
  }
});

t.test('stats: parameters', async (t) => {
  const { state, stats } = fakeAdmin();
  stats.local.cell('a.rq', 'c')[0] = 1;
  stats.local.cell('a+b', 'g');
  stats.local.histogram('a.time').record(3);
  const cases: [query: string, status: number, body: string | RegExp][] = [
    ['', 200, /^a\+b: 0\na\.rq: 1\na\.time: P0\(nan,3\.05\) /],
    ['usedonly&type=Gauges', 200, ''],
    ['usedonly=no&type=Counters', 200, 'a.rq: 1\n'],
    ['filter=a+b', 200, ''],
    ['filter=a%2Bb', 200, ''],
    ['filter=a\\%2Bb', 200, 'a+b: 0\n'],
    ['filter=rq&invert_filter&type=Gauges', 200, 'a+b: 0\n'],
    ['filter=(?i)A.RQ', 200, 'a.rq: 1\n'],
    ['hidden=only', 200, ''],
    ['format=json&type=Counters', 200, '{"stats":[{"name":"a.rq","value":1}]}'],
    ['format=json&filter=none', 200, '{"stats":[]}'],
    ['format=prometheus&type=Counters', 200, '# TYPE envoy_a_rq counter\nenvoy_a_rq{} 1\n'],
    ['format=prometheus&filter=time&histogram_buckets=summary', 200, /^# TYPE envoy_a_time summary\n/],
    ['format=prometheus&histogram_buckets=detailed', 400, 'unsupported prometheus histogram bucket mode'],
    ['format=html&type=Counters', 200, /<pre>\na\.rq: 1\n<\/pre>/],
    ['format=bogus', 400, 'usage: /stats?format=(html|active-html|json|prometheus|text)\n\n'],
    ['type=counters', 400, 'invalid &type= param'],
    ['hidden=bogus', 400, 'usage: /stats?hidden=(include|only|exclude)\n\n'],
    ['filter=(', 400, 'Invalid re2 regex: missing ): ('],
    [
      'histogram_buckets=bogus',
      400,
      'usage: /stats?histogram_buckets=(cumulative|disjoint|detailed|summary|prometheusnative)\n',
    ],
  ];
  for (const [query, status, body] of cases) {
    const answer = await ask(state, `/stats?${query}`);
    t.equal(answer.status, status, query);
    if (typeof body === 'string') t.equal(answer.body, body, query);
    else t.match(answer.body, body, query);
  }
  const prometheus = await ask(state, '/stats/prometheus?filter=time');
  t.match(prometheus.body, 'envoy_a_time_bucket{le="5"} 1\n');
});

t.test('runtime_modify needs keys and an admin layer', async (t) => {
  const { state } = fakeAdmin();
  t.equal((await ask(state, '/runtime_modify', 'POST')).status, 400);
  const without = await ask(state, '/runtime_modify?a=b', 'POST');
  t.same([without.status, without.body], [503, 'No admin layer specified']);
  const seen: [string, string][] = [];
  const layered: AdminState = {
    ...state,
    modifyRuntime(changes) {
      seen.push(...changes);
      return true;
    },
  };
  t.equal((await ask(layered, '/runtime_modify?a=b&c=', 'POST')).body, 'OK\n');
  t.same(seen, [
    ['a', 'b'],
    ['c', ''],
  ]);
});

t.test('the version is that of the package', (t) => {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  t.equal(OUTRIGGER_VERSION, manifest.version);
  t.end();
});
