// Tags of names: defaults by kind of name, defaults by name, patterns of Istio's bootstrap.

import t from 'tap';
import type { StatsTagModel } from '../../proxy/config/model/model.ts';
import { labelText, TagExtractor, toJsPattern } from '../../proxy/observe/tags.ts';

function extract(name: string, tags: readonly StatsTagModel[] = [], useAllDefaultTags = true): string {
  const extractor = new TagExtractor({ useAllDefaultTags, tags, matcher: { kind: 'all' }, histogramBuckets: [] });
  const tagged = extractor.extract(name);
  return `${tagged.name} {${labelText(tagged.tags)}}`;
}

const regex = (name: string, pattern: string): StatsTagModel => ({ name, rule: { kind: 'regex', pattern } });

t.test('default tags', (t) => {
  const cases: [name: string, expected: string][] = [
    ['server.live', 'server.live {}'],
    ['cluster.a.upstream_rq_total', 'cluster.upstream_rq_total {envoy_cluster_name="a"}'],
    ['cluster.a.b.upstream_rq_200', 'cluster.b.upstream_rq {envoy_response_code="200",envoy_cluster_name="a"}'],
    ['cluster.a.upstream_rq_2xx', 'cluster.upstream_rq_xx {envoy_response_code_class="2",envoy_cluster_name="a"}'],
    ['cluster.x', 'cluster.x {}'],
    [
      'cluster.a.grpc.svc.Method.success',
      'cluster.grpc.success {envoy_grpc_bridge_method="Method",envoy_grpc_bridge_service="svc",envoy_cluster_name="a"}',
    ],
    ['cluster.a.ssl.ciphers.AES-128', 'cluster.ssl.ciphers {envoy_ssl_cipher_suite="AES-128",envoy_cluster_name="a"}'],
    ['cluster.a.ext_authz.p.ok', 'cluster.ext_authz.ok {envoy_cluster_name="a",envoy_ext_authz_prefix="p"}'],
    [
      'listener.[__1]_80.ssl.versions.TLSv1.3',
      'listener.ssl.versions {envoy_ssl_version="TLSv1.3",envoy_listener_address="[__1]_80"}',
    ],
    [
      'listener.0.0.0.0_80.no_filter_chain_match',
      'listener.no_filter_chain_match {envoy_listener_address="0.0.0.0_80"}',
    ],
    ['listener.admin.downstream_cx_total', 'listener.admin.downstream_cx_total {}'],
    [
      'listener.0.0.0.0_80.worker_12.downstream_cx_total',
      'listener.worker_downstream_cx_total {envoy_worker_id="12",envoy_listener_address="0.0.0.0_80"}',
    ],
    [
      'listener.1.2.3.4_5.http.in.downstream_rq_2xx',
      'listener.http.downstream_rq_xx {envoy_response_code_class="2",envoy_http_conn_manager_prefix="in",envoy_listener_address="1.2.3.4_5"}',
    ],
    [
      'http.in.rds.my.route.update_success',
      'http.rds.update_success {envoy_rds_route_config="my.route",envoy_http_conn_manager_prefix="in"}',
    ],
    [
      'http.in.rbac.rules.policy.pol.allowed',
      'http.rbac.policy.allowed {envoy_rbac_policy_name="pol",envoy_rbac_http_prefix="rules",envoy_http_conn_manager_prefix="in"}',
    ],
    ['http.in.rbac.shadow_denied', 'http.rbac.shadow_denied {envoy_http_conn_manager_prefix="in"}'],
    [
      'http.in.user_agent.ios.downstream_cx_total',
      'http.user_agent.downstream_cx_total {envoy_http_user_agent="ios",envoy_http_conn_manager_prefix="in"}',
    ],
    [
      'vhost.v.vcluster.c.upstream_rq_time',
      'vhost.vcluster.upstream_rq_time {envoy_virtual_cluster="c",envoy_virtual_host="v"}',
    ],
    [
      'vhost.v.route.r.upstream_rq_503',
      'vhost.route.upstream_rq {envoy_response_code="503",envoy_virtual_host="v",envoy_route="r"}',
    ],
    ['tcp.t.downstream_cx_total', 'tcp.downstream_cx_total {envoy_tcp_prefix="t"}'],
    ['pre.http_local_rate_limit.enabled', 'http_local_rate_limit.enabled {envoy_local_http_ratelimit_prefix="pre"}'],
  ];
  for (const [name, expected] of cases) t.equal(extract(name), expected);
  t.end();
});

t.test('a name alone asks for every default tag of that name', (t) => {
  const tags = [regex('envoy.http_conn_manager_prefix', ''), regex('envoy.listener_address', '')];
  const cases: [name: string, expected: string][] = [
    ['http.in.rq', 'http.rq {envoy_http_conn_manager_prefix="in"}'],
    ['listener.a.http.in.rq', 'listener.http.rq {envoy_http_conn_manager_prefix="in",envoy_listener_address="a"}'],
    ['listener.admin.http.admin.rq', 'listener.admin.http.rq {envoy_http_conn_manager_prefix="admin"}'],
    ['cluster.a.rq_200', 'cluster.a.rq_200 {}'],
  ];
  for (const [name, expected] of cases) t.equal(extract(name, tags, false), expected);
  t.end();
});

t.test("patterns of Istio's bootstrap: POSIX classes and lookahead", (t) => {
  const tags = [
    regex('cluster_name', '^cluster(\\.(.+);)'),
    regex('http_conn_manager_prefix', '^http\\.(((?:[_.[:digit:]\\w]*|[_\\[\\]aAbBcCdDeEfF[:digit:]\\w\\:]*));\\.)'),
    regex('response_code', '_rq(_(\\d{3}))$'),
    regex('response_code_class', '_rq(_(\\dxx))$'),
    regex(
      'http_conn_manager_listener_prefix',
      '^listener(?=\\.).*?\\.http\\.(((?:[_.[:digit:]]*|[_\\[\\]aAbBcCdDeEfF[:digit:]]*))\\.)',
    ),
    regex('listener_address', '^listener\\.(((?:[_.[:digit:]]*|[_\\[\\]aAbBcCdDeEfF[:digit:]]*))\\.)'),
    regex('authz_dry_run_result', '(\\.shadow_(allowed|denied))'),
  ];
  const cases: [name: string, expected: string][] = [
    [
      'cluster.outbound|80||a.ns.svc;.upstream_rq_200',
      'cluster.upstream_rq {response_code="200",cluster_name="outbound|80||a.ns.svc"}',
    ],
    ['cluster.xds-grpc.upstream_rq_2xx', 'cluster.xds-grpc.upstream_rq {response_code_class="2xx"}'],
    [
      'http.inbound_0.0.0.0_80;.rbac.shadow_denied',
      'http.rbac {authz_dry_run_result="denied",http_conn_manager_prefix="inbound_0.0.0.0_80"}',
    ],
    ['listener.0.0.0.0_15006.downstream_cx_total', 'listener.downstream_cx_total {listener_address="0.0.0.0_15006"}'],
  ];
  for (const [name, expected] of cases) t.equal(extract(name, tags, false), expected);
  t.equal(toJsPattern('[[:alpha:]_][[:space:]]'), '[a-zA-Z_][\\s]');
  t.end();
});

t.test('labels are escaped', (t) => {
  t.equal(labelText([{ name: '1.a-b', value: 'x"y\\z\n' }]), '_1_a_b="x\\"y\\\\z\\n"');
  t.end();
});
