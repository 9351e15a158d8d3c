// `/config_dump`: the configuration as proto JSON, in Envoy's sections, with its filters.
//
// Everything static comes from one value: the bootstrap as received, already in dump form (snake_case, defaults
// omitted, `Any` expanded). Pure, so that it runs in whichever thread keeps that value.

import type { JsonObject, JsonValue } from '../config/model/common.ts';
import { JSON_TYPE, protoJson } from './admin-answer.ts';
import { addressJson } from './admin-clusters.ts';
import { adminRegex } from './admin-regex.ts';
import type { ClusterStatus, ConfigDumpQuery, HostStatus } from './admin-state.ts';

const TYPE = 'type.googleapis.com/';
const ADMIN = `${TYPE}envoy.admin.v3.`;
const MANAGER_TYPE = `${TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`;
const SECRET_TYPE = `${TYPE}envoy.extensions.transport_sockets.tls.v3.Secret`;
const ENDPOINTS_TYPE = `${TYPE}envoy.config.endpoint.v3.ClusterLoadAssignment`;
const SCOPE_TYPE = `${TYPE}envoy.config.route.v3.ScopedRouteConfiguration`;
/** Envoy's default for clusters that do not say otherwise. */
const OVERPROVISIONING_FACTOR = 140;

/** What is dumped. */
export interface ConfigDumpSource {
  /** The bootstrap with the node decorated (`decorateNode`). */
  readonly bootstrap: JsonObject;
  /** When it was loaded: RFC 3339 with milliseconds. */
  readonly loadedAt: string;
  /** Asked for by `include_eds` only. */
  readonly clusters: readonly ClusterStatus[];
}

/** A repeated field of a section: its elements' type, where an element keeps its resource, and how it is named. */
interface Resource {
  readonly section: string;
  readonly element: string;
  readonly holder: string;
}

/** Sections in Envoy's order, with their fields. */
const SECTION_FIELDS: ReadonlyMap<string, readonly string[]> = new Map([
  ['BootstrapConfigDump', ['bootstrap', 'last_updated']],
  ['ClustersConfigDump', ['version_info', 'static_clusters', 'dynamic_active_clusters', 'dynamic_warming_clusters']],
  ['EndpointsConfigDump', ['static_endpoint_configs', 'dynamic_endpoint_configs']],
  ['ListenersConfigDump', ['version_info', 'static_listeners', 'dynamic_listeners']],
  ['ScopedRoutesConfigDump', ['inline_scoped_route_configs', 'dynamic_scoped_route_configs']],
  ['RoutesConfigDump', ['static_route_configs', 'dynamic_route_configs']],
  ['SecretsConfigDump', ['static_secrets', 'dynamic_active_secrets', 'dynamic_warming_secrets']],
]);

const RESOURCES: ReadonlyMap<string, Resource> = new Map([
  ['static_clusters', { section: 'ClustersConfigDump', element: 'StaticCluster', holder: 'cluster' }],
  ['dynamic_active_clusters', { section: 'ClustersConfigDump', element: 'DynamicCluster', holder: 'cluster' }],
  ['dynamic_warming_clusters', { section: 'ClustersConfigDump', element: 'DynamicCluster', holder: 'cluster' }],
  [
    'static_endpoint_configs',
    { section: 'EndpointsConfigDump', element: 'StaticEndpointConfig', holder: 'endpoint_config' },
  ],
  [
    'dynamic_endpoint_configs',
    { section: 'EndpointsConfigDump', element: 'DynamicEndpointConfig', holder: 'endpoint_config' },
  ],
  ['static_listeners', { section: 'ListenersConfigDump', element: 'StaticListener', holder: 'listener' }],
  ['dynamic_listeners', { section: 'ListenersConfigDump', element: 'DynamicListener', holder: 'active_state' }],
  [
    'inline_scoped_route_configs',
    { section: 'ScopedRoutesConfigDump', element: 'InlineScopedRouteConfigs', holder: '' },
  ],
  [
    'dynamic_scoped_route_configs',
    { section: 'ScopedRoutesConfigDump', element: 'DynamicScopedRouteConfigs', holder: '' },
  ],
  ['static_route_configs', { section: 'RoutesConfigDump', element: 'StaticRouteConfig', holder: 'route_config' }],
  ['dynamic_route_configs', { section: 'RoutesConfigDump', element: 'DynamicRouteConfig', holder: 'route_config' }],
  ['static_secrets', { section: 'SecretsConfigDump', element: 'StaticSecret', holder: '' }],
  ['dynamic_active_secrets', { section: 'SecretsConfigDump', element: 'DynamicSecret', holder: '' }],
  ['dynamic_warming_secrets', { section: 'SecretsConfigDump', element: 'DynamicSecret', holder: '' }],
]);

const ELEMENT_FIELDS: ReadonlySet<string> = new Set(
  'version_info cluster listener route_config endpoint_config last_updated error_state client_status name secret active_state warming_state draining_state'.split(
    ' ',
  ),
);

/** An answer whose text is there as a whole. */
export interface ConfigDump {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** The answer to a dump request. */
export function renderConfigDump(source: ConfigDumpSource, query: ConfigDumpQuery): ConfigDump {
  const regex = query.nameRegex === '' ? null : adminRegex(query.nameRegex, true);
  if (regex !== null && 'refused' in regex) {
    return plain(400, `INVALID_ARGUMENT: Error while parsing name_regex from ${query.nameRegex}: ${regex.refused}`);
  }
  const sections = dumpSections(source, query.includeEds, regex === null ? null : regex.test);
  if (query.resource !== '') return resourceAnswer(sections, query.resource, query.mask);
  return query.mask === '' ? configs(sections) : maskedAnswer(sections, query.mask);
}

/** All sections, in order. `named`: which resources to keep. */
export function dumpSections(
  source: ConfigDumpSource,
  includeEds: boolean,
  named: ((name: string) => boolean) | null,
): JsonObject[] {
  const { bootstrap, loadedAt } = source;
  const resources = objectAt(bootstrap, 'static_resources');
  const keep = (value: JsonObject) => named === null || named(textAt(value, 'name'));
  const listeners = listAt(resources, 'listeners');
  const clusters = listAt(resources, 'clusters').filter(keep).sort(byName);
  const stamp = (holder: string, type: string) => (value: JsonObject) => ({
    [holder]: { '@type': TYPE + type, ...value },
    last_updated: loadedAt,
  });
  const managers = listeners.flatMap(managersOf);
  const routes = valuesOf(managers, 'route_config').filter(keep);
  const scoped = valuesOf(managers, 'scoped_routes');
  return [
    section('BootstrapConfigDump', { bootstrap, last_updated: loadedAt }),
    section('ClustersConfigDump', {
      static_clusters: clusters.map(stamp('cluster', 'envoy.config.cluster.v3.Cluster')),
    }),
    ...(includeEds ? [endpointSection(source.clusters, named)] : []),
    section('ListenersConfigDump', {
      static_listeners: listeners.filter(keep).map(stamp('listener', 'envoy.config.listener.v3.Listener')),
    }),
    section('ScopedRoutesConfigDump', {
      inline_scoped_route_configs: scoped.map((value) => ({ ...scopesOf(value, keep), last_updated: loadedAt })),
    }),
    section('RoutesConfigDump', {
      static_route_configs: routes.map(stamp('route_config', 'envoy.config.route.v3.RouteConfiguration')),
    }),
    section('SecretsConfigDump', { static_secrets: staticSecrets(resources).filter(keep) }),
  ];
}

/** Kinds of secrets in the order of Envoy's lists. */
const SECRET_KINDS = ['tls_certificate', 'validation_context', 'session_ticket_keys', 'generic_secret'];

function staticSecrets(resources: JsonObject): JsonObject[] {
  const secrets = listAt(resources, 'secrets');
  return SECRET_KINDS.flatMap((kind) => secrets.filter((secret) => secret[kind] !== undefined)).map((secret) => ({
    name: textAt(secret, 'name'),
    secret: { '@type': SECRET_TYPE, ...secret },
  }));
}

/** A dump section; empty lists are defaults and not printed. */
function section(name: string, fields: JsonObject): JsonObject {
  const out: Record<string, JsonValue> = { '@type': ADMIN + name };
  for (const [key, value] of Object.entries(fields)) {
    if (!(Array.isArray(value) && value.length === 0)) out[key] = value;
  }
  return out;
}

/** The connection managers of a listener. */
function managersOf(listener: JsonObject): JsonObject[] {
  const chains = [...listAt(listener, 'filter_chains'), objectAt(listener, 'default_filter_chain')];
  return chains
    .flatMap((chain) => listAt(chain, 'filters'))
    .map((filter) => objectAt(filter, 'typed_config'))
    .filter((config) => config['@type'] === MANAGER_TYPE);
}

function valuesOf(values: readonly JsonObject[], key: string): JsonObject[] {
  return values.filter((value) => value[key] !== undefined).map((value) => objectAt(value, key));
}

/** Scopes are kept by their own names. */
function scopesOf(scopedRoutes: JsonObject, keep: (scope: JsonObject) => boolean): JsonObject {
  const scopes = listAt(objectAt(scopedRoutes, 'scoped_route_configurations_list'), 'scoped_route_configurations');
  const kept = scopes.filter(keep).map((scope) => ({ '@type': SCOPE_TYPE, ...scope }));
  return { name: textAt(scopedRoutes, 'name'), ...(kept.length === 0 ? {} : { scoped_route_configs: kept }) };
}

// === Endpoints ===

function endpointSection(clusters: readonly ClusterStatus[], named: ((name: string) => boolean) | null): JsonObject {
  const shown = clusters.filter((cluster) => named === null || named(cluster.name));
  shown.sort((a, b) => (a.name < b.name ? -1 : 1));
  const dumps = (dynamic: boolean) =>
    shown.filter((cluster) => (cluster.edsServiceName !== '') === dynamic).map(endpointConfig);
  return section('EndpointsConfigDump', {
    static_endpoint_configs: dumps(false),
    dynamic_endpoint_configs: dumps(true),
  });
}

function endpointConfig(cluster: ClusterStatus): JsonObject {
  const groups = new Map<string, HostStatus[]>();
  for (const host of cluster.hosts) {
    const key = JSON.stringify([host.priority, host.region, host.zone, host.subZone]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [host]);
    else group.push(host);
  }
  return {
    endpoint_config: {
      '@type': ENDPOINTS_TYPE,
      cluster_name: cluster.edsServiceName === '' ? cluster.name : cluster.edsServiceName,
      ...(groups.size === 0 ? {} : { endpoints: [...groups.values()].map(localityEndpoints) }),
      policy: { overprovisioning_factor: OVERPROVISIONING_FACTOR },
    },
  };
}

function localityEndpoints(hosts: readonly HostStatus[]): JsonObject {
  const { region, zone, subZone, priority } = hosts[0] as HostStatus;
  return {
    locality: {
      ...(region === '' ? {} : { region }),
      ...(zone === '' ? {} : { zone }),
      ...(subZone === '' ? {} : { sub_zone: subZone }),
    },
    lb_endpoints: hosts.map((host) => ({
      endpoint: {
        address: addressJson(host.address),
        health_check_config: {},
        ...(host.hostname === '' ? {} : { hostname: host.hostname }),
      },
      health_status: host.edsHealthStatus,
      load_balancing_weight: host.weight,
    })),
    load_balancing_weight: 0,
    ...(priority === 0 ? {} : { priority }),
  };
}

// === Filters ===

function resourceAnswer(sections: readonly JsonObject[], name: string, mask: string): ConfigDump {
  const owner = sections.find((candidate) => SECTION_FIELDS.get(sectionName(candidate))?.includes(name));
  if (owner === undefined) return plain(404, `${name} not found in config dump`);
  const resource = RESOURCES.get(name);
  if (resource === undefined) {
    return plain(400, `${name} is not a repeated field. Use ?mask=${name} to get only this field`);
  }
  const type = `${ADMIN}${resource.section}.${resource.element}`;
  const elements = listAt(owner, name).map((element) => ({ '@type': type, ...element }));
  if (mask === '') return configs(elements);
  const masked = elements.map((element) => applyMask(element, mask, ELEMENT_FIELDS));
  if (masked.some((element) => element === null)) {
    const paths = mask.split(',').map((path) => `paths: "${path}"\n`);
    return plain(400, `FieldMask ${paths.join('')} could not be successfully used.`);
  }
  return configs(masked.filter((element) => element !== null));
}

function maskedAnswer(sections: readonly JsonObject[], mask: string): ConfigDump {
  const masked = sections
    .map((one) => applyMask(one, mask, new Set(SECTION_FIELDS.get(sectionName(one)))))
    .filter((one) => one !== null);
  if (masked.length === 0) return plain(400, `FieldMask ${mask} could not be successfully applied to any configs.`);
  return configs(masked);
}

function sectionName(one: JsonObject): string {
  return textAt(one, '@type').slice(ADMIN.length);
}

/** Keeps only what the comma-separated paths name; `null` when a path does not fit `fields` or leads through a list. */
function applyMask(value: JsonObject, mask: string, fields: ReadonlySet<string>): JsonObject | null {
  const out: Record<string, JsonValue> = {};
  if (value['@type'] !== undefined) out['@type'] = value['@type'];
  for (const path of mask.split(',')) {
    const parts = path.split('.');
    if (!fields.has(parts[0] as string) || !copyPath(value, out, parts)) return null;
  }
  return out;
}

function copyPath(from: JsonObject, into: Record<string, JsonValue>, parts: readonly string[]): boolean {
  const [head, ...rest] = parts as [string, ...string[]];
  const value = from[head];
  if (value === undefined) return true;
  if (rest.length === 0) {
    if (isObject(value) && value['@type'] !== undefined) return false; // an `Any` cannot be picked whole, only looked into
    into[head] = value;
    return true;
  }
  if (!isObject(value)) return false;
  const existing = into[head];
  const next: Record<string, JsonValue> = isObject(existing) ? { ...existing } : {};
  if (value['@type'] !== undefined) next['@type'] = value['@type'];
  into[head] = next;
  return copyPath(value, next, rest);
}

function configs(list: readonly JsonObject[]): ConfigDump {
  return { status: 200, contentType: JSON_TYPE, body: protoJson(list.length === 0 ? {} : { configs: list }) };
}

function plain(status: number, body: string): ConfigDump {
  return { status, contentType: 'text/plain', body };
}

// === JSON access ===

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function objectAt(value: JsonObject, key: string): JsonObject {
  const found = value[key];
  return isObject(found) ? found : {};
}

function listAt(value: JsonObject, key: string): JsonObject[] {
  const found = value[key];
  return Array.isArray(found) ? found.filter(isObject) : [];
}

function textAt(value: JsonObject, key: string): string {
  const found = value[key];
  return typeof found === 'string' ? found : '';
}

function byName(a: JsonObject, b: JsonObject): number {
  const [x, y] = [textAt(a, 'name'), textAt(b, 'name')];
  return x < y ? -1 : x > y ? 1 : 0;
}
