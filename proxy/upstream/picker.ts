// Choosing one host out of a list of equals. A picker is built for one list and thrown away when the list changes.
//
// ROUND_ROBIN and LEAST_REQUEST with unequal weights use earliest-deadline-first, as Envoy does: a host's next
// deadline is its last one plus 1/weight, so that picks interleave smoothly. O(log n) a pick; everything else is O(1).

import type { HashLbPolicyModel, LbPolicyModel } from '../config/model/cluster.ts';
import type { Runtime } from '../util/runtime.ts';
import type { Host } from './host.ts';
import type { PickContext } from './upstream.ts';

/** Chooses a host; never `null` for a list that is not empty. */
export interface Picker {
  pick(): Host;
}

/** Chooses a host of a cluster; replaced whole when hosts change. */
export interface Balancer {
  /**
   * `null` = no host may be used.
   * @param attempt how many hosts were turned down before, for this request's attempt
   */
  pick(context: PickContext, attempt: number): Host | null;
}

/** Policies that look at hosts alone. */
type PlainPolicy = Exclude<LbPolicyModel, HashLbPolicyModel>;

/** Builds the picker of a non-empty list. */
export function buildPicker(hosts: readonly Host[], policy: PlainPolicy, runtime: Runtime): Picker {
  const first = hosts[0] as Host;
  if (hosts.length === 1) return new SinglePicker(first);
  const weighted = hosts.some((host) => host.weight !== first.weight);
  switch (policy.kind) {
    case 'random':
      return new RandomPicker(hosts, runtime);
    case 'least_request':
      return weighted
        ? new DeadlinePicker(hosts, runtime, policy.activeRequestBias)
        : new LeastRequestPicker(hosts, runtime, policy.choiceCount);
    case 'round_robin':
    case 'cluster_provided':
      return weighted ? new DeadlinePicker(hosts, runtime, 0) : new RoundRobinPicker(hosts, runtime);
  }
}

class SinglePicker implements Picker {
  private readonly host: Host;
  constructor(host: Host) {
    this.host = host;
  }
  pick(): Host {
    return this.host;
  }
}

class RoundRobinPicker implements Picker {
  private readonly hosts: readonly Host[];
  private at: number;

  constructor(hosts: readonly Host[], runtime: Runtime) {
    this.hosts = hosts;
    // A random start keeps many proxies from beginning with the same host.
    this.at = Math.floor(runtime.random() * hosts.length);
  }

  pick(): Host {
    const host = this.hosts[this.at] as Host;
    this.at = this.at + 1 === this.hosts.length ? 0 : this.at + 1;
    return host;
  }
}

class RandomPicker implements Picker {
  private readonly hosts: readonly Host[];
  private readonly runtime: Runtime;

  constructor(hosts: readonly Host[], runtime: Runtime) {
    this.hosts = hosts;
    this.runtime = runtime;
  }

  pick(): Host {
    return this.hosts[Math.floor(this.runtime.random() * this.hosts.length)] as Host;
  }
}

/** The least busy of `choiceCount` random hosts (drawn with replacement, as Envoy draws them). */
class LeastRequestPicker implements Picker {
  private readonly hosts: readonly Host[];
  private readonly runtime: Runtime;
  private readonly choiceCount: number;

  constructor(hosts: readonly Host[], runtime: Runtime, choiceCount: number) {
    this.hosts = hosts;
    this.runtime = runtime;
    this.choiceCount = Math.max(choiceCount, 1);
  }

  pick(): Host {
    const { hosts, runtime } = this;
    let best = hosts[Math.floor(runtime.random() * hosts.length)] as Host;
    for (let choice = 1; choice < this.choiceCount; choice++) {
      const other = hosts[Math.floor(runtime.random() * hosts.length)] as Host;
      if (other.activeRequests < best.activeRequests) best = other;
    }
    return best;
  }
}

/** Earliest deadline first. With a bias, a host's weight shrinks by `(active + 1) ^ bias` at the time of its pick. */
class DeadlinePicker implements Picker {
  private readonly hosts: readonly Host[];
  private readonly bias: number;
  /** Heap of host indexes, ordered by deadline, then by the order of insertion. */
  private readonly heap: Int32Array;
  private readonly deadlines: Float64Array;
  private readonly order: Float64Array;
  private inserted: number;

  constructor(hosts: readonly Host[], runtime: Runtime, bias: number) {
    this.hosts = hosts;
    this.bias = bias;
    this.heap = new Int32Array(hosts.length);
    this.deadlines = new Float64Array(hosts.length);
    this.order = new Float64Array(hosts.length);
    this.inserted = 0;
    for (let i = 0; i < hosts.length; i++) {
      this.heap[i] = i;
      this.deadlines[i] = 1 / this.weightOf(hosts[i] as Host);
      this.order[i] = this.inserted++;
    }
    for (let at = (hosts.length >> 1) - 1; at >= 0; at--) this.sink(at);
    // A random start keeps many proxies from beginning with the same host.
    const skip = Math.floor(runtime.random() * hosts.length);
    for (let i = 0; i < skip; i++) this.pick();
  }

  pick(): Host {
    const index = this.heap[0] as number;
    const host = this.hosts[index] as Host;
    (this.deadlines[index] as number) += 1 / this.weightOf(host);
    this.order[index] = this.inserted++;
    this.sink(0);
    return host;
  }

  private weightOf(host: Host): number {
    if (this.bias === 0) return host.weight;
    const active = host.activeRequests + 1;
    return host.weight / (this.bias === 1 ? active : active ** this.bias);
  }

  private isBefore(a: number, b: number): boolean {
    const difference = (this.deadlines[a] as number) - (this.deadlines[b] as number);
    return difference !== 0 ? difference < 0 : (this.order[a] as number) < (this.order[b] as number);
  }

  private sink(start: number): void {
    const { heap } = this;
    const moved = heap[start] as number;
    let at = start;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.isBefore(heap[child + 1] as number, heap[child] as number)) child++;
      if (!this.isBefore(heap[child] as number, moved)) break;
      heap[at] = heap[child] as number;
      at = child;
    }
    heap[at] = moved;
  }
}
