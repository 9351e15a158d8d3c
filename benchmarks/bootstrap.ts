// The bootstrap that Outrigger and Envoy are both measured with: one file, what a sidecar has switched on.

import {
  bootstrapOf,
  connectionManager,
  everyHost,
  extension,
  type HostAddress,
  type Ports,
  staticCluster,
  tcpProxy,
} from './bootstrap-frame.ts';
import { HOST_BODY } from './settings.ts';

/** Size of the "mesh" file: what a proxy in a middling mesh holds. */
export const MESH_CLUSTERS = 1_000;
export const MESH_HOSTS_PER_CLUSTER = 10;

export interface BootstrapOptions extends Ports {
  readonly originPort: number;
  readonly kind: 'http' | 'tcp';
  /** JSON access log to this file, or none. */
  readonly accessLog: string | null;
  /** Adds 1,000 clusters of 10 hosts and 1,000 virtual hosts. */
  readonly mesh: boolean;
}

const FILE_LOG_TYPE = extension('access_loggers.file.v3.FileAccessLog');

/** The fields of Istio's default JSON access log. */
const LOG_FIELDS = {
  start_time: '%START_TIME%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  protocol: '%PROTOCOL%',
  response_code: '%RESPONSE_CODE%',
  response_flags: '%RESPONSE_FLAGS%',
  response_code_details: '%RESPONSE_CODE_DETAILS%',
  bytes_received: '%BYTES_RECEIVED%',
  bytes_sent: '%BYTES_SENT%',
  duration: '%DURATION%',
  upstream_service_time: '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%',
  x_forwarded_for: '%REQ(X-FORWARDED-FOR)%',
  user_agent: '%REQ(USER-AGENT)%',
  request_id: '%REQ(X-REQUEST-ID)%',
  authority: '%REQ(:AUTHORITY)%',
  upstream_host: '%UPSTREAM_HOST%',
  upstream_cluster: '%UPSTREAM_CLUSTER%',
  downstream_local_address: '%DOWNSTREAM_LOCAL_ADDRESS%',
  downstream_remote_address: '%DOWNSTREAM_REMOTE_ADDRESS%',
  route_name: '%ROUTE_NAME%',
};

/** A complete bootstrap as a JSON value. */
export function bootstrap(options: BootstrapOptions): object {
  const virtualHosts = [...(options.mesh ? meshVirtualHosts() : []), everyHost(route('origin'))];
  const filter = options.kind === 'tcp' ? tcpProxy(logs(options)) : connectionManager(virtualHosts, [], logs(options));
  const clusters = [cluster('origin', [options.originPort]), ...(options.mesh ? meshClusters() : [])];
  return bootstrapOf(options, { filters: [filter] }, clusters);
}

function logs(options: BootstrapOptions): object {
  if (options.accessLog === null) return {};
  return {
    access_log: [
      {
        name: 'envoy.access_loggers.file',
        typed_config: {
          '@type': FILE_LOG_TYPE,
          path: options.accessLog,
          log_format: { json_format: LOG_FIELDS },
        },
      },
    ],
  };
}

function meshClusters(): object[] {
  const clusters: object[] = [];
  for (let i = 0; i < MESH_CLUSTERS; i++) {
    const hosts: HostAddress[] = [];
    for (let h = 0; h < MESH_HOSTS_PER_CLUSTER; h++) hosts.push([`10.${(i >> 8) & 255}.${i & 255}.${h + 1}`, 8080]);
    clusters.push(cluster(`outbound|8080||service-${i}.default.svc.cluster.local`, hosts));
  }
  return clusters;
}

function meshVirtualHosts(): object[] {
  const hosts: object[] = [];
  for (let i = 0; i < MESH_CLUSTERS; i++) {
    const name = `service-${i}.default.svc.cluster.local`;
    hosts.push({
      name: `${name}:8080`,
      domains: [name, `service-${i}`, `service-${i}.default`, `service-${i}.default.svc`],
      routes: [route(`outbound|8080||${name}`)],
    });
  }
  return hosts;
}

function route(to: string): object {
  return {
    name: 'default',
    match: { prefix: '/' },
    route: { cluster: to, timeout: '0s', retry_policy: { retry_on: 'connect-failure,refused-stream', num_retries: 2 } },
  };
}

function cluster(name: string, hosts: readonly HostAddress[]): object {
  return staticCluster(name, hosts, { lb_policy: 'LEAST_REQUEST' });
}

/** nginx with the same job as the bootstrap. */
export function nginxConf(options: BootstrapOptions, dir: string, streamModule: string | null): string {
  const head = [
    'daemon off; master_process off; worker_processes 1; worker_rlimit_nofile 20000;',
    `pid ${dir}/nginx.pid; error_log ${dir}/nginx-error.log;`,
  ];
  const events = 'events { worker_connections 19000; }';
  if (options.kind === 'tcp') {
    const load = streamModule === null ? [] : [`load_module ${streamModule};`];
    const server = `server { listen 127.0.0.1:${options.port} backlog=4096; proxy_pass 127.0.0.1:${options.originPort}; }`;
    return [...load, ...head, events, `stream { ${server} }`, ''].join('\n');
  }
  const fields = 'time:$time_iso8601,status:$status,path:$request_uri,id:$request_id,upstream:$upstream_addr';
  const format = fields
    .split(',')
    .map((field) => `"${field.slice(0, field.indexOf(':'))}":"${field.slice(field.indexOf(':') + 1)}"`)
    .join(',');
  const log =
    options.accessLog === null
      ? 'access_log off;'
      : `log_format j escape=json '{${format}}'; access_log ${options.accessLog} j buffer=64k;`;
  return [
    ...head,
    events,
    `http { ${log}`,
    `  client_body_temp_path ${dir}/b; proxy_temp_path ${dir}/p; fastcgi_temp_path ${dir}/f;`,
    `  uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;`,
    '  keepalive_requests 100000000; keepalive_timeout 3600s; proxy_max_temp_file_size 0;',
    `  upstream origin { server 127.0.0.1:${options.originPort}; keepalive 128; keepalive_requests 100000000; }`,
    `  server { listen 127.0.0.1:${options.port} backlog=4096;`,
    '    location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";',
    '      proxy_set_header Host $host; proxy_set_header X-Request-Id $request_id;',
    '      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto http; } } }',
    '',
  ].join('\n');
}

/** HAProxy with the same job as the bootstrap. */
export function haproxyConf(options: BootstrapOptions): string {
  const http = options.kind === 'http';
  const lines = ['global', '  nbthread 1', '  maxconn 9000'];
  if (options.accessLog !== null) lines.push('  log stdout format raw local0');
  lines.push(
    'defaults',
    `  mode ${options.kind}`,
    '  timeout connect 10s',
    '  timeout client 1h',
    '  timeout server 1h',
  );
  if (http) lines.push('  http-reuse always', '  option http-keep-alive', '  option forwardfor');
  lines.push('frontend ingress', `  bind 127.0.0.1:${options.port} backlog 4096`);
  if (http) {
    lines.push('  unique-id-format %[uuid()]', '  unique-id-header x-request-id');
    lines.push('  http-request set-header x-forwarded-proto http');
  }
  if (options.accessLog !== null) {
    const format = '{"time":"%tr","status":%ST,"path":"%HP","id":"%ID","upstream":"%si:%sp","bytes":%B,"ms":%Ta}';
    lines.push('  log global', `  log-format ${format.replaceAll('"', '\\"').replaceAll(' ', '\\ ')}`);
  }
  lines.push('  default_backend origin', 'backend origin', `  server one 127.0.0.1:${options.originPort}`, '');
  return lines.join('\n');
}

/** What the origin answers to `/`. */
export const EXPECTED_BODY = HOST_BODY;
