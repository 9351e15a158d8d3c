// Which listener of a worker has an address: where connections go whose destination was restored (Envoy:
// `use_original_dst`). The listener at exactly that address comes first, then the one at any address of its family.

import type { AddressModel } from '../config/model/common.ts';
import { canonicalIp, joinHostPort } from '../util/ip.ts';

/** See the head of this file. One per worker; `T` is the listener. */
export class ListenerDirectory<T> {
  private readonly exact: Map<string, T>;
  /** By port: listeners at `0.0.0.0` and at `::`. */
  private readonly anyV4: Map<number, T>;
  private readonly anyV6: Map<number, T>;

  constructor() {
    this.exact = new Map();
    this.anyV4 = new Map();
    this.anyV6 = new Map();
  }

  /** A later listener at the same address takes its place. Pipes and internal addresses are nobody's destination. */
  add(address: AddressModel, listener: T): void {
    if (address.kind !== 'socket' || address.port === 0) return;
    if (address.address === '0.0.0.0') this.anyV4.set(address.port, listener);
    else if (address.address === '::') {
      this.anyV6.set(address.port, listener);
      // A socket for both families gives way to one that is for IPv4 alone.
      if (address.ipv4Compat && !this.anyV4.has(address.port)) this.anyV4.set(address.port, listener);
    } else this.exact.set(joinHostPort(canonicalIp(address.address), address.port), listener);
  }

  /** The listener stopped: it gets no more connections. */
  remove(listener: T): void {
    for (const map of [this.exact, this.anyV4, this.anyV6] as Map<string | number, T>[])
      for (const [key, value] of map) if (value === listener) map.delete(key);
  }

  /** @param hostPort `ip` and `port` as `joinHostPort` writes them */
  find(hostPort: string, ip: string, port: number): T | null {
    return this.exact.get(hostPort) ?? (ip.includes(':') ? this.anyV6 : this.anyV4).get(port) ?? null;
  }
}
