// The tags that Envoy takes out of stat names by default: facts of Envoy 1.40, in its order.
//
// Two notations. A *pattern* is a regular expression whose group 1 is cut from the name and whose group 2 is the value.
// A *path* is a dotted name: `$` is the value (cut together with its dot), `*` any one part, `**` any rest.

/** A default tag. `except`: a value that does not count. */
export type DefaultTag =
  | { readonly name: string; readonly pattern: string; readonly contains: string; readonly except: string }
  | { readonly name: string; readonly path: string };

const PART = '[^.]+';
const ADDRESS = '(?:(?:\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}|\\[[a-fA-F_\\d]+\\])_\\d+)';
const CIPHER = '[\\w-]+';
const ROUTE_CONFIG = '[\\w\\-.]+';
const OWNER = '(?:listener|cluster)\\..*?';

function pattern(name: string, source: string, contains = '', except = ''): DefaultTag {
  return { name: `envoy.${name}`, pattern: source, contains, except };
}

function path(name: string, source: string): DefaultTag {
  return { name: `envoy.${name}`, path: source };
}

/** Patterns first, then paths, as Envoy tries them. */
export const DEFAULT_TAGS: readonly DefaultTag[] = [
  pattern('response_code', '_rq(_(\\d{3}))$', '_rq_'),
  pattern('response_code_class', '_rq_((\\d))xx$', '_rq_'),
  pattern(
    'dynamo_partition_id',
    `^http\\.${PART}\\.dynamodb\\.table\\.${PART}\\.capacity\\.${PART}(\\.__partition_id=(\\w{7}))$`,
    '.dynamodb.table.',
  ),
  pattern(
    'dynamo_operation',
    `^http\\.${PART}\\.dynamodb.(?:operation|table\\.${PART}\\.capacity)(\\.(${PART}))(?:\\.|$)`,
    '.dynamodb.',
  ),
  pattern('dynamo_table', `^http\\.${PART}\\.dynamodb.(?:table|error)\\.((${PART})\\.)`, '.dynamodb.'),
  pattern('ssl_cipher', `^listener\\..*?\\.ssl\\.ciphers(\\.(${CIPHER}))$`, '.ssl.ciphers.'),
  pattern('ssl_curve', `^${OWNER}\\.ssl\\.curves(\\.(${CIPHER}))$`, '.ssl.curves.'),
  pattern('ssl_sigalg', `^${OWNER}\\.ssl\\.sigalgs(\\.(${CIPHER}))$`, '.ssl.sigalgs.'),
  pattern('ssl_version', `^${OWNER}\\.ssl\\.versions(\\.(TLSv\\d\\.\\d))$`, '.ssl.versions.'),
  pattern('tls_certificate', `^${OWNER}\\.ssl\\.certificate\\.((${PART})\\.).*$`, '.ssl.certificate.'),
  pattern('ssl_cipher_suite', `^cluster\\.${PART}\\.ssl\\.ciphers(\\.(${CIPHER}))$`, '.ssl.ciphers.'),
  pattern('health_check_name', `^cluster\\.${PART}\\.health_check(\\.name\\.(${PART}))\\..+`, '.health_check.name.'),
  pattern('http_conn_manager_prefix', `^listener\\..*?\\.http\\.((${PART})\\.)`, '.http.'),
  pattern(
    'worker_id',
    `^(?:listener\\.(?:${ADDRESS}|${PART})|server|listener_manager|thread_local_cluster_manager)\\.worker_((\\d+)\\.)`,
    '.worker_',
  ),
  pattern('listener_address', `^listener\\.((${ADDRESS}|${PART})\\.)`, '', 'admin'),
  pattern('rds_route_config', `^http\\.${PART}\\.rds\\.((${ROUTE_CONFIG})\\.)\\w+?$`, '.rds.'),
  pattern('scoped_rds_config', `^http\\.${PART}\\.scoped_rds\\.(([\\w\\-./]+)\\.)\\w+?$`, '.scoped_rds.'),
  pattern(
    'rbac_policy_name',
    `^http\\.${PART}\\.rbac\\.(?:${PART}\\.)?policy\\.((${PART})\\.)(allowed|shadow_allowed|denied|shadow_denied)$`,
    '.rbac.',
  ),
  pattern('rbac_http_prefix', `^http\\.${PART}\\.rbac\\.((${PART})\\.).*?`, '.rbac.', 'policy'),
  pattern('proxy_protocol_version', `^proxy_proto\\.((?:${PART}\\.)?versions\\.v(\\d)\\.)\\w+$`, 'proxy_proto.'),
  pattern('proxy_protocol_prefix', `^proxy_proto\\.((${PART})\\.).+$`, 'proxy_proto.', 'versions'),
  pattern('xds_resource_name', `^sds\\.((${PART})\\.).+`),
  path('mongo_callsite', 'mongo.*.collection.*.callsite.$.query.**'),
  path('mongo_collection', 'mongo.*.collection.$.**.query.*'),
  path('mongo_cmd', 'mongo.*.cmd.$.**'),
  path('grpc_bridge_method', 'cluster.*.grpc.*.$.**'),
  path('http_user_agent', 'http.*.user_agent.$.**'),
  path('virtual_cluster', 'vhost.*.vcluster.$.**'),
  path('fault_downstream_cluster', 'http.*.fault.$.**'),
  path('grpc_bridge_service', 'cluster.*.grpc.$.**'),
  path('tcp_prefix', 'tcp.$.**'),
  path('udp_prefix', 'udp.$.**'),
  path('clientssl_prefix', 'auth.clientssl.$.**'),
  path('ratelimit_prefix', 'ratelimit.$.**'),
  path('cluster_name', 'cluster.$.**'),
  path('ext_authz_prefix', 'cluster.*.ext_authz.$.**'),
  path('ext_authz_prefix', 'http.*.ext_authz.$.**'),
  path('http_conn_manager_prefix', 'http.$.**'),
  path('virtual_host', 'vhost.$.**'),
  path('mongo_prefix', 'mongo.$.**'),
  path('route', 'vhost.*.route.$.**'),
  path('thrift_prefix', 'thrift.$.**'),
  path('redis_prefix', 'redis.$.**'),
  path('local_http_ratelimit_prefix', '$.http_local_rate_limit.**'),
  path('local_network_ratelimit_prefix', 'local_rate_limit.$.**'),
  path('local_listener_ratelimit_prefix', 'listener_local_ratelimit.$.**'),
  path('dns_filter_prefix', 'dns_filter.$.**'),
  path('connection_limit_prefix', 'connection_limit.$.**'),
  path('rbac_prefix', '$.rbac.**'),
  path('google_grpc_client_prefix', 'grpc.$.**'),
];
