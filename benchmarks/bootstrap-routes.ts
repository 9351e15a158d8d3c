// The bootstrap of the `routes` row: what a gateway of a middling mesh holds. A thousand virtual hosts of ten routes,
// with retries, outlier detection, and CORS and fault filters that no route gives anything to do, as istiod emits them.

import { HCM_TYPE, RAISED_BREAKERS, ROUTER_TYPE, socketAddress } from './bootstrap.ts';

export const ROUTES_HOSTS = 1_000;
export const ROUTES_PER_HOST = 10;

const TYPES = 'type.googleapis.com/envoy.extensions.';

export interface RoutesJob {
  readonly port: number;
  readonly adminPort: number;
  readonly originPort: number;
  /** Otherwise one route, without filters. */
  readonly full: boolean;
}

/** A complete bootstrap as a JSON value. */
export function routesBootstrap(job: RoutesJob): object {
  const router = { name: 'envoy.filters.http.router', typed_config: { '@type': ROUTER_TYPE } };
  const idle = (name: string, type: string): object => ({ name, typed_config: { '@type': `${TYPES}${type}` } });
  const filters = [
    idle('envoy.filters.http.cors', 'filters.http.cors.v3.Cors'),
    idle('envoy.filters.http.fault', 'filters.http.fault.v3.HTTPFault'),
    router,
  ];
  const fallback = { name: 'rest', domains: ['*'], routes: [route('/', 0, job.full)] };
  const manager = {
    '@type': HCM_TYPE,
    stat_prefix: 'ingress',
    generate_request_id: true,
    http_filters: job.full ? filters : [router],
    route_config: { name: 'local', virtual_hosts: job.full ? [...virtualHosts(), fallback] : [fallback] },
  };
  return {
    node: { id: 'bench', cluster: 'bench' },
    admin: { address: socketAddress('127.0.0.1', job.adminPort) },
    static_resources: {
      listeners: [
        {
          name: 'ingress',
          address: socketAddress('127.0.0.1', job.port),
          filter_chains: [
            { filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }] },
          ],
        },
      ],
      clusters: Array.from({ length: ROUTES_PER_HOST }, (_, i) => cluster(i, job)),
    },
  };
}

/** Name of a virtual host's first domain. */
export function hostName(index: number): string {
  return `service-${index}.default.svc.cluster.local`;
}

/** A path that the route of this index takes, the last one being for all others. */
export function pathOf(index: number): string {
  return `/api/v${index}/items`;
}

function virtualHosts(): object[] {
  return Array.from({ length: ROUTES_HOSTS }, (_, host) => ({
    name: `${hostName(host)}:80`,
    domains: [hostName(host), `service-${host}`, `service-${host}.default`],
    routes: Array.from({ length: ROUTES_PER_HOST }, (_, i) =>
      route(i === ROUTES_PER_HOST - 1 ? '/' : `/api/v${i}/`, i, true),
    ),
  }));
}

function route(prefix: string, clusterIndex: number, full: boolean): object {
  const retry = {
    retry_on: 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes',
    num_retries: 2,
    host_selection_retry_max_attempts: '5',
    retry_host_predicate: [
      {
        name: 'envoy.retry_host_predicates.previous_hosts',
        typed_config: { '@type': `${TYPES}retry.host.previous_hosts.v3.PreviousHostsPredicate` },
      },
    ],
    retriable_status_codes: [503],
  };
  return {
    name: 'default',
    match: { prefix },
    route: { cluster: clusterName(clusterIndex), timeout: '0s', ...(full ? { retry_policy: retry } : {}) },
  };
}

function clusterName(index: number): string {
  return `outbound|80|v${index}|service.default.svc.cluster.local`;
}

function cluster(index: number, job: RoutesJob): object {
  const name = clusterName(index);
  return {
    name,
    type: 'STATIC',
    connect_timeout: '10s',
    lb_policy: 'LEAST_REQUEST',
    circuit_breakers: RAISED_BREAKERS,
    ...(job.full ? { outlier_detection: { consecutive_5xx: 5, interval: '10s', base_ejection_time: '30s' } } : {}),
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress('127.0.0.1', job.originPort) } }] }],
    },
  };
}
