// The bootstrap of the `routes` row: what a gateway of a middling mesh holds. A thousand virtual hosts of ten routes,
// with retries, outlier detection, and CORS and fault filters that no route gives anything to do, as istiod emits them.

import { bootstrapOf, connectionManager, everyHost, extension, type Ports, staticCluster } from './bootstrap-frame.ts';

export const ROUTES_HOSTS = 1_000;
export const ROUTES_PER_HOST = 10;

export interface RoutesJob extends Ports {
  readonly originPort: number;
  /** Otherwise one route, without filters. */
  readonly full: boolean;
}

/** A complete bootstrap as a JSON value. */
export function routesBootstrap(job: RoutesJob): object {
  const fallback = everyHost(route('/', 0, job.full));
  const manager = job.full
    ? connectionManager(
        [...virtualHosts(), fallback],
        [idle('envoy.filters.http.cors', 'cors.v3.Cors'), idle('envoy.filters.http.fault', 'fault.v3.HTTPFault')],
      )
    : connectionManager([fallback]);
  const clusters = Array.from({ length: ROUTES_PER_HOST }, (_, i) => cluster(i, job));
  return bootstrapOf(job, { filters: [manager] }, clusters);
}

function idle(name: string, type: string): object {
  return { name, typed_config: { '@type': extension(`filters.http.${type}`) } };
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
        typed_config: { '@type': extension('retry.host.previous_hosts.v3.PreviousHostsPredicate') },
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
  return staticCluster(clusterName(index), [job.originPort], {
    lb_policy: 'LEAST_REQUEST',
    ...(job.full ? { outlier_detection: { consecutive_5xx: 5, interval: '10s', base_ejection_time: '30s' } } : {}),
  });
}
