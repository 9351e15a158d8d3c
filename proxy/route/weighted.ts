// Weighted clusters: which of them a request goes to, and which of the others a retry of it may go to.

import type { HeaderMap } from '../codec/headers.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import { U64 } from '../util/hash64.ts';
import type { HashPolicy } from './hash-policy.ts';
import type { CompiledTarget, PickTarget } from './target.ts';

/** One cluster of a route, with the weight that holds for it. */
export interface WeightedPick {
  readonly weight: number;
  readonly target: PickTarget;
}

/** Where the number comes from that is divided by the weights; the request's own dice where it is nowhere. */
export type WeightSource =
  | { readonly kind: 'random' }
  | { readonly kind: 'header'; readonly read: (info: StreamInfo, headers: HeaderMap) => string | null }
  | { readonly kind: 'hash'; readonly policy: HashPolicy | null };

/** What a request remembers of the clusters it has been to. */
export interface Refresh {
  /** The number that is divided, 64 bits. */
  readonly value: bigint;
  /** Places of clusters that are not asked again before the others. */
  readonly spent: Set<number>;
}

/** See the head of this file. */
export class WeightedTargets {
  private readonly picks: readonly WeightedPick[];
  private readonly source: WeightSource;
  private readonly totalWeight: number;

  constructor(picks: readonly WeightedPick[], source: WeightSource) {
    this.picks = picks;
    this.source = source;
    this.totalWeight = picks.reduce((sum, pick) => sum + pick.weight, 0);
  }

  /** How a request comes to its first target. */
  compile(): PickTarget {
    const { source, totalWeight } = this;
    if (totalWeight === 0) return this.at(0);
    switch (source.kind) {
      case 'random':
        return (info, headers, random) => this.at(random % totalWeight)(info, headers, random);
      case 'header': {
        const { read } = source;
        return (info, headers, random) => {
          const given = read(info, headers);
          const value = given === null ? -1 : remainderOf(given, totalWeight);
          return this.at(value < 0 ? random % totalWeight : value)(info, headers, random);
        };
      }
      case 'hash': {
        const { policy } = source;
        const hash = new U64();
        return (info, headers, random) => {
          const hashed = policy?.(info, headers, null, hash) === true;
          return this.at(hashed ? hash.modulo(totalWeight) : random % totalWeight)(info, headers, random);
        };
      }
    }
  }

  /** To be asked before the request is changed. */
  remember(info: StreamInfo, headers: HeaderMap, random: number): Refresh {
    return { value: this.valueOf(info, headers, random), spent: new Set() };
  }

  /**
   * Another target, by the weights of those that were not asked yet, or of all once each was. As in Envoy, what a request
   * says of itself by then counts where a header names the cluster.
   * @returns `null` = nothing names a cluster; `current` = the others weigh nothing
   */
  next(refresh: Refresh, current: CompiledTarget, info: StreamInfo, headers: HeaderMap): CompiledTarget | null {
    const { picks } = this;
    const { spent, value } = refresh;
    spent.add(current.place);
    if (spent.size === picks.length) spent.clear();
    const left = picks.filter((_, place) => !spent.has(place));
    const total = left.reduce((sum, pick) => sum + pick.weight, 0);
    if (total === 0) return current;
    let rest = Number(value % BigInt(total));
    const pick = left.find(({ weight }) => {
      rest -= weight;
      return rest < 0;
    }) as WeightedPick;
    return pick.target(info, headers, 0);
  }

  /** @param value below the sum of the weights */
  private at(value: number): PickTarget {
    const { picks } = this;
    let left = value;
    for (const pick of picks) {
      if (left < pick.weight) return pick.target;
      left -= pick.weight;
    }
    return (picks[picks.length - 1] as WeightedPick).target;
  }

  private valueOf(info: StreamInfo, headers: HeaderMap, random: number): bigint {
    const { source } = this;
    if (source.kind === 'header') {
      const given = source.read(info, headers);
      if (given !== null && DECIMAL.test(given)) {
        const value = BigInt(given.replace('+', ''));
        if (value <= U64_MAX) return value;
      }
    } else if (source.kind === 'hash') {
      const hash = new U64();
      if (source.policy?.(info, headers, null, hash) === true) return (BigInt(hash.hi) << 32n) | BigInt(hash.lo);
    }
    return BigInt(random);
  }
}

/** What a decimal number of 64 bits leaves when it is divided; −1 = it is none. */
function remainderOf(text: string, divisor: number): number {
  if (!DECIMAL.test(text)) return -1;
  if (text.length <= SAFE_DIGITS) return Number(text) % divisor;
  const value = BigInt(text.replace('+', ''));
  return value > U64_MAX ? -1 : Number(value % BigInt(divisor));
}

const DECIMAL = /^\+?[0-9]{1,32}$/;
const SAFE_DIGITS = 15;
const U64_MAX = 2n ** 64n - 1n;
