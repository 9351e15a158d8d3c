// `core.v3.BindConfig` of a cluster or of all clusters. Refusals use Envoy's sentences behind the path.

import { isIP } from 'node:net';
import { ConfigError } from '../../util/error.ts';
import type { BindModel } from '../model/cluster.ts';
import type { SocketOptionModel } from '../model/common.ts';
import { bool, has, list, type Msg, sub } from '../schema/message.ts';
import { lowerSocketAddress, lowerSocketOption } from './common.ts';

/**
 * The cluster's own configuration takes the place of the general one, except that `freebind` and `socket_options` are
 * inherited one by one.
 * @param who as Envoy names the cluster or the bootstrap in its sentences
 */
export function lowerBind(own: Msg | null, general: Msg | null, who: string, path: string): BindModel | null {
  const message = own ?? general;
  if (message === null) return null;
  const owner = own === null ? 'Bootstrap' : who;
  const options = optionsOf(own).length > 0 ? optionsOf(own) : optionsOf(general);
  const freebind = own !== null && has(own, 'freebind') ? bool(own, 'freebind') : flagOf(general);
  const sources = lowerSources(message, options, owner, `${path}.upstream_bind_config`);
  if (sources.length === 0 && options.length === 0 && !freebind) return null;
  return { sources, freebind, socketOptions: options };
}

function optionsOf(message: Msg | null): readonly SocketOptionModel[] {
  return message === null ? [] : list(message, 'socketOptions').map(lowerSocketOption);
}

function flagOf(message: Msg | null): boolean {
  return message !== null && bool(message, 'freebind');
}

function lowerSources(
  message: Msg,
  options: readonly SocketOptionModel[],
  owner: string,
  path: string,
): BindModel['sources'] {
  const main = sub(message, 'sourceAddress');
  const extra = list(message, 'extraSourceAddresses');
  const older = list(message, 'additionalSourceAddresses');
  if (extra.length > 0 && older.length > 0) {
    throw new ConfigError(
      `Can't specify both \`extra_source_addresses\` and \`additional_source_addresses\` in the ${owner}'s upstream binding config`,
      path,
    );
  }
  const more = extra.length + older.length;
  if (main === null) {
    if (more === 0) return [];
    throw new ConfigError(
      `${owner}'s upstream binding config has extra/additional source addresses but no source_address. Extra/additional addresses cannot be specified if source_address is not set.`,
      path,
    );
  }
  if (more > 1) {
    throw new ConfigError(
      `${owner}'s upstream binding config has more than one extra/additional source addresses. Only one extra/additional source can be supported in BindConfig's extra_source_addresses/additional_source_addresses field`,
      path,
    );
  }
  const sources = [
    lowerSource(main, options, `${path}.source_address`),
    ...extra.map((each, i) => {
      const address = sub(each, 'address');
      const override = sub(each, 'socketOptions');
      const at = `${path}.extra_source_addresses[${i}]`;
      if (address === null) throw new ConfigError('address is required', at);
      return lowerSource(address, override === null ? options : optionsOf(override), at);
    }),
    ...older.map((each, i) => lowerSource(each, options, `${path}.additional_source_addresses[${i}]`)),
  ];
  if (new Set(sources.map(({ address }) => isIP(address))).size < sources.length) {
    throw new ConfigError(
      `${owner}'s upstream binding config has two same IP version source addresses. Only two different IP version source addresses can be supported in BindConfig's source_address and extra_source_addresses/additional_source_addresses fields`,
      path,
    );
  }
  return sources;
}

function lowerSource(
  message: Msg,
  socketOptions: readonly SocketOptionModel[],
  path: string,
): BindModel['sources'][number] {
  const address = lowerSocketAddress(message, path);
  if (address.kind !== 'socket' || isIP(address.address) === 0) {
    const text = address.kind === 'socket' ? address.address : '';
    throw new ConfigError(`malformed IP address: ${text}`, path);
  }
  return { address: address.address, port: address.port, socketOptions };
}
