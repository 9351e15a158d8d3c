// Header list of one message head: two parallel arrays, names already lower case, in wire order.
//
// Names are interned by the decoder where they are known, so comparing against a constant is a pointer compare.
// Pseudo-headers (`:method`, …) are fields of the message, never entries here; HTTP/1's `host` is `:authority`.

/**
 * What Envoy's byte counts of received heads hold for each field besides name and value: colon and line end, whatever
 * white space there was.
 */
export const FIELD_EXTRA_BYTES = 3;

/** An HTTP header list. Reading is linear: heads are short, and a hash per head costs more than it saves. */
export class HeaderMap {
  names: string[];
  values: string[];
  /** Names as the peer wrote them, kept only under `preserve_case`; same order as `names`. */
  rawNames: string[] | null;

  constructor() {
    this.names = [];
    this.values = [];
    this.rawNames = null;
  }

  /** First value of a lower-case name, or `null`. */
  get(name: string): string | null {
    const at = this.names.indexOf(name);
    return at < 0 ? null : (this.values[at] as string);
  }

  /** As Envoy counts received fields. */
  get fieldBytes(): number {
    let bytes = this.names.length * FIELD_EXTRA_BYTES;
    for (let i = 0; i < this.names.length; i++)
      bytes += (this.names[i] as string).length + (this.values[i] as string).length;
    return bytes;
  }

  has(name: string): boolean {
    return this.names.indexOf(name) >= 0;
  }

  /** All values of a name joined with `,` as Envoy's matchers see a repeated header, or `null`. */
  getJoined(name: string): string | null {
    const { names, values } = this;
    let at = names.indexOf(name);
    if (at < 0) return null;
    let joined = values[at] as string;
    for (at = names.indexOf(name, at + 1); at >= 0; at = names.indexOf(name, at + 1)) joined += `,${values[at]}`;
    return joined;
  }

  /** Appends an entry, also when the name exists. */
  add(name: string, value: string): void {
    this.names.push(name);
    this.values.push(value);
    if (this.rawNames !== null) this.rawNames.push(name);
  }

  /** Replaces every entry of the name by one at the place of the first, or appends. */
  set(name: string, value: string): void {
    const at = this.names.indexOf(name);
    if (at < 0) {
      this.add(name, value);
      return;
    }
    this.values[at] = value;
    if (this.names.indexOf(name, at + 1) >= 0) this.removeFrom(name, at + 1);
  }

  /** Sets every entry of another list. */
  setAll(others: HeaderMap): void {
    for (let i = 0; i < others.names.length; i++) this.set(others.names[i] as string, others.values[i] as string);
  }

  /** Adds only when the name is absent. */
  addIfAbsent(name: string, value: string): void {
    if (this.names.indexOf(name) < 0) this.add(name, value);
  }

  /** Removes every entry of the name; returns whether there was one. */
  remove(name: string): boolean {
    const at = this.names.indexOf(name);
    if (at < 0) return false;
    this.removeFrom(name, at);
    return true;
  }

  get size(): number {
    return this.names.length;
  }

  /** Bytes of the list as Envoy counts them: names and values without separators. */
  byteSize(): number {
    let bytes = 0;
    for (let i = 0; i < this.names.length; i++)
      bytes += (this.names[i] as string).length + (this.values[i] as string).length;
    return bytes;
  }

  private removeFrom(name: string, from: number): void {
    const { names, values, rawNames } = this;
    let kept = from;
    for (let i = from; i < names.length; i++) {
      if (names[i] === name) continue;
      if (kept !== i) {
        names[kept] = names[i] as string;
        values[kept] = values[i] as string;
        if (rawNames !== null) rawNames[kept] = rawNames[i] as string;
      }
      kept++;
    }
    names.length = kept;
    values.length = kept;
    if (rawNames !== null) rawNames.length = kept;
  }
}
