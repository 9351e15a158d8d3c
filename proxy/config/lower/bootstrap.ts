// `config.bootstrap.v3.Bootstrap` → `Model`. Clusters come first: routes are checked against their names.

import { isIP } from 'node:net';
import { DEFAULT_TEXT_FORMAT } from '../../observe/format.ts';
import { compileJsonLogPattern, compileLogPattern } from '../../observe/log-pattern.ts';
import { ConfigError } from '../../util/error.ts';
import { isLeftOut, missingImplementation } from '../fields/extensions.ts';
import type { AccessLogModel } from '../model/access-log.ts';
import type { ClusterModel } from '../model/cluster.ts';
import type { ListenerModel } from '../model/listener.ts';
import type { AdminModel, Model, NodeModel } from '../model/model.ts';
import type { OverloadModel } from '../model/overload.ts';
import { type RuntimeKeys, runtimeInteger } from '../model/runtime.ts';
import { unpackAny } from '../read/any.ts';
import { bool, list, type Msg, num, oneof, oneofCase, str, type struct, sub } from '../schema/message.ts';
import { typeNameOf } from '../schema/registry.ts';
import { lowerAccessLogs } from './access-log.ts';
import { lowerCluster } from './cluster.ts';
import { type LowerContext, lowerAddress, structOrEmpty } from './common.ts';
import { wholeMs } from './duration.ts';
import { claimAddresses } from './listen-address.ts';
import { lowerListener } from './listener.ts';
import { lowerOverload } from './overload.ts';
import { lowerRuntime } from './runtime.ts';
import { collectSecrets } from './secrets.ts';
import { lowerStatsConfig } from './stats.ts';

const DEFAULT_STATS_FLUSH_MS = 5000;
const DEFAULT_HEADER_PREFIX = 'x-envoy';
const CONNECTION_LIMIT_KEY = 'overload.global_downstream_max_connections';

const INTERNAL_LISTENER = 'envoy.extensions.bootstrap.internal_listener.v3.InternalListener';
/** Envoy's default. */
const INTERNAL_BUFFER_KB = 1024;

/**
 * @param message a decoded and validated `Bootstrap`
 * @throws ConfigError unless the context collects refusals
 */
export function lowerBootstrap(message: Msg, ctx: LowerContext): Model {
  ctx.checkFields(message, '');
  const manager = sub(message, 'clusterManager');
  ctx.defaultBind = manager === null ? null : sub(manager, 'upstreamBindConfig');
  const { runtime, runtimeLayers } = lowerRuntime(message, 'layered_runtime');
  ctx.runtime = runtime;
  const resources = sub(message, 'staticResources');
  if (resources !== null) ctx.secrets = collectSecrets(list(resources, 'secrets'), 'static_resources.secrets');
  const clusters = resources === null ? [] : lowerClusters(list(resources, 'clusters'), ctx);
  ctx.clusterNames = new Set(clusters.map((cluster) => cluster.name));
  const events = manager === null ? null : sub(manager, 'outlierDetection');
  const localClusterName = manager === null ? '' : str(manager, 'localClusterName');
  if (localClusterName !== '' && !ctx.clusterNames.has(localClusterName)) {
    throw new ConfigError(`local cluster '${localClusterName}' must be defined`, 'cluster_manager.local_cluster_name');
  }
  const overload = lowerOverload(sub(message, 'overloadManager'), ctx);
  const internalBufferBytes = lowerExtensions(list(message, 'bootstrapExtensions'), ctx);
  const node = lowerNode(sub(message, 'node'), ctx);
  ctx.nodeId = node.id;
  const listeners =
    resources === null ? [] : lowerListeners(list(resources, 'listeners'), internalBufferBytes !== null, ctx);
  return {
    node,
    admin: lowerAdmin(sub(message, 'admin'), ctx),
    stats: lowerStats(sub(message, 'statsConfig'), ctx),
    statsFlushIntervalMs: lowerFlushInterval(message),
    runtime,
    runtimeLayers,
    ...connectionLimit(overload, listeners, runtime),
    overload,
    headerPrefix: str(message, 'headerPrefix') || DEFAULT_HEADER_PREFIX,
    listeners,
    // What listeners have said.
    faultScopes: [...ctx.faultScopes],
    clusters,
    logFormat: lowerLogFormat(sub(message, 'applicationLogConfig')),
    localClusterName,
    outlierLogPath: events === null ? '' : str(events, 'eventLogPath'),
    internalBufferBytes: internalBufferBytes ?? INTERNAL_BUFFER_KB * 1024,
  };
}

function lowerClusters(messages: readonly Msg[], ctx: LowerContext): ClusterModel[] {
  const clusters: ClusterModel[] = [];
  const names = new Set<string>();
  for (const [i, message] of messages.entries()) {
    const path = `static_resources.clusters[${i}]`;
    const cluster = ctx.attempt(() => {
      const name = str(message, 'name');
      if (names.has(name)) throw new ConfigError(`cluster manager: duplicate cluster '${name}'`, path);
      names.add(name);
      return lowerCluster(message, ctx, path);
    });
    if (cluster !== null) clusters.push(cluster);
  }
  return clusters;
}

function lowerListeners(messages: readonly Msg[], mayBeInternal: boolean, ctx: LowerContext): ListenerModel[] {
  const listeners: ListenerModel[] = [];
  const names = new Set<string>();
  const taken = new Set<string>();
  for (const [i, message] of messages.entries()) {
    const path = `static_resources.listeners[${i}]`;
    const listener = ctx.attempt(() => {
      const lowered = lowerListener(message, ctx, path);
      if (lowered.address.kind === 'internal' && !mayBeInternal) {
        const sentence = `error adding listener named '${lowered.name}': InternalListener bootstrap extension is mandatory`;
        throw new ConfigError(sentence, path);
      }
      // Envoy drops the second one without a word; a listener that silently is not there helps nobody.
      if (names.has(lowered.name)) throw new ConfigError(`duplicate listener ${lowered.name} found`, path);
      names.add(lowered.name);
      claimAddresses(taken, lowered, path);
      return lowered;
    });
    if (listener !== null) listeners.push(listener);
  }
  return listeners;
}

/** Tags of the command line stand beside those of the file. */
function lowerStats(message: Msg | null, ctx: LowerContext): Model['stats'] {
  const stats = lowerStatsConfig(message, 'stats_config');
  const fixed = ctx.options.statsTags.map(([name, value]) => ({ name, rule: { kind: 'fixed', value } }) as const);
  return fixed.length === 0 ? stats : { ...stats, tags: [...stats.tags, ...fixed] };
}

/** The command line wins over the file. */
function lowerNode(message: Msg | null, ctx: LowerContext): NodeModel {
  const { serviceNode, serviceCluster, serviceZone } = ctx.options;
  const locality = message === null ? null : sub(message, 'locality');
  const part = (field: string) => (locality === null ? '' : str(locality, field));
  return {
    id: serviceNode || (message === null ? '' : str(message, 'id')),
    cluster: serviceCluster || (message === null ? '' : str(message, 'cluster')),
    locality: { region: part('region'), zone: serviceZone || part('zone'), subZone: part('subZone') },
    metadata: message === null ? {} : structOrEmpty(message, 'metadata'),
  };
}

function lowerAdmin(message: Msg | null, ctx: LowerContext): AdminModel | null {
  if (message === null) return null;
  const addressMessage = sub(message, 'address');
  const logs = [...lowerAccessLogs(list(message, 'accessLog'), ctx, 'admin.access_log')];
  const olderPath = str(message, 'accessLogPath');
  if (olderPath !== '') logs.push(fileLog(olderPath));
  if (addressMessage === null) return null;
  const address = lowerAddress(addressMessage, 'admin.address');
  if (address.kind === 'socket' && isIP(address.address) === 0) {
    throw new ConfigError(`malformed IP address: ${address.address}`, 'admin.address.socket_address.address');
  }
  if (address.kind === 'internal') throw new ConfigError('the admin cannot listen internally', 'admin.address');
  return { address, accessLogs: logs, ignoreGlobalConnLimit: bool(message, 'ignoreGlobalConnLimit') };
}

/** `access_log_path`, the older spelling of one file log. */
function fileLog(path: string): AccessLogModel {
  return {
    name: 'envoy.access_loggers.file',
    filter: null,
    sink: { kind: 'file', path },
    format: { kind: 'text', format: DEFAULT_TEXT_FORMAT, omitEmptyValues: false },
  };
}

function lowerFlushInterval(bootstrap: Msg): number {
  if (oneof(bootstrap, 'statsFlush') !== null && sub(bootstrap, 'statsFlushInterval') !== null) {
    throw new ConfigError(
      'Only one of stats_flush_interval or stats_flush_on_admin should be set!',
      'stats_flush_on_admin',
    );
  }
  return wholeMs(bootstrap, 'statsFlushInterval', DEFAULT_STATS_FLUSH_MS, '');
}

/** The overload manager's monitor, which knows nothing of listeners that are spared; or the older runtime key. */
function connectionLimit(
  overload: OverloadModel | null,
  listeners: readonly ListenerModel[],
  runtime: RuntimeKeys,
): Pick<Model, 'maxDownstreamConnections' | 'limitedListeners'> {
  for (const monitor of overload?.monitors ?? []) {
    if (monitor.kind !== 'connections') continue;
    const limited = [...listeners.keys()].filter((index) => {
      const listener = listeners[index];
      return listener?.ignoreGlobalConnLimit === false && !listener.bypassOverloadManager;
    });
    return { maxDownstreamConnections: monitor.max, limitedListeners: limited };
  }
  return { maxDownstreamConnections: runtimeInteger(runtime, CONNECTION_LIMIT_KEY, 0), limitedListeners: null };
}

/** @returns the buffer size of internal listeners in bytes; `null` = there is no extension for them */
function lowerExtensions(extensions: readonly Msg[], ctx: LowerContext): number | null {
  let internalBufferBytes: number | null = null;
  for (const [i, extension] of extensions.entries()) {
    const path = `bootstrap_extensions[${i}]`;
    const any = sub(extension, 'typedConfig');
    const config = any === null ? null : unpackAny(any, `${path}.typed_config`);
    const typeName = config === null ? '' : typeNameOf(config.typeUrl);
    if (config !== null && typeName === INTERNAL_LISTENER) {
      internalBufferBytes = num(config.message, 'bufferSizeKb', INTERNAL_BUFFER_KB) * 1024;
    } else if (!isLeftOut(typeName, ctx.options.skipTypes)) {
      ctx.attempt(() => {
        throw missingImplementation(str(extension, 'name'), typeName, path);
      });
    }
  }
  return internalBufferBytes;
}

function lowerLogFormat(message: Msg | null): Model['logFormat'] {
  const format = message === null ? null : sub(message, 'logFormat');
  if (format === null) return null;
  const text = oneofCase<string>(format, 'logFormat', 'textFormat');
  if (text !== null) {
    compileLogPattern(text, false);
    return { kind: 'text', format: text };
  }
  const json = oneofCase(format, 'logFormat', 'jsonFormat');
  if (json === null) return null;
  const model = json as unknown as NonNullable<ReturnType<typeof struct>>;
  compileJsonLogPattern(model);
  return { kind: 'json', format: model };
}
