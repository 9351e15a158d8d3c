// A radix tree of latin1 paths: what a path begins with is found in one walk over its characters, however many values the
// tree holds. Values with equal beginnings share nodes.

/** What stands at a path of the tree; `null` = nothing. */
export class PathNode<T> {
  /** Characters between the parent and here. */
  label: string;
  /** For paths that end here. */
  exact: T[] | null;
  /** For paths that begin so. */
  prefix: T[] | null;
  /** For paths that end here or go on with a slash. */
  separated: T[] | null;
  /** By the first character of their labels, from `firstCode` on; `null` in between. */
  private children: (PathNode<T> | null)[];
  private firstCode: number;

  constructor(label: string) {
    this.label = label;
    this.exact = null;
    this.prefix = null;
    this.separated = null;
    this.children = [];
    this.firstCode = 0;
  }

  /** The child whose label begins with a character; `null` = none. */
  child(code: number): PathNode<T> | null {
    const slot = code - this.firstCode;
    return slot >= 0 && slot < this.children.length ? (this.children[slot] as PathNode<T> | null) : null;
  }

  /** The node at a value, made where there is none. */
  at(value: string): PathNode<T> {
    if (value === '') return this;
    const child = this.child(value.charCodeAt(0));
    if (child === null) {
      const leaf = new PathNode<T>(value);
      this.setChild(leaf);
      return leaf;
    }
    const common = commonLength(child.label, value);
    if (common === child.label.length) return child.at(value.slice(common));
    const middle = new PathNode<T>(value.slice(0, common));
    child.label = child.label.slice(common);
    middle.setChild(child);
    this.setChild(middle);
    return middle.at(value.slice(common));
  }

  private setChild(node: PathNode<T>): void {
    const code = node.label.charCodeAt(0);
    const { children } = this;
    if (children.length === 0) this.firstCode = code;
    while (code < this.firstCode) {
      children.unshift(null);
      this.firstCode--;
    }
    while (code - this.firstCode >= children.length) children.push(null);
    children[code - this.firstCode] = node;
  }
}

/** Whether a text goes on with a label at a position; its first character is known to. */
export function goesOn(text: string, label: string, at: number): boolean {
  if (text.length - at < label.length) return false;
  for (let i = 1; i < label.length; i++) if (text.charCodeAt(at + i) !== label.charCodeAt(i)) return false;
  return true;
}

function commonLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a.charCodeAt(length) === b.charCodeAt(length)) length++;
  return length;
}
