// The path of the field that a walk over a message stands at, for error texts:
// `static_resources.listeners[0].filter_chains[0].filters[0].typed_config.stat_prefix`.

/** Fields, indexes and keys on one path; protobuf refuses 100 nested messages, each at most a field and an index. */
const SEGMENTS_MAX = 200;

export class FieldPath {
  readonly #prefix: string;
  readonly #segments: (string | number)[] = [];

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** Enters a field (its name), a list item (its index) or a map entry (`["key"]`); false when nested too deep. */
  push(segment: string | number): boolean {
    return this.#segments.push(segment) <= SEGMENTS_MAX;
  }

  pop(): void {
    this.#segments.pop();
  }

  toString(): string {
    let path = this.#prefix;
    for (const segment of this.#segments) {
      if (typeof segment === 'number') path += `[${segment}]`;
      else if (path === '' || segment.startsWith('[')) path += segment;
      else path += `.${segment}`;
    }
    return path;
  }
}

/** A map key as a path segment. */
export function keySegment(key: string): string {
  return `[${JSON.stringify(key)}]`;
}
