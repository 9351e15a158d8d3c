// Hosts as clients reach them from their own addresses (the `original_src` listener filter): connections of one client
// may not serve another one, so each pair of a host and a client is a host of its own, with its own pools.

import type { BindModel } from '../config/model/cluster.ts';
import type { DialTarget } from '../net/dial.ts';
import { sockaddrOf } from '../net/source.ts';
import { HOST_CX_ACTIVE } from '../observe/catalogue-cluster.ts';
import type { UpstreamSource } from '../observe/stream-info.ts';
import { joinHostPort } from '../util/ip.ts';
import type { TimerWheel } from '../util/timer-wheel.ts';
import { Host } from './host.ts';

/** Pairs of one cluster in one worker; clients make them, so there is a bound. */
const PAIRS_MAX = 65_536;
/** How often pairs without connections are forgotten, milliseconds. */
const CLEANUP_MS = 30_000;

/** See the head of this file. One per cluster and worker, made when the first such connection comes. */
export class SourcedHosts {
  private readonly pairs: Map<string, Host>;
  private readonly clusterName: string;
  private readonly bind: BindModel | null;
  private readonly wheel: TimerWheel;
  private readonly drop: (host: Host) => void;

  /** @param drop closes what is left of a host that is forgotten */
  constructor(clusterName: string, bind: BindModel | null, wheel: TimerWheel, drop: (host: Host) => void) {
    this.pairs = new Map();
    this.clusterName = clusterName;
    this.bind = bind;
    this.wheel = wheel;
    this.drop = drop;
  }

  /** The host from a client's address; `null` when there are too many pairs. */
  find(host: Host, source: UpstreamSource): Host | null {
    const key = `${host.address}|${host.hostname}|${joinHostPort(source.ip, source.port)}`;
    const known = this.pairs.get(key);
    if (known !== undefined) return known;
    if (this.pairs.size >= PAIRS_MAX) this.cleanUp();
    if (this.pairs.size >= PAIRS_MAX) return null;
    const targets = host.targets.map((target) => this.from(target, source));
    const made = new Host(host.endpoint, targets, this.clusterName, null);
    made.zone = host.zone;
    made.monitor = host.monitor;
    this.pairs.set(key, made);
    if (this.pairs.size === 1) this.schedule();
    return made;
  }

  private from(target: DialTarget, { ip, port, mark }: UpstreamSource): DialTarget {
    const bind = {
      address: ip,
      port,
      sockaddr: sockaddrOf(ip, port),
      freebind: this.bind?.freebind ?? false,
      transparent: true,
      mark,
      options: this.bind?.socketOptions ?? [],
    };
    return { ...target, bind: target.address.kind === 'socket' ? bind : null };
  }

  private schedule(): void {
    this.wheel.add(CLEANUP_MS, () => {
      this.cleanUp();
      if (this.pairs.size > 0) this.schedule();
    });
  }

  private cleanUp(): void {
    for (const [key, host] of this.pairs) {
      if ((host.stats[HOST_CX_ACTIVE] as number) > 0) continue;
      this.pairs.delete(key);
      this.drop(host);
    }
  }
}
