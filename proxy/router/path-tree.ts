// A radix tree of latin1 paths: what a path begins with is found in one walk over its characters, however many values the
// tree holds. Values with equal beginnings share nodes.
//
// Trees are built of objects and then packed, those of a whole table into one array of numbers: with thousands of routes
// a walk waits for memory and for little else, and reads a few neighbouring lines of it here instead of a new one for
// every node, list, label and child.

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

/** A tree being built. */
export class PathNode<T> {
  /** Characters between the parent and here. */
  label: string;
  /** For paths that end here; in the order of their positions, as all three. */
  readonly exact: T[];
  /** For paths that begin so. */
  readonly prefix: T[];
  /** For paths that end here or go on with a slash. */
  readonly separated: T[];
  /** By the first character of their labels. */
  readonly children: Map<number, PathNode<T>>;

  constructor(label: string) {
    this.label = label;
    this.exact = [];
    this.prefix = [];
    this.separated = [];
    this.children = new Map();
  }

  /** The node at a value, made where there is none. */
  at(value: string): PathNode<T> {
    let node: PathNode<T> = this;
    let rest = value;
    while (rest !== '') {
      let child = node.children.get(rest.charCodeAt(0));
      if (child === undefined) child = node.adopt(new PathNode<T>(rest));
      const common = commonLength(child.label, rest);
      if (common < child.label.length) child = node.split(child, common);
      rest = rest.slice(common);
      node = child;
    }
    return node;
  }

  private adopt(child: PathNode<T>): PathNode<T> {
    this.children.set(child.label.charCodeAt(0), child);
    return child;
  }

  /** Puts a node between here and a child, after so many characters of its label. */
  private split(child: PathNode<T>, at: number): PathNode<T> {
    const middle = this.adopt(new PathNode<T>(child.label.slice(0, at)));
    child.label = child.label.slice(at);
    middle.adopt(child);
    return middle;
  }
}

// A packed node: where the values of its three lists begin and where they end, the children's first character, how many
// places they take, the label's length; then the label, and the places of the children (0 = nobody's).
const EXACT = 0;
const PREFIX = 1;
const SEPARATED = 2;
const END = 3;
const FIRST_CODE = 4;
const PLACES = 5;
const LABEL_LENGTH = 6;
const LABEL = 7;

const FIRST_CAPACITY = 256;
const SLASH = 0x2f;

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

  /** Takes a tree up. @returns what `find` knows it by */
  pack(root: PathNode<T>): number {
    const at = this.packNode(root);
    const left = [{ node: root, at }];
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      const places = next.at + LABEL + next.node.label.length;
      const firstCode = this.nodes[next.at + FIRST_CODE] as number;
      for (const [code, child] of next.node.children) {
        const childAt = this.packNode(child);
        this.nodes[places + code - firstCode] = childAt;
        left.push({ node: child, at: childAt });
      }
    }
    return at;
  }

  /** A node without its children. */
  private packNode({ label, exact, prefix, separated, children }: PathNode<T>): number {
    const codes = [...children.keys()];
    const firstCode = codes.length === 0 ? 0 : Math.min(...codes);
    const places = codes.length === 0 ? 0 : Math.max(...codes) - firstCode + 1;
    const at = this.used;
    this.used += LABEL + label.length + places;
    this.reserve(this.used);
    const { nodes, values } = this;
    nodes[at + EXACT] = values.length;
    values.push(...exact);
    nodes[at + PREFIX] = values.length;
    values.push(...prefix);
    nodes[at + SEPARATED] = values.length;
    values.push(...separated);
    nodes[at + END] = values.length;
    nodes[at + FIRST_CODE] = firstCode;
    nodes[at + PLACES] = places;
    nodes[at + LABEL_LENGTH] = label.length;
    for (let i = 0; i < label.length; i++) nodes[at + LABEL + i] = label.charCodeAt(i);
    return at;
  }

  private reserve(length: number): void {
    if (length <= this.nodes.length) return;
    const wider = new Int32Array(Math.max(length, 2 * this.nodes.length));
    wider.set(this.nodes);
    this.nodes = wider;
  }

  /**
   * The value of the lowest index whose path and conditions hold; `null` = none.
   * @param root given by `pack`
   */
  find(root: number, path: string, info: StreamInfo, headers: HeaderMap, random: number): T | null {
    const { nodes } = this;
    let best: T | null = null;
    let node = root;
    for (let at = 0; ; ) {
      const prefix = nodes[node + PREFIX] as number;
      const separated = nodes[node + SEPARATED] as number;
      const end = nodes[node + END] as number;
      if (prefix < separated) best = this.first(prefix, separated, best, info, headers, random);
      if (at === path.length) {
        const exact = nodes[node + EXACT] as number;
        if (exact < prefix) best = this.first(exact, prefix, best, info, headers, random);
        return separated < end ? this.first(separated, end, best, info, headers, random) : best;
      }
      const code = path.charCodeAt(at);
      if (code === SLASH && separated < end) best = this.first(separated, end, best, info, headers, random);
      node = this.child(node, code);
      if (node < 0 || !this.goesOn(path, at, node)) return best;
      at += nodes[node + LABEL_LENGTH] as number;
    }
  }

  /** The child whose label begins with a character; −1 = none. */
  private child(node: number, code: number): number {
    const { nodes } = this;
    const place = code - (nodes[node + FIRST_CODE] as number);
    if (place < 0 || place >= (nodes[node + PLACES] as number)) return -1;
    const child = nodes[node + LABEL + (nodes[node + LABEL_LENGTH] as number) + place] as number;
    return child === 0 ? -1 : child;
  }

  /** Whether a path goes on with a node's label; its first character is known to. */
  private goesOn(path: string, at: number, node: number): boolean {
    const { nodes } = this;
    const length = nodes[node + LABEL_LENGTH] as number;
    if (path.length - at < length) return false;
    const label = node + LABEL;
    for (let i = 1; i < length; i++) if (path.charCodeAt(at + i) !== nodes[label + i]) return false;
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

function commonLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a.charCodeAt(length) === b.charCodeAt(length)) length++;
  return length;
}
