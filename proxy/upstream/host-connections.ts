// `per_host_thresholds.max_connections`: how many connections a host may have from all workers.

import { Breaker, type LimitGauges, type SharedBreakers } from './breakers.ts';
import type { HostCells } from './host-cells.ts';

/** Gauges that nobody reads: hosts have none. */
const NO_GAUGES: LimitGauges = { block: new Float64Array(1), open: 0, remaining: null, remainingAt: 0 };

/** What a host is told by. */
interface NamedHost {
  readonly address: string;
  readonly hostname: string;
}

/**
 * The limit of one host. Its cell goes back when the host is gone and its last connection from this worker is, too; not
 * before, because whoever has taken a place gives it back here.
 */
class HostBreaker extends Breaker {
  private readonly hosts: HostCells;
  private readonly cell: number;
  private gone: boolean;
  /** The cell may be another host's by now. */
  released: boolean;

  /** @param gone from the beginning: it holds for those who were still waiting for the host */
  constructor(shared: SharedBreakers, cell: number, max: number, gone: boolean) {
    super(shared, shared.hosts.cells, cell, max, NO_GAUGES);
    this.hosts = shared.hosts;
    this.cell = cell;
    this.gone = gone;
    this.released = false;
  }

  forget(): void {
    this.gone = true;
    this.releaseIfIdle();
  }

  override tryTake(): boolean {
    const taken = super.tryTake();
    if (!taken && this.gone) this.releaseIfIdle();
    return taken;
  }

  override give(): void {
    super.give();
    if (this.gone) this.releaseIfIdle();
  }

  private releaseIfIdle(): void {
    if (this.released || this.ownUses > 0) return;
    this.released = true;
    this.hosts.release(this.cell);
  }
}

/** The limits of one cluster and priority. A host's connections of both priorities count. */
export class HostConnections {
  private readonly shared: SharedBreakers;
  private readonly clusterName: string;
  private readonly max: number;
  private readonly byHost: WeakMap<NamedHost, Breaker>;
  private readonly onFull: () => void;

  /** @param onFull a host has a limit in each worker only, because there are too many */
  constructor(shared: SharedBreakers, clusterName: string, max: number, onFull: () => void) {
    this.shared = shared;
    this.clusterName = clusterName;
    this.max = max;
    this.byHost = new WeakMap();
    this.onFull = onFull;
  }

  of(host: NamedHost): Breaker {
    const known = this.byHost.get(host);
    const released = known instanceof HostBreaker && known.released;
    if (known !== undefined && !released) return known;
    const breaker = this.open(`${this.clusterName}|${host.address}|${host.hostname}`, released);
    this.byHost.set(host, breaker);
    return breaker;
  }

  /** The host gets no more requests. */
  forget(host: NamedHost): void {
    const breaker = this.byHost.get(host);
    if (breaker instanceof HostBreaker) breaker.forget();
  }

  private open(name: string, gone: boolean): Breaker {
    const { shared, max } = this;
    const cell = shared.hosts.acquire(name);
    if (cell >= 0) return new HostBreaker(shared, cell, max, gone);
    this.onFull();
    return new Breaker(shared, new Int32Array(shared.stride), 0, max, NO_GAUGES);
  }
}
