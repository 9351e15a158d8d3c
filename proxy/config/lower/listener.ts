// Lowers listeners and their filter chains (Envoy: config.listener.v3).

import { ConfigError } from '../../util/error.ts';
import { factoryName, isLeftOut, missingImplementation } from '../fields/extensions.ts';
import type { AddressModel, SocketOptionModel } from '../model/common.ts';
import type { FilterChainModel, ListenerModel, NetworkFilterModel } from '../model/listener.ts';
import { runtimeInteger } from '../model/runtime.ts';
import { unpackAny } from '../read/any.ts';
import { bool, list, type Msg, num, oneof, oneofCase, str, sub } from '../schema/message.ts';
import { lowerAccessLogs } from './access-log.ts';
import { checkChainMatches, lowerChainMatch } from './chain-match.ts';
import { checkChainNames, lowerChainMatcher } from './chain-matcher.ts';
import {
  addressText,
  type LowerContext,
  lowerAddress,
  lowerMetadata,
  lowerSocketOption,
  lowerTcpKeepalive,
} from './common.ts';
import { wholeMs } from './duration.ts';
import { lowerHttpConnectionManager } from './hcm.ts';
import { checkListenAddress, lowerListenAddress } from './listen-address.ts';
import { lowerListenerFilters } from './listener-filters.ts';
import { smallFilter } from './network-filter.ts';
import { lowerTcpProxy } from './tcp-proxy.ts';
import { lowerDownstreamTransport } from './transport.ts';

const TRAFFIC_DIRECTIONS = ['unspecified', 'inbound', 'outbound'] as const;

/** Envoy's defaults. */
const LISTENER_FILTERS_TIMEOUT_MS = 15_000;
const CONNECTION_BUFFER_BYTES = 1024 * 1024;

const HTTP_CONNECTION_MANAGER = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
const TCP_PROXY = 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy';

/** `Listener`. */
export function lowerListener(message: Msg, ctx: LowerContext, path: string): ListenerModel {
  const address = lowerListenAddress(message, path);
  const addressName = addressText(address);
  const chains = lowerChains(message, ctx, path);
  if (chains.filterChains.length === 0 && chains.defaultFilterChain === null && ctx.refusals === null) {
    throw new ConfigError(`error adding listener '${addressName}': no filter chains specified`, path);
  }
  const matcher = sub(message, 'filterChainMatcher');
  if (matcher === null) checkChainMatches(chains.filterChains, addressName, path);
  else checkChainNames(chains.filterChains, addressName, path);
  const listenerFilters = lowerListenerFilters(message, ctx, path);
  const filtersTimeoutMs = wholeMs(message, 'listenerFiltersTimeout', LISTENER_FILTERS_TIMEOUT_MS, path);
  return {
    name: str(message, 'name') || addressName,
    address,
    additionalAddresses: lowerAdditionalAddresses(message, path),
    statPrefix: str(message, 'statPrefix'),
    gates:
      listenerFilters.filter(({ kind }) => kind === 'local_ratelimit').length +
      countGates(chains.filterChains) +
      countGates(chains.defaultFilterChain === null ? [] : [chains.defaultFilterChain]),
    ...chains,
    chainMatcher: matcher === null ? null : lowerChainMatcher(matcher, `${path}.filter_chain_matcher`),
    ...lowerSocket(message, address),
    maxConnections: connectionLimit(str(message, 'name') || addressName, ctx),
    perConnectionBufferLimitBytes: num(message, 'perConnectionBufferLimitBytes', CONNECTION_BUFFER_BYTES),
    trafficDirection: TRAFFIC_DIRECTIONS[num(message, 'trafficDirection')] ?? 'unspecified',
    useOriginalDst: bool(message, 'useOriginalDst'),
    drainModifyOnly: num(message, 'drainType') === 1,
    ignoreGlobalConnLimit: bool(message, 'ignoreGlobalConnLimit'),
    bypassOverloadManager: bool(message, 'bypassOverloadManager'),
    listenerFilters,
    listenerFiltersTimeoutMs: filtersTimeoutMs,
    continueOnListenerFiltersTimeout: bool(message, 'continueOnListenerFiltersTimeout'),
    serverFirstMs: filtersTimeoutMs === 0 ? ctx.options.serverFirstMs : 0,
    maxConnectionsPerSocketEvent: num(message, 'maxConnectionsToAcceptPerSocketEvent'),
    accessLogs: lowerAccessLogs(list(message, 'accessLog'), ctx, `${path}.access_log`),
    metadata: lowerMetadata(sub(message, 'metadata')),
  };
}

function countGates(chains: readonly FilterChainModel[]): number {
  return chains.reduce((sum, { filters }) => sum + Math.max(0, filters.length - 1), 0);
}

/** The limit of one listener is a runtime key. */
function connectionLimit(name: string, ctx: LowerContext): number {
  return runtimeInteger(ctx.runtime, `envoy.resource_limits.listener.${name}.connection_limit`, 0);
}

// === Sockets ===

function lowerAdditionalAddresses(message: Msg, path: string): ListenerModel['additionalAddresses'] {
  const own = lowerSocketOptions(message);
  return list(message, 'additionalAddresses').map((entry, index) => {
    const at = `${path}.additional_addresses[${index}].address`;
    const address = sub(entry, 'address');
    if (address === null) throw new ConfigError('address is necessary', at);
    const override = sub(entry, 'socketOptions');
    return {
      address: checkListenAddress(lowerAddress(address, at), at),
      socketOptions: override === null ? own : lowerSocketOptions(override),
    };
  });
}

function lowerSocketOptions(message: Msg): readonly SocketOptionModel[] {
  return list(message, 'socketOptions').map(lowerSocketOption);
}

type SocketPart = Pick<
  ListenerModel,
  | 'bindToPort'
  | 'enableReusePort'
  | 'exactBalance'
  | 'tcpBacklogSize'
  | 'transparent'
  | 'freebind'
  | 'socketOptions'
  | 'tcpKeepalive'
>;

function lowerSocket(message: Msg, address: AddressModel): SocketPart {
  const balance = sub(message, 'connectionBalanceConfig');
  const old = sub(message, 'deprecatedV1');
  return {
    bindToPort:
      address.kind !== 'internal' &&
      bool(message, 'bindToPort', true) &&
      (old === null || bool(old, 'bindToPort', true)),
    enableReusePort: bool(message, 'enableReusePort', true),
    exactBalance: balance !== null && oneof(balance, 'balanceType')?.case === 'exactBalance',
    tcpBacklogSize: num(message, 'tcpBacklogSize'),
    transparent: bool(message, 'transparent'),
    freebind: bool(message, 'freebind'),
    socketOptions: lowerSocketOptions(message),
    tcpKeepalive: lowerTcpKeepalive(sub(message, 'tcpKeepalive')),
  };
}

// === Filter chains ===

function lowerChains(
  message: Msg,
  ctx: LowerContext,
  path: string,
): Pick<ListenerModel, 'filterChains' | 'defaultFilterChain'> {
  const filterChains: FilterChainModel[] = [];
  for (const [index, chain] of list(message, 'filterChains').entries()) {
    const model = ctx.attempt(() => lowerChain(chain, ctx, `${path}.filter_chains[${index}]`));
    if (model !== null) filterChains.push(model);
  }
  const fallback = sub(message, 'defaultFilterChain');
  return {
    filterChains,
    defaultFilterChain:
      fallback === null ? null : ctx.attempt(() => lowerChain(fallback, ctx, `${path}.default_filter_chain`)),
  };
}

/** `FilterChain`. */
export function lowerChain(message: Msg, ctx: LowerContext, path: string): FilterChainModel {
  const filters: NetworkFilterModel[] = [];
  const messages = list(message, 'filters');
  for (const [index, filter] of messages.entries()) {
    const at = `${path}.filters[${index}]`;
    const model = ctx.attempt(() => lowerNetworkFilter(filter, index === messages.length - 1, ctx, at));
    if (model !== null) filters.push(model);
  }
  return {
    name: str(message, 'name'),
    match: lowerChainMatch(sub(message, 'filterChainMatch'), `${path}.filter_chain_match`),
    transport: lowerDownstreamTransport(sub(message, 'transportSocket'), ctx, `${path}.transport_socket`),
    transportSocketConnectTimeoutMs: wholeMs(message, 'transportSocketConnectTimeout', 0, path),
    metadata: lowerMetadata(sub(message, 'metadata')),
    filters,
  };
}

/** `null` for a filter that is left out. */
function lowerNetworkFilter(message: Msg, last: boolean, ctx: LowerContext, path: string): NetworkFilterModel | null {
  const name = str(message, 'name');
  const any = oneofCase(message, 'configType', 'typedConfig');
  if (any === null) throw missingImplementation(name, '', path);
  const at = `${path}.typed_config`;
  const config = unpackAny(any, at).message;
  const small = smallFilter(config.$typeName);
  const terminal =
    config.$typeName === HTTP_CONNECTION_MANAGER || config.$typeName === TCP_PROXY || small?.terminal === true;
  if (terminal !== last) {
    const which = `${terminal ? 'terminal' : 'non-terminal'} filter named ${name} of type ${factoryName(config.$typeName)}`;
    const what = terminal ? 'must be the last filter' : 'is the last filter';
    throw new ConfigError(`Error: ${which} ${what} in a network filter chain.`, path);
  }
  switch (config.$typeName) {
    case HTTP_CONNECTION_MANAGER:
      return { kind: 'http_connection_manager', config: lowerHttpConnectionManager(config, ctx, at) };
    case TCP_PROXY:
      return { kind: 'tcp_proxy', config: lowerTcpProxy(config, ctx, at) };
    default:
      if (small !== null) return small.lower(config, ctx, at);
      if (isLeftOut(config.$typeName, ctx.options.skipTypes)) return null;
      throw missingImplementation(name, config.$typeName, path);
  }
}
