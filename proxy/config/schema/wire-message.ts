// Reads a message of the schema's own (validation rules) from the wire, into the form of decoded configuration. For
// configuration on the wire there is `library.ts`: this reader keeps no unknown fields and merges nothing.

import { creatorOf } from './create-message.ts';
import { WireReader } from './descriptor-set.ts';
import type { Msg } from './message.ts';
import { type FieldType, type MessageType, SCALAR } from './schema.ts';

/** Wire type of packed lists, strings and messages. */
const LENGTH = 2;

const creators = new Map<MessageType, () => Msg>();

export function readWireMessage(type: MessageType, bytes: Buffer): Msg {
  let create = creators.get(type);
  if (create === undefined) {
    create = creatorOf(type);
    creators.set(type, create);
  }
  const message = create();
  const target = message as unknown as Record<string, unknown>;
  const reader = new WireReader(bytes);
  while (reader.next()) {
    const field = type.fields.find((candidate) => candidate.number === reader.field);
    if (field === undefined) reader.skip();
    else if (field.fieldKind === 'list') target[field.localName] = appended(target, field, reader);
    else if (field.oneof === undefined) target[field.localName] = readValue(field, reader);
    else target[field.oneof.localName] = { case: field.localName, value: readValue(field, reader) };
  }
  return message;
}

function appended(target: Record<string, unknown>, field: FieldType, reader: WireReader): unknown[] {
  const items = Object.hasOwn(target, field.localName) ? (target[field.localName] as unknown[]) : [];
  const packed = field.scalar !== SCALAR.STRING && field.scalar !== SCALAR.BYTES && field.message === undefined;
  if (!packed || reader.wireType !== LENGTH) return [...items, readValue(field, reader)];
  const block = reader.block();
  const inner = new WireReader(block);
  while (inner.more) items.push(readValue(field, inner));
  return items;
}

function readValue(field: FieldType, reader: WireReader): unknown {
  const { message } = field;
  if (message !== undefined) return readWireMessage(message, reader.block());
  if (field.enum !== undefined) return Number(BigInt.asIntN(32, reader.varint64()));
  switch (field.scalar) {
    case SCALAR.STRING:
      return reader.text();
    case SCALAR.BYTES:
      return reader.block();
    case SCALAR.BOOL:
      return reader.varint() !== 0;
    case SCALAR.DOUBLE:
      return reader.double();
    case SCALAR.FLOAT:
      return reader.float();
    case SCALAR.FIXED32:
      return reader.fixed32();
    case SCALAR.SFIXED32:
      return reader.fixed32() | 0;
    case SCALAR.FIXED64:
      return reader.fixed64();
    case SCALAR.SFIXED64:
      return BigInt.asIntN(64, reader.fixed64());
    case SCALAR.SINT32:
      return Number(zigzag(reader.varint64()));
    case SCALAR.SINT64:
      return zigzag(reader.varint64());
    case SCALAR.INT64:
      return BigInt.asIntN(64, reader.varint64());
    case SCALAR.UINT64:
      return reader.varint64();
    case SCALAR.UINT32:
      return reader.varint();
    default:
      return Number(BigInt.asIntN(32, reader.varint64()));
  }
}

function zigzag(value: bigint): bigint {
  return (value >> 1n) ^ -(value & 1n);
}
