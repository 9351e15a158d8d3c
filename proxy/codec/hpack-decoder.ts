// HPACK decoder (RFC 7541): header blocks in, fields out. Rule 1: an entry of a table costs no string. Rule 2: what the
// sink has no more room for is not built either; the table is kept right all the same.

import { latin1 } from '../util/latin1.ts';
import { decoded, decodeHuffman } from './hpack-huffman.ts';
import { fieldName, INVALID_NAME, STATIC_ENTRIES, STATIC_NAMES, STATIC_VALUES } from './hpack-names.ts';
import type { HeaderName } from './known-headers.ts';

/** Told each field of a block, in order. */
export interface FieldSink {
  /** `marks`: `VALUE_*` of the value. `bytes`: of name and value, decoded. */
  onField(name: HeaderName, value: string, marks: number, bytes: number): void;
}

/** What an entry costs besides its name and value (RFC 7541 §4.1). */
const ENTRY_EXTRA_BYTES = 32;
/** Largest dynamic table of a peer that has not seen our settings yet. */
export const DEFAULT_TABLE_BYTES = 4_096;
/** Longest integer: further bytes cannot belong to a length or index we accept. */
const INTEGER_SHIFT_MAX = 21;
const RING_ENTRIES_MIN = 16;

const TAB = 9;
const SPACE = 32;
const DEL = 127;
/** Longest string as sent, in bytes; Envoy's default. */
const STRING_BYTES_MAX = 65_536;

const TRUNCATED = -1;
/** The block breaks HPACK's rules, or has a string longer than we bear: a connection error. */
export const BLOCK_INVALID = -2;

/** The value has a byte that no field may have: a control character other than the tab, as in Envoy. */
export const VALUE_BAD = 1;
/** The value has a space or a tab. */
export const VALUE_BLANK = 2;

const BYTE_MARKS = new Uint8Array(256);
BYTE_MARKS.fill(VALUE_BAD, 0, 32);
BYTE_MARKS[TAB] = VALUE_BLANK;
BYTE_MARKS[SPACE] = VALUE_BLANK;
BYTE_MARKS[DEL] = VALUE_BAD;

/** One direction of one connection. */
export class HpackDecoder {
  private readonly stringBytesMax: number;
  // The dynamic table, a ring: the newest entry is at `newest`.
  private names: HeaderName[];
  private values: string[];
  private sizes: number[];
  private marks: number[];
  private mask: number;
  private newest: number;
  private count: number;
  private bytes: number;
  private bytesMax: number;
  /** What the peer may set `bytesMax` to. */
  private limit: number;
  /** Our lowered limit has been acknowledged: the next block begins with an update. */
  private needsUpdate: boolean;
  /** No field of the block at hand has been read yet. */
  private mayUpdate: boolean;
  // Cursor of the block at hand.
  private at: number;
  private end: number;
  private bytesRead: number;
  private lastMarks: number;
  /** Bytes that a field takes at least which was not whole: trying again with fewer is work for nothing. */
  needed: number;

  /** @param stringBytesMax of a name or value as sent */
  constructor(stringBytesMax = STRING_BYTES_MAX) {
    this.stringBytesMax = stringBytesMax;
    this.names = [];
    this.values = [];
    this.sizes = [];
    this.marks = [];
    this.mask = -1;
    this.newest = -1;
    this.count = 0;
    this.bytes = 0;
    this.bytesMax = DEFAULT_TABLE_BYTES;
    this.limit = DEFAULT_TABLE_BYTES;
    this.needsUpdate = false;
    this.mayUpdate = false;
    this.at = 0;
    this.end = 0;
    this.bytesRead = 0;
    this.lastMarks = 0;
    this.needed = 0;
  }

  /** Our `SETTINGS_HEADER_TABLE_SIZE`; `acknowledged`: the peer has said that it keeps to it. */
  setLimit(bytes: number, acknowledged: boolean): void {
    if (!acknowledged) {
      this.limit = Math.max(bytes, DEFAULT_TABLE_BYTES);
      return;
    }
    this.limit = bytes;
    if (this.bytesMax > bytes) this.needsUpdate = true;
  }

  /** Bytes that the dynamic table holds, as RFC 7541 §4.1 counts. */
  get tableBytes(): number {
    return this.bytes;
  }

  /**
   * Decodes fields from `start` to `end`; `first`: they begin a block.
   * @returns where the first field begins that is not whole, `end` if all are, or `BLOCK_INVALID`
   */
  decode(block: Buffer, start: number, end: number, sink: FieldSink, first: boolean): number {
    this.at = start;
    this.end = end;
    if (first) this.mayUpdate = true;
    while (this.at < end) {
      const from = this.at;
      const byte = block[from] as number;
      let result: number;
      if (byte >= 0x80) result = this.indexed(block, sink);
      else if (byte >= 0x40) result = this.literal(block, sink, 0x3f, true);
      else if (byte < 0x20) result = this.literal(block, sink, 0x0f, false);
      else result = this.mayUpdate ? this.resize(block) : BLOCK_INVALID;
      if (result === TRUNCATED) {
        this.needed = Math.max(this.at, end + 1) - from;
        return from;
      }
      if (result < 0) return result;
      if (byte >= 0x40 || byte < 0x20) {
        if (this.needsUpdate) return BLOCK_INVALID;
        this.mayUpdate = false;
      }
    }
    return end;
  }

  private indexed(block: Buffer, sink: FieldSink): number {
    const index = this.integer(block, 0x7f);
    if (index <= 0) return index === 0 ? BLOCK_INVALID : index;
    if (index <= STATIC_ENTRIES) {
      const name = STATIC_NAMES[index] as HeaderName;
      const value = STATIC_VALUES[index] as string;
      sink.onField(name, value, 0, name.name.length + value.length);
      return 0;
    }
    const back = index - STATIC_ENTRIES - 1;
    if (back >= this.count) return BLOCK_INVALID;
    const place = (this.newest - back) & this.mask;
    sink.onField(
      this.names[place] as HeaderName,
      this.values[place] as string,
      this.marks[place] as number,
      (this.sizes[place] as number) - ENTRY_EXTRA_BYTES,
    );
    return 0;
  }

  private literal(block: Buffer, sink: FieldSink, mask: number, keep: boolean): number {
    const index = this.integer(block, mask);
    if (index < 0) return index;
    let name: HeaderName;
    let nameBytes: number;
    if (index === 0) {
      const raw = this.string(block);
      if (raw === null) return this.bytesRead;
      nameBytes = this.bytesRead;
      name = nameBytes === 0 ? INVALID_NAME : fieldName(raw);
    } else if (index <= STATIC_ENTRIES) {
      name = STATIC_NAMES[index] as HeaderName;
      nameBytes = name.name.length;
    } else {
      const back = index - STATIC_ENTRIES - 1;
      if (back >= this.count) return BLOCK_INVALID;
      const place = (this.newest - back) & this.mask;
      name = this.names[place] as HeaderName;
      // An invalid name has no length of its own.
      nameBytes =
        name === INVALID_NAME
          ? (this.sizes[place] as number) - ENTRY_EXTRA_BYTES - (this.values[place] as string).length
          : name.name.length;
    }
    const value = this.string(block);
    if (value === null) return this.bytesRead;
    const marks = this.lastMarks;
    const bytes = nameBytes + this.bytesRead;
    if (keep) this.insert(name, value, marks, bytes + ENTRY_EXTRA_BYTES);
    sink.onField(name, value, marks, bytes);
    return 0;
  }

  private resize(block: Buffer): number {
    const bytes = this.integer(block, 0x1f);
    if (bytes < 0) return bytes;
    if (bytes > this.limit) return BLOCK_INVALID;
    this.needsUpdate = false;
    this.bytesMax = bytes;
    while (this.bytes > bytes) this.evict();
    return 0;
  }

  /** An integer whose first byte's low bits are `mask` (RFC 7541 §5.1). */
  private integer(block: Buffer, mask: number): number {
    const value = (block[this.at++] as number) & mask;
    return value < mask ? value : this.longInteger(block, mask);
  }

  private longInteger(block: Buffer, mask: number): number {
    let value = mask;
    for (let shift = 0; shift <= INTEGER_SHIFT_MAX; shift += 7) {
      if (this.at >= this.end) return TRUNCATED;
      const byte = block[this.at++] as number;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return BLOCK_INVALID;
  }

  /** A string; its length goes to `bytesRead`, and so does the reason when it is `null`. */
  private string(block: Buffer): string | null {
    if (this.at >= this.end) return this.no(TRUNCATED);
    const huffman = (block[this.at] as number) >= 0x80;
    const length = this.integer(block, 0x7f);
    if (length < 0) return this.no(length);
    if (length > this.stringBytesMax) return this.no(BLOCK_INVALID);
    const from = this.at;
    const to = from + length;
    this.at = to;
    if (to > this.end) return this.no(TRUNCATED);
    if (!huffman) return this.text(block, from, to);
    const count = decodeHuffman(block, from, to);
    return count < 0 ? this.no(BLOCK_INVALID) : this.text(decoded, 0, count);
  }

  private text(bytes: Buffer, from: number, to: number): string {
    this.bytesRead = to - from;
    let marks = 0;
    for (let i = from; i < to; i++) marks |= BYTE_MARKS[bytes[i] as number] as number;
    this.lastMarks = marks;
    return from === to ? '' : latin1(bytes, from, to);
  }

  private no(reason: number): null {
    this.bytesRead = reason;
    return null;
  }

  private insert(name: HeaderName, value: string, marks: number, size: number): void {
    while (this.count > 0 && this.bytes + size > this.bytesMax) this.evict();
    if (size > this.bytesMax) return;
    if (this.count > this.mask) this.growRing();
    this.newest = (this.newest + 1) & this.mask;
    this.names[this.newest] = name;
    this.values[this.newest] = value;
    this.sizes[this.newest] = size;
    this.marks[this.newest] = marks;
    this.count++;
    this.bytes += size;
  }

  private evict(): void {
    const oldest = (this.newest - this.count + 1) & this.mask;
    this.bytes -= this.sizes[oldest] as number;
    this.values[oldest] = '';
    this.count--;
  }

  private growRing(): void {
    const { names, values, sizes, marks, mask, newest, count } = this;
    const room = count === 0 ? RING_ENTRIES_MIN : count * 2;
    this.names = new Array<HeaderName>(room).fill(INVALID_NAME);
    this.values = new Array<string>(room).fill('');
    this.sizes = new Array<number>(room).fill(0);
    this.marks = new Array<number>(room).fill(0);
    for (let i = 0; i < count; i++) {
      const place = (newest - count + 1 + i) & mask;
      this.names[i] = names[place] as HeaderName;
      this.values[i] = values[place] as string;
      this.sizes[i] = sizes[place] as number;
      this.marks[i] = marks[place] as number;
    }
    this.mask = room - 1;
    this.newest = count - 1;
  }
}
