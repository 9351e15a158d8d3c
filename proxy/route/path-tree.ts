// A tree of latin1 paths: what a path begins with is found in one walk over its characters, however many values the tree
// holds. Values with equal beginnings share nodes.
//
// A node tells its children apart by up to four characters, which make one number, and finds them by it in a hash table:
// ten thousand names are one step or two, where a radix tree takes one for every digit, and each character of a path is
// read once, whether few values need it to be told apart or many. Trees are packed, those of a whole table into one array
// of numbers: with thousands of routes a walk waits for memory and for little else, and reads a few neighbouring lines of
// it here instead of a new one for every node, list, label and child.

import type { HeaderMap } from '../codec/headers.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { Condition } from './match.ts';

/** What stands in a tree. */
export interface PathValue {
  /** The lowest one that holds is found. */
  readonly index: number;
  /** `null` = it always holds. */
  readonly conditions: Condition | null;
}

/** The values at one path, each list in the order of their positions. */
export interface PathLists<T> {
  /** For paths that end here. */
  readonly exact: T[];
  /** For paths that begin so. */
  readonly prefix: T[];
  /** For paths that end here or go on with a slash. */
  readonly separated: T[];
}

// A packed node: where the values of its three lists begin and where they end, how many characters its label has, by how
// many more its children are told apart, and their slots less one (−1 = it has none); then the label, which goes on after
// the characters its parent tells it by, and the slots, each these characters and a child (0 = nobody's).
const EXACT = 0;
const PREFIX = 1;
const SEPARATED = 2;
const END = 3;
const LABEL_LENGTH = 4;
const STRIDE = 5;
const MASK = 6;
const LABEL = 7;

const FIRST_CAPACITY = 256;
const SLASH = 0x2f;
const QUESTION_MARK = 0x3f;
const NUMBER_SIGN = 0x23;
/** Characters that fit a number of 32 bits. */
const STRIDE_MAX = 4;
const HASH_FACTOR = 0x9e3779b1;

/** A node whose children are not packed yet. */
interface Parent {
  readonly node: number;
  /** Characters from the root to the end of its label. */
  readonly depth: number;
  /** Where the keys of each child begin, and, at the end, where those of the last one end. */
  readonly bounds: readonly number[];
}

/** Packed trees. */
export class PathTrees<T extends PathValue> {
  private nodes: Int32Array;
  private used: number;
  private readonly values: T[];

  constructor() {
    this.nodes = new Int32Array(FIRST_CAPACITY);
    this.used = 0;
    this.values = [];
  }

  /**
   * Takes a tree up.
   * @param lists by path, where nothing begins a query or a fragment
   * @returns what `find` knows it by
   */
  pack(lists: ReadonlyMap<string, PathLists<T>>): number {
    const keys = [...lists.keys()].sort();
    const shared = keys.map((key, i) => commonLength(key, keys[i + 1] ?? ''));
    const left: Parent[] = [];
    const pack = (from: number, to: number, above: number): number => {
      const first = keys[from] ?? '';
      const depth = commonLength(first, keys[to - 1] ?? '');
      const own = depth === first.length ? lists.get(first) : undefined;
      const children = own === undefined ? from : from + 1;
      const stride = strideOf(keys, shared, children, to, depth);
      const bounds = children === to ? [] : [children];
      for (let i = children + 1; i <= to; i++)
        if (i === to || (shared[i - 1] as number) < depth + stride) bounds.push(i);
      const node = this.reserve(first.slice(above, depth), stride, bounds.length - 1);
      this.putValues(node, own);
      if (bounds.length > 0) left.push({ node, depth, bounds });
      return node;
    };
    const root = pack(0, keys.length, 0);
    for (let parent = left.pop(); parent !== undefined; parent = left.pop()) {
      const { node, depth, bounds } = parent;
      const stride = this.nodes[node + STRIDE] as number;
      for (let i = 0; i + 1 < bounds.length; i++) {
        const from = bounds[i] as number;
        const key = keyOf(keys[from] as string, depth, stride);
        this.putChild(node, key, pack(from, bounds[i + 1] as number, depth + stride));
      }
    }
    return root;
  }

  /** A node with its label and room for children. */
  private reserve(label: string, stride: number, children: number): number {
    const slots = children <= 0 ? 0 : children === 1 ? 1 : 2 ** Math.ceil(Math.log2(2 * children));
    const node = this.used;
    this.used += LABEL + label.length + 2 * slots;
    if (this.used > this.nodes.length) {
      const wider = new Int32Array(Math.max(this.used, 2 * this.nodes.length));
      wider.set(this.nodes);
      this.nodes = wider;
    }
    const { nodes } = this;
    nodes[node + LABEL_LENGTH] = label.length;
    nodes[node + STRIDE] = stride;
    nodes[node + MASK] = slots - 1;
    for (let i = 0; i < label.length; i++) nodes[node + LABEL + i] = label.charCodeAt(i);
    return node;
  }

  private putValues(node: number, lists: PathLists<T> | undefined): void {
    const { nodes, values } = this;
    nodes[node + EXACT] = values.length;
    for (const value of lists?.exact ?? []) values.push(value);
    nodes[node + PREFIX] = values.length;
    for (const value of lists?.prefix ?? []) values.push(value);
    nodes[node + SEPARATED] = values.length;
    for (const value of lists?.separated ?? []) values.push(value);
    nodes[node + END] = values.length;
  }

  private putChild(node: number, key: number, child: number): void {
    const { nodes } = this;
    const mask = nodes[node + MASK] as number;
    const slots = node + LABEL + (nodes[node + LABEL_LENGTH] as number);
    let place = placeOf(key) & mask;
    while (nodes[slots + 2 * place + 1] !== 0) place = (place + 1) & mask;
    nodes[slots + 2 * place] = key;
    nodes[slots + 2 * place + 1] = child;
  }

  /**
   * The value of the lowest index whose path and conditions hold; `null` = none.
   * @param root given by `pack`
   * @param path latin1, as codecs read it; up to a `?` or `#`
   */
  find(root: number, path: string, info: StreamInfo, headers: HeaderMap, random: number): T | null {
    const { nodes } = this;
    let best: T | null = null;
    let node = root;
    for (let at = 0; this.goesOn(path, at, node); ) {
      at += nodes[node + LABEL_LENGTH] as number;
      const exact = nodes[node + EXACT] as number;
      const end = nodes[node + END] as number;
      if (exact !== end) {
        const prefix = nodes[node + PREFIX] as number;
        const separated = nodes[node + SEPARATED] as number;
        const next = at === path.length ? QUESTION_MARK : path.charCodeAt(at);
        const ends = next === QUESTION_MARK || next === NUMBER_SIGN;
        if (ends && exact < prefix) best = this.first(exact, prefix, best, info, headers, random);
        if (prefix < separated) best = this.first(prefix, separated, best, info, headers, random);
        if ((ends || next === SLASH) && separated < end) best = this.first(separated, end, best, info, headers, random);
      }
      const stride = nodes[node + STRIDE] as number;
      node = this.child(node, path, at, stride);
      if (node < 0) break;
      at += stride;
    }
    return best;
  }

  /** The child with which a path goes on, as far as its parent tells; −1 = there is none. */
  private child(node: number, path: string, at: number, stride: number): number {
    const { nodes } = this;
    const mask = nodes[node + MASK] as number;
    if (mask < 0 || path.length - at < stride) return -1;
    const slots = node + LABEL + (nodes[node + LABEL_LENGTH] as number);
    const key = keyOf(path, at, stride);
    for (let place = placeOf(key) & mask; ; place = (place + 1) & mask) {
      const child = nodes[slots + 2 * place + 1] as number;
      if (child === 0) return -1;
      if (nodes[slots + 2 * place] === key) return child;
      if (mask === 0) return -1;
    }
  }

  /** Whether a path goes on with a node's label. */
  private goesOn(path: string, at: number, node: number): boolean {
    const { nodes } = this;
    const length = nodes[node + LABEL_LENGTH] as number;
    if (path.length - at < length) return false;
    const label = node + LABEL;
    for (let i = 0; i < length; i++) if (path.charCodeAt(at + i) !== nodes[label + i]) return false;
    return true;
  }

  private first(
    from: number,
    to: number,
    best: T | null,
    info: StreamInfo,
    headers: HeaderMap,
    random: number,
  ): T | null {
    for (let i = from; i < to; i++) {
      const value = this.values[i] as T;
      if (best !== null && value.index > best.index) return best;
      if (value.conditions === null || value.conditions(info, headers, random)) return value;
    }
    return best;
  }
}

/** By how many characters keys that share the first `depth` ones are told apart; 0 = all have the next one in common, too. */
function strideOf(keys: readonly string[], shared: readonly number[], from: number, to: number, depth: number): number {
  let shortest = Number.POSITIVE_INFINITY;
  let least = Number.POSITIVE_INFINITY;
  let most = depth;
  for (let i = from; i < to; i++) {
    shortest = Math.min(shortest, (keys[i] as string).length);
    if (i + 1 === to) break;
    least = Math.min(least, shared[i] as number);
    most = Math.max(most, shared[i] as number);
  }
  return least > depth ? 0 : Math.min(shortest - depth, most + 1 - depth, STRIDE_MAX);
}

/** Up to four characters as one number: no others of that length give it. */
function keyOf(text: string, from: number, length: number): number {
  let key = 0;
  for (let i = from; i < from + length; i++) key = (key << 8) | text.charCodeAt(i);
  return key;
}

function placeOf(key: number): number {
  const hash = Math.imul(key, HASH_FACTOR);
  return hash ^ (hash >>> 15);
}

function commonLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a.charCodeAt(length) === b.charCodeAt(length)) length++;
  return length;
}
