// Tables of consistent hashing, built as Envoy builds them, so that the same key leads to the same host
// (Envoy: extensions.load_balancing_policies.{ring_hash,maglev}.v3).

import type { HashLbPolicyModel } from '../config/model/cluster.ts';
import { CountedHashes, U64, xxHash64 } from '../util/hash64.ts';
import type { Host } from './host.ts';

/** Hosts by hash; built for one list and thrown away when the list changes. */
export interface HashTable {
  /** @param attempt how many hosts were turned down before */
  pick(hash: U64, attempt: number): Host;
}

/** Told of the shape of a table, by the stat's name behind the cluster's prefix. */
export type TableGauge = (name: string, value: number) => void;

/** @param hosts not empty */
export function buildHashTable(hosts: readonly Host[], policy: HashLbPolicyModel, gauge: TableGauge | null): HashTable {
  const weights = normalWeights(hosts);
  const keys = hosts.map((host) => hashKey(host, policy.useHostname));
  return policy.kind === 'ring_hash'
    ? new RingTable(hosts, keys, weights, policy, gauge)
    : new MaglevTable(hosts, keys, weights, policy.tableSize, gauge);
}

/** Shares of the whole, which add up to 1. */
export function normalWeights(hosts: readonly Host[]): Float64Array {
  const sum = hosts.reduce((total, host) => total + host.weight, 0);
  return Float64Array.from(hosts, (host) => host.weight / sum);
}

// Arguments of a call are limited by the stack, hosts of a cluster are not.

function lowest(values: ArrayLike<number>): number {
  let found = Number.POSITIVE_INFINITY;
  for (let i = 0; i < values.length; i++) found = Math.min(found, values[i] as number);
  return found;
}

function highest(values: ArrayLike<number>): number {
  let found = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) found = Math.max(found, values[i] as number);
  return found;
}

/** What stands for a host: what its metadata says, its name, or its address. */
function hashKey(host: Host, useHostname: boolean): string {
  const own = host.metadata['envoy.lb']?.['hash_key'];
  if (typeof own === 'string') return Buffer.from(own, 'utf8').toString('latin1');
  return useHostname ? host.hostname : host.address;
}

type RingPolicy = HashLbPolicyModel & { readonly kind: 'ring_hash' };

/** Ketama: each host has places on a ring in proportion to its weight; a hash belongs to the next place. */
class RingTable implements HashTable {
  private readonly hosts: readonly Host[];
  /** Halves of the places' hashes, in order, and whose place each is. */
  private readonly hi: Uint32Array;
  private readonly lo: Uint32Array;
  private readonly owners: Uint32Array;

  constructor(
    hosts: readonly Host[],
    keys: readonly string[],
    weights: Float64Array,
    policy: RingPolicy,
    gauge: TableGauge | null,
  ) {
    const least = lowest(weights);
    // The lightest host gets a whole number of places, unless the ring would be too large.
    const scale = Math.min(Math.ceil(least * policy.minRingSize) / least, policy.maxRingSize);
    const size = Math.ceil(scale);
    const places = placeHosts(keys, weights, size, scale, policy.hashFunction);
    const ring = sorted(places);
    this.hosts = hosts;
    this.hi = ring.hi;
    this.lo = ring.lo;
    this.owners = ring.owners;
    if (gauge === null) return;
    gauge('ring_hash_lb.size', size);
    gauge('ring_hash_lb.min_hashes_per_host', lowest(places.perHost));
    gauge('ring_hash_lb.max_hashes_per_host', highest(places.perHost));
  }

  pick(hash: U64, attempt: number): Host {
    const { owners } = this;
    return this.hosts[owners[(this.find(hash) + attempt) % owners.length] as number] as Host;
  }

  /** The first place that is not before the hash; behind the last one the ring begins again. */
  private find({ hi, lo }: U64): number {
    let low = 0;
    let high = this.owners.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const there = this.hi[middle] as number;
      if (there < hi || (there === hi && (this.lo[middle] as number) < lo)) low = middle + 1;
      else high = middle;
    }
    return low === this.owners.length ? 0 : low;
  }
}

/** Halves of hashes, and whose each is. */
interface Ring {
  readonly hi: Uint32Array;
  readonly lo: Uint32Array;
  readonly owners: Uint32Array;
}

interface Places extends Ring {
  readonly perHost: readonly number[];
}

/** Walks through the hosts; running sums carry what is not whole over to the next one. */
function placeHosts(
  keys: readonly string[],
  weights: Float64Array,
  size: number,
  scale: number,
  hashFunction: RingPolicy['hashFunction'],
): Places {
  // Sums of fractions may end a little above the size.
  const hi = new Uint32Array(size + 1);
  const lo = new Uint32Array(size + 1);
  const owners = new Uint32Array(size + 1);
  const perHost: number[] = [];
  const hash = new U64();
  let target = 0;
  let count = 0;
  for (const [owner, key] of keys.entries()) {
    target += scale * (weights[owner] as number);
    let place = 0;
    const hashes = new CountedHashes(`${key}_`, hashFunction);
    for (; count < target; place++) {
      hashes.next(hash);
      hi[count] = hash.hi;
      lo[count] = hash.lo;
      owners[count++] = owner;
    }
    perHost.push(place);
  }
  return { hi: hi.subarray(0, count), lo: lo.subarray(0, count), owners, perHost };
}

/** Buckets have so many places on average. */
const BUCKET_PLACES = 4;
/** More than that would be moved too often when they are put into order one by one. */
const BUCKET_PLACES_MAX = 64;

/** The same places in ascending order of hashes, which are spread evenly: each goes almost where it belongs at once. */
function sorted(places: Places): Ring {
  const size = places.hi.length;
  const shift = Math.min(31, Math.clz32(size / BUCKET_PLACES));
  const ends = new Uint32Array(2 ** (32 - shift) + 1);
  for (let i = 0; i < size; i++) {
    const after = ((places.hi[i] as number) >>> shift) + 1;
    ends[after] = (ends[after] as number) + 1;
  }
  for (let i = 1; i < ends.length; i++) ends[i] = (ends[i] as number) + (ends[i - 1] as number);
  const hi = new Uint32Array(size);
  const lo = new Uint32Array(size);
  const owners = new Uint32Array(size);
  for (let i = 0; i < size; i++) {
    const bucket = (places.hi[i] as number) >>> shift;
    const to = ends[bucket] as number;
    ends[bucket] = to + 1;
    hi[to] = places.hi[i] as number;
    lo[to] = places.lo[i] as number;
    owners[to] = places.owners[i] as number;
  }
  const ring = { hi, lo, owners };
  // A bucket ends where it began and as many places behind: where the next one has begun.
  for (let bucket = 0, from = 0; from < size; bucket++) {
    const to = ends[bucket] as number;
    if (to - from > BUCKET_PLACES_MAX) sortBySplitting(ring, from, to);
    else sortByMoving(ring, from, to);
    from = to;
  }
  return ring;
}

function sortByMoving({ hi, lo, owners }: Ring, from: number, to: number): void {
  for (let i = from + 1; i < to; i++) {
    const placeHi = hi[i] as number;
    const placeLo = lo[i] as number;
    const owner = owners[i] as number;
    let at = i;
    for (; at > from; at--) {
      const beforeHi = hi[at - 1] as number;
      const beforeLo = lo[at - 1] as number;
      if (beforeHi < placeHi || (beforeHi === placeHi && beforeLo <= placeLo)) break;
      hi[at] = beforeHi;
      lo[at] = beforeLo;
      owners[at] = owners[at - 1] as number;
    }
    hi[at] = placeHi;
    lo[at] = placeLo;
    owners[at] = owner;
  }
}

/** Hosts that share a key have the same places: then many belong into one bucket. */
function sortBySplitting({ hi, lo, owners }: Ring, from: number, to: number): void {
  const order = Array.from({ length: to - from }, (_, i) => from + i);
  order.sort((a, b) => (hi[a] as number) - (hi[b] as number) || (lo[a] as number) - (lo[b] as number));
  for (const part of [hi, lo, owners])
    part.set(
      order.map((at) => part[at] as number),
      from,
    );
}

const ONE = new U64(0, 1);
const FREE = 0xffff_ffff;

/** Maglev: hosts take places of a table in turn, each in an order of its own, the heavier more often. */
class MaglevTable implements HashTable {
  private readonly hosts: readonly Host[];
  private readonly owners: Uint32Array;
  private readonly changed: U64;

  constructor(
    hosts: readonly Host[],
    keys: readonly string[],
    weights: Float64Array,
    size: number,
    gauge: TableGauge | null,
  ) {
    this.hosts = hosts;
    this.changed = new U64();
    // Where there is no choice, one place will do.
    const { owners, perHost } = fillTable(keys, weights, hosts.length === 1 ? 1 : size);
    this.owners = owners;
    if (gauge === null) return;
    gauge('maglev_lb.min_entries_per_host', lowest(perHost));
    gauge('maglev_lb.max_entries_per_host', highest(perHost));
  }

  pick(hash: U64, attempt: number): Host {
    const { changed, owners } = this;
    changed.set(hash);
    // After a host was turned down, most bits are others.
    if (attempt > 0) changed.setParts(~hash.hi, hash.lo ^ -attempt);
    return this.hosts[owners[changed.modulo(owners.length)] as number] as Host;
  }
}

function fillTable(
  keys: readonly string[],
  weights: Float64Array,
  size: number,
): { readonly owners: Uint32Array; readonly perHost: readonly number[] } {
  const hash = new U64();
  const entries = keys.map((key, owner) => ({
    owner,
    key,
    weight: weights[owner] as number,
    target: 0,
    at: xxHash64(key, hash).modulo(size),
    step: size === 1 ? 0 : xxHash64(key, hash, ONE).modulo(size - 1) + 1,
    count: 0,
  }));
  // In the order of their keys, so that the order of configuration does not matter.
  entries.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  const heaviest = weights.reduce((a, b) => Math.max(a, b), 0);
  const owners = new Uint32Array(size).fill(FREE);
  let taken = 0;
  for (let round = 1; taken < size; round++) {
    for (const entry of entries) {
      if (taken === size) break;
      if (round * entry.weight < entry.target) continue;
      entry.target += heaviest;
      const { step } = entry;
      let { at } = entry;
      // Less than a round at a time: a comparison does what a division would. A table is looked at a million times.
      while (owners[at] !== FREE) {
        at += step;
        if (at >= size) at -= size;
      }
      owners[at] = entry.owner;
      at += step;
      entry.at = at >= size ? at - size : at;
      entry.count++;
      taken++;
    }
  }
  return { owners, perHost: entries.map(({ count }) => count) };
}
