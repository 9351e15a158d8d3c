// The bytes of a compiled descriptor set, read by hand: protobuf's wire format, and the outer layers of the set.

/** Wire types. */
const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

/** A walk over the fields of one message on the wire. */
export class WireReader {
  readonly bytes: Buffer;
  readonly #end: number;
  #offset: number;
  /** Number and wire type of the field that `next` went to. */
  field = 0;
  wireType = 0;

  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.#offset = start;
    this.#end = end;
  }

  get more(): boolean {
    return this.#offset < this.#end;
  }

  /** Goes to the next field; false at the end. Its value must be read or skipped before the next one. */
  next(): boolean {
    if (!this.more) return false;
    const tag = this.varint();
    this.field = tag >>> 3;
    this.wireType = tag & 7;
    return true;
  }

  /** An unsigned integer below 2^53. */
  varint(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  }

  /** An integer of up to 64 bits, unsigned. */
  varint64(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  /** The bytes of a string, bytes or message field. */
  block(): Buffer {
    const length = this.varint();
    const start = this.#take(length);
    return this.bytes.subarray(start, start + length);
  }

  text(): string {
    const length = this.varint();
    const start = this.#take(length);
    return this.bytes.toString('utf8', start, start + length);
  }

  float(): number {
    return this.bytes.readFloatLE(this.#take(4));
  }

  double(): number {
    return this.bytes.readDoubleLE(this.#take(8));
  }

  fixed32(): number {
    return this.bytes.readUInt32LE(this.#take(4));
  }

  fixed64(): bigint {
    return this.bytes.readBigUInt64LE(this.#take(8));
  }

  skip(): void {
    if (this.wireType === LENGTH) this.#take(this.varint());
    else if (this.wireType === VARINT) this.varint64();
    else if (this.wireType === FIXED32) this.#take(4);
    else if (this.wireType === FIXED64) this.#take(8);
    else throw new Error(`schema.binpb has wire type ${this.wireType}`);
  }

  #byte(): number {
    return this.bytes[this.#take(1)] as number;
  }

  #take(length: number): number {
    const start = this.#offset;
    this.#offset += length;
    if (this.#offset > this.#end) throw new Error('schema.binpb is cut off');
    return start;
  }
}

/** The files of a `FileDescriptorSet`, whose only field is 1. */
export function* entriesOf(set: Buffer): Iterable<Buffer> {
  const reader = new WireReader(set);
  while (reader.next()) {
    if (reader.field !== 1) throw new Error('schema.binpb is not a FileDescriptorSet');
    yield reader.block();
  }
}

/** The package of a `FileDescriptorProto`: its second field. */
export function packageOf(file: Buffer): string {
  const reader = new WireReader(file);
  while (reader.next() && reader.field <= 2) {
    if (reader.field === 2) return reader.text();
    reader.skip();
  }
  return '';
}

export interface FileHead {
  readonly name: string;
  readonly package: string;
  readonly dependencies: readonly string[];
}

/** Name, package and imports of a `FileDescriptorProto`: its first fields, in this order. */
export function headOf(file: Buffer): FileHead {
  const head = { name: '', package: '', dependencies: [] as string[] };
  const reader = new WireReader(file);
  while (reader.next() && reader.field <= 3) {
    if (reader.field === 1) head.name = reader.text();
    else if (reader.field === 2) head.package = reader.text();
    else head.dependencies.push(reader.text());
  }
  return head;
}
