// Every field has an answer: the tables against the schema, their tests, the documentation, and the walk itself.

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { type AnswerReport, checkAnswers, childOf } from '../../proxy/config/answers.ts';
import { renderCompatibility } from '../../proxy/config/fields/compatibility.ts';
import { EXTENSION_ANSWERS, factoryName } from '../../proxy/config/fields/extensions.ts';
import { FIELD_FAMILIES, FIELDS } from '../../proxy/config/fields/fields.ts';
import { loadRegistry, messageDesc } from '../../proxy/config/schema/registry.ts';
import type { ConfigError } from '../../proxy/util/error.ts';
import { decode, fileLog, hcm, hcmFilter, ROUTER, TYPE, tcpFilter } from '../fixtures/lower.ts';

const registry = loadRegistry();

t.test('the tables and the schema agree', async (t) => {
  for (const [typeName, answers] of Object.entries(FIELDS)) {
    const desc = registry.getMessage(typeName);
    if (desc === undefined) {
      t.fail(`the schema has no ${typeName}`);
      continue;
    }
    const known = desc.fields.map((field) => field.name);
    t.same(
      known.filter((name) => !(name in answers)),
      [],
      `${typeName}: fields without an answer`,
    );
    t.same(
      Object.keys(answers).filter((name) => !known.includes(name)),
      [],
      `${typeName}: answers without a field`,
    );
    for (const field of desc.fields) {
      const answer = answers[field.name];
      if (answer?.kind !== 'honoured') continue;
      const values = field.enum?.values.map((value) => value.name) ?? [];
      t.same(
        Object.keys(answer.values).filter((value) => !values.includes(value)),
        [],
        `${typeName}.${field.name}`,
      );
    }
  }
});

t.test('every message that is reached has a table, and every table is reached', async (t) => {
  const roots = [...EXTENSION_ANSWERS].filter(([, answer]) => answer.kind !== 'left_out').map(([typeName]) => typeName);
  const open = ['envoy.config.bootstrap.v3.Bootstrap', ...roots];
  const seen = new Set<string>();
  for (let typeName = open.pop(); typeName !== undefined; typeName = open.pop()) {
    if (seen.has(typeName)) continue;
    seen.add(typeName);
    const answers = FIELDS[typeName];
    if (answers === undefined) {
      t.fail(`no table for ${typeName}`);
      continue;
    }
    for (const field of messageDesc(typeName).fields) {
      const next = field.message?.typeName;
      if (answers[field.name]?.kind === 'honoured' && childOf(field) === 'message' && next !== undefined)
        open.push(next);
    }
  }
  t.same(
    Object.keys(FIELDS).filter((typeName) => !seen.has(typeName)),
    [],
  );
  const tables = FIELD_FAMILIES.reduce((sum, family) => sum + Object.keys(family.table).length, 0);
  t.equal(tables, Object.keys(FIELDS).length, 'no message is in two families');
  for (const typeName of EXTENSION_ANSWERS.keys()) t.ok(registry.getMessage(typeName), typeName);
});

t.test('a test sets every honoured field', async (t) => {
  const texts = new Map<string, string>();
  const textOf = (by: string): string => {
    const path = fileURLToPath(new URL(`${by}.test.ts`, import.meta.url));
    const text = texts.get(by) ?? (existsSync(path) ? readFileSync(path, 'utf8') : '');
    texts.set(by, text);
    return text;
  };
  const camel = (name: string): string => name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  const missing: string[] = [];
  for (const [typeName, answers] of Object.entries(FIELDS)) {
    for (const [field, answer] of Object.entries(answers)) {
      if (answer.kind !== 'honoured') continue;
      const set = new RegExp(`\\b(${field}|${camel(field)})['"]?[:,\\]} ]`);
      if (!set.test(textOf(answer.by))) missing.push(`${answer.by}: ${typeName}.${field}`);
    }
  }
  t.same(missing, []);
});

t.test('docs/compatibility.md is up to date', async (t) => {
  const docs = new URL('../../docs/compatibility.md', import.meta.url);
  t.equal(readFileSync(docs, 'utf8'), renderCompatibility(), 'run node scripts/generate-compatibility.ts');
});

// === The walk ===

interface Said {
  readonly warnings: readonly string[];
  readonly refusals: readonly string[];
}

function walk(typeName: string, json: object, skipTypes: readonly string[] = []): Said {
  const warnings: string[] = [];
  const refusals: string[] = [];
  const report: AnswerReport = {
    warn: (path, text) => warnings.push(`${path}: ${text}`),
    reject: (error: ConfigError) => refusals.push(error.message),
    skipTypes: new Set(skipTypes),
  };
  checkAnswers(decode(typeName, json), '', report);
  return { warnings, refusals };
}

const LISTENER = 'envoy.config.listener.v3.Listener';
const HCM = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const RBAC = { '@type': `${TYPE}envoy.extensions.filters.http.rbac.v3.RBAC` };
const NOTHING: Said = { warnings: [], refusals: [] };

function filterOf(name: string, type: string, extra: object = {}): object {
  return { name, typed_config: { '@type': TYPE + type, ...extra } };
}

function withRoute(route: object): object {
  return hcm({ route_config: { virtual_hosts: [{ name: 'v', domains: ['*'], routes: [route] }] } });
}

t.test('what is honoured or harmless is not mentioned', async (t) => {
  t.same(
    walk(LISTENER, { name: 'l', enable_mptcp: false, filter_chains: [{ filters: [tcpFilter(), hcmFilter()] }] }),
    NOTHING,
  );
  t.same(walk(HCM, hcm({ codec_type: 'HTTP1', http3_protocol_options: {}, access_log: [fileLog('/x')] })), NOTHING);
});

t.test('what is left out is named once, with its path', async (t) => {
  const listener = {
    filter_chains: [{ filters: [filterOf('stats', 'stats.PluginConfig'), hcmFilter({ tracing: {} })] }],
  };
  t.same(walk(LISTENER, { ...listener, enable_mptcp: true }), {
    warnings: [
      'filter_chains[0].filters[0].typed_config: stats.PluginConfig is not supported and left out: Istio metrics are not produced',
      'filter_chains[0].filters[1].typed_config.tracing: not supported and left out: requests are not traced yet',
      'enable_mptcp: not supported and left out: clients are served on plain TCP, which MPTCP falls back to',
    ],
    refusals: [],
  });
});

t.test('what must not be left out is refused', async (t) => {
  const place = 'envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol';
  const proxy = filterOf('proxy', place, { tlv_location: 'FILTER_STATE' });
  t.same(walk(LISTENER, { listener_filters: [proxy] }).refusals, [
    'listener_filters[0].typed_config.tlv_location: not supported; values are kept in dynamic metadata only; use DYNAMIC_METADATA',
  ]);
  t.same(walk(LISTENER, { use_original_dst: false }), NOTHING);
  t.same(walk(HCM, hcm({ codec_type: 'HTTP2' })), NOTHING);
  t.same(walk(HCM, withRoute({ match: { prefix: '/' }, route: { cluster_specifier_plugin: 'p' } })).refusals, [
    'route_config.virtual_hosts[0].routes[0].route.cluster_specifier_plugin: cluster specifier plugins are not supported; use cluster',
  ]);
});

t.test('extension types', async (t) => {
  const chain = (...filters: object[]) => hcm({ http_filters: [...filters, ROUTER] });
  const refusal =
    "http_filters[0].typed_config: Didn't find a registered implementation for 'authz' with type URL: 'envoy.extensions.filters.http.rbac.v3.RBAC'";
  const authz = { name: 'authz', typed_config: RBAC };
  t.same(walk(HCM, chain(authz)).refusals, [refusal]);
  t.same(walk(HCM, chain({ ...authz, is_optional: true })).refusals, [refusal], 'optional or not');
  t.same(walk(HCM, chain({ ...authz, disabled: true })), NOTHING, 'disabled');
  const skipped = walk(HCM, chain(authz), [`${TYPE}envoy.extensions.filters.http.rbac.v3.RBAC`]);
  t.same(skipped, {
    warnings: [
      'http_filters[0].typed_config: envoy.extensions.filters.http.rbac.v3.RBAC is left out, as OUTRIGGER_SKIP_TYPES says',
    ],
    refusals: [],
  });
});

t.test('configuration of filters per route', async (t) => {
  const on = (typed_per_filter_config: object) =>
    walk(HCM, withRoute({ match: { prefix: '/' }, redirect: {}, typed_per_filter_config }));
  const policy = `${TYPE}envoy.extensions.filters.http.cors.v3.CorsPolicy`;
  t.same(on({ cors: { '@type': policy } }), NOTHING);
  t.same(on({ cors: { '@type': policy, allow_methods: 'GET' } }), NOTHING);
  const wrapped = `${TYPE}envoy.config.route.v3.FilterConfig`;
  t.same(on({ authz: { '@type': wrapped, disabled: true, config: RBAC } }), NOTHING, 'switched off');
  t.same(on({ authz: { '@type': wrapped, config: {} } }), NOTHING, 'switched on');
  t.equal(on({ authz: { '@type': wrapped, config: RBAC } }).refusals.length, 1, 'its configuration is looked at');
});

t.test('factory names are Envoy’s', async (t) => {
  t.equal(
    factoryName('envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit'),
    'envoy.filters.http.local_ratelimit',
  );
  t.equal(factoryName('stats.PluginConfig'), 'istio.stats');
});
