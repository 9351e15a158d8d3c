// Where the stats of a listener stand.

import type { AddressModel } from '../config/model/common.ts';
import type { ListenerModel } from '../config/model/listener.ts';

/** `listener.0.0.0.0_80.`: the stat prefix, or the configured address with its colons replaced. */
export function listenerStatPrefix(model: ListenerModel): string {
  if (model.statPrefix !== '') return `listener.${model.statPrefix}.`;
  return `listener.${addressKey(model.address).replaceAll(':', '_')}.`;
}

function addressKey(address: AddressModel): string {
  if (address.kind === 'internal') return `envoy_internal_${address.listenerName}`;
  if (address.kind === 'pipe') return address.path;
  return address.address.includes(':') ? `[${address.address}]:${address.port}` : `${address.address}:${address.port}`;
}
