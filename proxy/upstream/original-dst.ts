// Hosts of ORIGINAL_DST clusters: whatever a connection was meant for becomes a host when it is first asked for, and is
// forgotten when nobody asked for it for a while and no connection goes there.
//
// The destination is, in this order: what the filter state says, what metadata of the request says, what a header says, where the client was going
// before it was redirected. A value that is no address is counted and passed over.

import type { DiscoveryModel } from '../config/model/cluster.ts';
import type { JsonValue } from '../config/model/common.ts';
import {
  HOST_CX_ACTIVE,
  MEMBERSHIP_CHANGE,
  MEMBERSHIP_HEALTHY,
  MEMBERSHIP_TOTAL,
  ORIGINAL_DST_HOST_INVALID,
} from '../observe/catalogue-cluster.ts';
import { readObject } from '../observe/filter-state.ts';
import { logger } from '../observe/log.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import { type IpPort, joinHostPort, parseIpPort } from '../util/ip.ts';
import type { TimerWheel } from '../util/timer-wheel.ts';
import type { Host } from './host.ts';
import type { Balancer } from './picker.ts';
import type { PickContext } from './upstream.ts';

/** Hosts of one cluster in one worker. Destinations come from clients: without a bound they could fill the memory. */
const HOSTS_MAX = 65_536;
/** Longer intervals are never, milliseconds: Istio's inbound clusters ask for 292 years. */
const CLEANUP_MS_MAX = 2 ** 31 - 1;

type Discovery = DiscoveryModel & { readonly kind: 'original_dst' };

/** What the hosts need of their cluster. */
export interface OriginalDstEnv {
  readonly wheel: TimerWheel;
  /** Block of the `cluster` catalogue. */
  readonly stats: Float64Array;
  makeHost(destination: IpPort): Host;
  /** Closes what is left of a host that is forgotten. */
  dropHost(host: Host): void;
}

interface Entry {
  readonly host: Host;
  /** Asked for since the last cleanup. */
  used: boolean;
}

/** See the head of this file. One per cluster and worker. */
export class OriginalDstBalancer implements Balancer {
  private readonly discovery: Discovery;
  private readonly env: OriginalDstEnv;
  private readonly entries: Map<string, Entry>;
  private readonly cleansUp: boolean;

  constructor(discovery: Discovery, env: OriginalDstEnv) {
    this.discovery = discovery;
    this.env = env;
    this.entries = new Map();
    this.cleansUp = discovery.cleanupIntervalMs > 0 && discovery.cleanupIntervalMs <= CLEANUP_MS_MAX;
  }

  get hosts(): readonly Host[] {
    return Array.from(this.entries.values(), (entry) => entry.host);
  }

  pick(context: PickContext): Host | null {
    const destination = this.destinationOf(context.info);
    if (destination === null) {
      logger('upstream').warning('original_dst_load_balancer: No downstream connection or no original_dst.');
      return null;
    }
    const { ip } = destination;
    const port = this.discovery.portOverride === 0 ? destination.port : this.discovery.portOverride;
    const key = joinHostPort(ip, port);
    const known = this.entries.get(key);
    if (known !== undefined) {
      known.used = true;
      return known.host;
    }
    return this.add(key, { ip, port });
  }

  /** Forgets hosts that were not asked for since the last time and have no connection. */
  cleanUp(): void {
    const { stats } = this.env;
    const before = this.entries.size;
    for (const [key, entry] of this.entries) {
      if (entry.used) entry.used = false;
      else if ((entry.host.stats[HOST_CX_ACTIVE] as number) <= 0) {
        this.entries.delete(key);
        this.env.dropHost(entry.host);
      }
    }
    this.count(this.entries.size - before);
    if (this.entries.size < before) (stats[MEMBERSHIP_CHANGE] as number)++;
    if (this.entries.size > 0) this.scheduleCleanup();
  }

  private add(key: string, destination: IpPort): Host | null {
    if (this.entries.size >= HOSTS_MAX) {
      this.dropOldestIdle();
      if (this.entries.size >= HOSTS_MAX) return null;
    }
    const host = this.env.makeHost(destination);
    this.entries.set(key, { host, used: true });
    this.count(1);
    (this.env.stats[MEMBERSHIP_CHANGE] as number)++;
    if (this.entries.size === 1) this.scheduleCleanup();
    return host;
  }

  private dropOldestIdle(): void {
    for (const [key, { host }] of this.entries) {
      if ((host.stats[HOST_CX_ACTIVE] as number) > 0) continue;
      this.entries.delete(key);
      this.env.dropHost(host);
      this.count(-1);
      return;
    }
  }

  private scheduleCleanup(): void {
    if (this.cleansUp) this.env.wheel.add(this.discovery.cleanupIntervalMs, () => this.cleanUp());
  }

  private count(delta: number): void {
    const { stats } = this.env;
    (stats[MEMBERSHIP_TOTAL] as number) += delta;
    (stats[MEMBERSHIP_HEALTHY] as number) += delta;
  }

  private destinationOf(info: StreamInfo | null): IpPort | null {
    if (info === null) return null;
    const { metadataKey, headerName } = this.discovery;
    const kept = readObject(info, DESTINATION_OBJECT, 'address');
    if (kept !== null) return parseIpPort(kept);
    if (metadataKey !== null) {
      const { key, path } = metadataKey;
      const text =
        metadataText(info.dynamicMetadata?.[key], path) ?? metadataText(info.connection.dynamicMetadata?.[key], path);
      const found = text === null ? null : this.parse(text);
      if (found !== null) return found;
    }
    if (headerName !== '') {
      const text = info.requestHeaders?.get(headerName) ?? null;
      const found = text === null ? null : this.parse(text);
      if (found !== null) return found;
    }
    const { connection } = info;
    return connection.localAddressRestored === true && connection.localIp !== ''
      ? { ip: connection.localIp, port: connection.localPort }
      : null;
  }

  private parse(text: string): IpPort | null {
    const found = parseIpPort(text);
    if (found === null) (this.env.stats[ORIGINAL_DST_HOST_INVALID] as number)++;
    return found;
  }
}

/** An address under this name goes before all else. */
const DESTINATION_OBJECT = 'envoy.network.transport_socket.original_dst_address';

/** The string at a path; `null` when there is none. */
function metadataText(value: JsonValue | undefined, path: readonly string[]): string | null {
  let at = value;
  for (const step of path) {
    if (typeof at !== 'object' || at === null || Array.isArray(at)) return null;
    at = (at as { readonly [key: string]: JsonValue })[step];
  }
  return typeof at === 'string' && at !== '' ? at : null;
}
