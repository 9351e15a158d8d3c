// HPACK encoder (RFC 7541), made for cost: a name is known by a number; a value enters the dynamic table when its name is
// in no table, or the second time it is seen, so that values which always change do not crowd it; and literals are plain:
// Huffman coding costs more time than the bytes it saves.

import { STATIC_ENTRIES, STATIC_NAMES, STATIC_VALUES } from './hpack-names.ts';
import type { FrameOutput } from './http2-output.ts';

/** Most names numbered by a thread; further ones are always literals. */
const NAMES_MAX = 2_048;
const NAME_BYTES_MAX = 64;
/** Largest dynamic table used, bytes, whatever the peer allows. */
const TABLE_BYTES_MAX = 65_536;
const DEFAULT_TABLE_BYTES = 4_096;
const ENTRY_EXTRA_BYTES = 32;
/** Places to remember values; a power of two, more than entries of usual size fit into the default table. */
const SLOTS = 128;
/** Places to remember which entry has a name; a power of two. */
const NAME_SLOTS = 128;
/** Longer values are not worth comparing. */
const VALUE_BYTES_MAX = 512;
/** Most bytes that a field takes besides its name and value. */
const FIELD_OVERHEAD_BYTES = 16;

// What is done with a name's values.
const INDEX = 0;
/** Always changing: a literal, entered once at most, for its name. */
const PLAIN = 1;
/** A secret: a literal that nobody on the way may index (RFC 7541 §7.1.3). */
const NEVER = 2;
/** Means a connection of HTTP/1 only (RFC 9113 §8.2.2): left out. */
const FORBIDDEN = 3;

const POLICIES: ReadonlyMap<string, number> = new Map([
  ...[':path', 'content-length', 'x-request-id', 'traceparent', 'x-b3-spanid', 'x-envoy-upstream-service-time'].map(
    (name): [string, number] => [name, PLAIN],
  ),
  ...['authorization', 'proxy-authorization', 'cookie', 'set-cookie'].map((name): [string, number] => [name, NEVER]),
  ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'].map((name): [string, number] => [
    name,
    FORBIDDEN,
  ]),
]);

/** A name as the encoder knows it. */
export class EncodedName {
  readonly name: string;
  readonly id: number;
  readonly policy: number;
  /** First index of the name in the static table; 0 = none. */
  readonly index: number;
  /** Values of the entries from `index` on. */
  readonly values: readonly string[];

  constructor(name: string, id: number) {
    this.name = name;
    this.id = id;
    this.policy = POLICIES.get(name) ?? INDEX;
    const index = STATIC_NAMES.findIndex((entry) => entry.name === name);
    this.index = Math.max(index, 0);
    this.values = index < 0 ? [] : STATIC_VALUES.filter((value, i) => value !== '' && STATIC_NAMES[i]?.name === name);
  }
}

const names = new Map<string, EncodedName>();

/** The encoder's entry of a lower-case name; to be kept by who uses it often. */
export function encodedName(name: string): EncodedName {
  return names.get(name) ?? learn(name);
}

function learn(name: string): EncodedName {
  if (names.size >= NAMES_MAX || name.length > NAME_BYTES_MAX) return new EncodedName(name, -1);
  const entry = new EncodedName(name, names.size);
  names.set(name, entry);
  return entry;
}

for (const { name } of STATIC_NAMES) if (name !== '') encodedName(name);

/** One direction of one connection. */
export class HpackEncoder {
  private readonly out: FrameOutput;
  private bytesMax: number;
  private bytes: number;
  /** Entries ever inserted and ever evicted: the live ones are those between. */
  private inserted: number;
  private evicted: number;
  /** Sizes of live entries by number modulo its length. */
  private sizes: number[];
  private readonly slotNames: number[];
  private readonly slotValues: string[];
  /** Number of the entry; 0 = seen once. */
  private readonly slotEntries: number[];
  /** Names that the static table lacks, and the newest entry of each. */
  private readonly namedIds: number[];
  private readonly namedEntries: number[];
  /** Size updates to announce with the next block; −1 = none. */
  private updateLowest: number;
  private updateFinal: number;

  constructor(out: FrameOutput) {
    this.out = out;
    this.bytesMax = DEFAULT_TABLE_BYTES;
    this.bytes = 0;
    this.inserted = 0;
    this.evicted = 0;
    this.sizes = new Array<number>(DEFAULT_TABLE_BYTES / ENTRY_EXTRA_BYTES).fill(0);
    this.slotNames = [];
    this.slotValues = [];
    this.slotEntries = [];
    this.namedIds = [];
    this.namedEntries = [];
    this.updateLowest = -1;
    this.updateFinal = -1;
  }

  /** The table's size from now on: the peer's `SETTINGS_HEADER_TABLE_SIZE`, or less. */
  resize(bytes: number): void {
    const max = Math.min(bytes, TABLE_BYTES_MAX);
    if (max === this.bytesMax && this.updateFinal < 0) return;
    this.updateLowest = this.updateLowest < 0 ? max : Math.min(this.updateLowest, max);
    this.updateFinal = max;
    this.bytesMax = max;
    while (this.bytes > max) this.evict();
    // Which place an entry's size has depends on how many there are.
    const live: number[] = [];
    for (let entry = this.evicted; entry < this.inserted; entry++)
      live.push(this.sizes[entry % this.sizes.length] as number);
    this.sizes = new Array<number>(Math.max(1, Math.floor(max / ENTRY_EXTRA_BYTES))).fill(0);
    for (let i = 0; i < live.length; i++) this.sizes[(this.evicted + i) % this.sizes.length] = live[i] as number;
  }

  /** Before a block's first field. */
  begin(): void {
    if (this.updateFinal < 0) return;
    this.out.ensure(FIELD_OVERHEAD_BYTES);
    if (this.updateLowest < this.updateFinal) this.integer(this.updateLowest, 0x1f, 0x20);
    this.integer(this.updateFinal, 0x1f, 0x20);
    this.updateLowest = -1;
    this.updateFinal = -1;
  }

  field(name: EncodedName, value: string): void {
    const out = this.out;
    out.ensure(name.name.length + value.length + FIELD_OVERHEAD_BYTES);
    const { policy } = name;
    if (name.values.length !== 0) {
      const at = name.values.indexOf(value);
      if (at >= 0) {
        out.bytes[out.at++] = 0x80 | (name.index + at);
        return;
      }
    }
    if (policy === FORBIDDEN) return;
    if (policy === NEVER || name.id < 0 || value.length > VALUE_BYTES_MAX)
      this.literal(name, value, 0x0f, policy === NEVER ? 0x10 : 0);
    else if (policy === INDEX) this.indexable(name, value);
    else if (name.index > 0 || this.entryOfName(name) > 0) this.literal(name, value, 0x0f, 0);
    else this.enter(name, value);
  }

  private indexable(name: EncodedName, value: string): void {
    const { slotNames, slotValues, slotEntries } = this;
    if (slotNames.length === 0) this.makeSlots();
    const length = value.length;
    const mix =
      length === 0
        ? 0
        : length * 13 + value.charCodeAt(0) * 3 + value.charCodeAt(length - 1) * 7 + value.charCodeAt(length >> 1) * 5;
    const slot = (name.id * 17 + mix) & (SLOTS - 1);
    const entry = slotEntries[slot] as number;
    const live = entry > this.evicted;
    const known = slotNames[slot] === name.id && slotValues[slot] === value;
    if (known && live) {
      this.integer(STATIC_ENTRIES + 1 + this.inserted - entry, 0x7f, 0x80);
      return;
    }
    if (!known && !live) {
      slotNames[slot] = name.id;
      slotValues[slot] = value;
      slotEntries[slot] = 0;
    }
    if (!known && (name.index > 0 || this.entryOfName(name) > 0)) this.literal(name, value, 0x0f, 0);
    else {
      const entered = this.enter(name, value);
      if (known || !live) slotEntries[slot] = entered;
    }
  }

  /** Writes a field that becomes an entry, if there is room for it. @returns its number, 0 = none */
  private enter(name: EncodedName, value: string): number {
    const size = name.name.length + value.length + ENTRY_EXTRA_BYTES;
    if (size > this.bytesMax) {
      this.literal(name, value, 0x0f, 0);
      return 0;
    }
    this.literal(name, value, 0x3f, 0x40);
    this.insert(size);
    if (name.index === 0) {
      const slot = name.id & (NAME_SLOTS - 1);
      this.namedIds[slot] = name.id;
      this.namedEntries[slot] = this.inserted;
    }
    return this.inserted;
  }

  /** A live entry with this name; 0 = none that is remembered. */
  private entryOfName(name: EncodedName): number {
    if (this.namedIds.length === 0) this.makeSlots();
    const slot = name.id & (NAME_SLOTS - 1);
    const entry = this.namedEntries[slot] as number;
    return this.namedIds[slot] === name.id && entry > this.evicted ? entry : 0;
  }

  private makeSlots(): void {
    for (let i = 0; i < SLOTS; i++) {
      this.slotNames.push(-1);
      this.slotValues.push('');
      this.slotEntries.push(0);
    }
    for (let i = 0; i < NAME_SLOTS; i++) {
      this.namedIds.push(-1);
      this.namedEntries.push(0);
    }
  }

  private insert(size: number): void {
    while (this.bytes + size > this.bytesMax) this.evict();
    this.sizes[this.inserted % this.sizes.length] = size;
    this.inserted++;
    this.bytes += size;
  }

  private evict(): void {
    this.bytes -= this.sizes[this.evicted % this.sizes.length] as number;
    this.evicted++;
  }

  private literal(name: EncodedName, value: string, mask: number, bits: number): void {
    const out = this.out;
    const entry = name.index > 0 || name.id < 0 ? 0 : this.entryOfName(name);
    if (name.index > 0) this.integer(name.index, mask, bits);
    else if (entry > 0) this.integer(STATIC_ENTRIES + 1 + this.inserted - entry, mask, bits);
    else {
      out.bytes[out.at++] = bits;
      this.integer(name.name.length, 0x7f, 0);
      out.text(name.name);
    }
    this.integer(value.length, 0x7f, 0);
    out.text(value);
  }

  private integer(value: number, mask: number, bits: number): void {
    const out = this.out;
    if (value < mask) {
      out.bytes[out.at++] = bits | value;
      return;
    }
    out.bytes[out.at++] = bits | mask;
    let rest = value - mask;
    while (rest >= 0x80) {
      out.bytes[out.at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    out.bytes[out.at++] = rest;
  }
}
