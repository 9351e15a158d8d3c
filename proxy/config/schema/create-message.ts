// Empty messages in protobuf-es form: camelCase properties, `{case, value}` for a one-of. Only what is set is a property
// of the message itself; defaults are in its prototype. Readers see no difference, and a tenth of the memory is used.

import type { Msg } from './message.ts';
import { type FieldType, type MessageType, SCALAR } from './schema.ts';

const EMPTY_LIST: readonly never[] = Object.freeze([]);
const EMPTY_MAP = Object.freeze({});
const NO_CASE = Object.freeze({ case: undefined });
const NO_BYTES = new Uint8Array(0);

/** A function that makes empty messages of one type. */
export function creatorOf(type: MessageType): () => Msg {
  // A class of its own gives all messages of a type one hidden class that grows alike.
  const Shape = class {};
  const defaults = Shape.prototype as unknown as Record<string, unknown>;
  defaults['$typeName'] = type.typeName;
  for (const member of type.members) {
    defaults[member.localName] = member.kind === 'oneof' ? NO_CASE : defaultOf(member);
  }
  return () => new Shape() as unknown as Msg;
}

/** What an unset field reads as; `undefined` where that can be told from its zero value. */
export function defaultOf(field: FieldType): unknown {
  if (field.fieldKind === 'list') return EMPTY_LIST;
  if (field.fieldKind === 'map') return EMPTY_MAP;
  if (field.fieldKind === 'message') return undefined;
  if (field.explicit && !field.parent.isProto2) return undefined;
  if (field.fieldKind === 'enum') return field.parent.isProto2 ? defaultEnum(field) : 0;
  switch (field.scalar) {
    case SCALAR.STRING:
      return field.defaultText;
    case SCALAR.BOOL:
      return field.defaultText === 'true';
    case SCALAR.BYTES:
      return NO_BYTES;
    case SCALAR.INT64:
    case SCALAR.UINT64:
    case SCALAR.SINT64:
    case SCALAR.FIXED64:
    case SCALAR.SFIXED64:
      return BigInt(field.defaultText);
    default:
      return Number(field.defaultText);
  }
}

function defaultEnum(field: FieldType): number {
  const values = field.enum?.values ?? [];
  return (values.find((value) => value.name === field.defaultText) ?? values[0])?.number ?? 0;
}
