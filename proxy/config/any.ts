// `google.protobuf.Any` inside messages: extension configurations by type URL.
// From JSON an Any is decoded where it stands and carries its message (`DecodedAny`); from the wire it is decoded when
// first read and remembered. A TypedStruct (`udpa.type.v1`, `xds.type.v3`) is only a wrapping: readers see what it names.

import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { ConfigError } from '../util/error.ts';
import { decodeTypedStruct, unknownTypeError } from './decode.ts';
import { DecodedAny, isTypedStruct } from './decoded-any.ts';
import { type Msg, str } from './message.ts';
import { loadRegistry, typeNameOf } from './registry.ts';

/** An extension configuration: `typeUrl` is the inner one where a TypedStruct was unwrapped. */
export interface UnpackedAny {
  readonly typeUrl: string;
  readonly message: Msg;
}

const unpacked = new WeakMap<Msg, UnpackedAny>();

/**
 * The message inside an Any, TypedStruct unwrapped.
 * @throws ConfigError at `path` when the type is unknown or its bytes cannot be read
 */
export function unpackAny(any: Msg, path: string): UnpackedAny {
  if (any instanceof DecodedAny) return any.inner ?? any;
  const known = unpacked.get(any);
  if (known !== undefined) return known;
  const result = unpackWire(any, path);
  unpacked.set(any, result);
  return result;
}

function unpackWire(any: Msg, path: string): UnpackedAny {
  const typeUrl = str(any, 'typeUrl');
  const desc = loadRegistry().getMessage(typeNameOf(typeUrl));
  if (desc === undefined) throw unknownTypeError(typeUrl, path);
  let message: Msg;
  try {
    message = fromBinary(desc, (any as unknown as { value: Uint8Array }).value);
  } catch (error) {
    throw new ConfigError(`cannot decode ${desc.typeName}: ${error instanceof Error ? error.message : error}`, path);
  }
  if (!isTypedStruct(desc.typeName)) return { typeUrl, message };
  const inner = decodeTypedStruct(message, path);
  return inner ?? { typeUrl, message };
}

/** The type URL of an Any without decoding it. */
export function typeUrlOfAny(any: Msg): string {
  return any instanceof DecodedAny ? (any.inner?.typeUrl ?? any.typeUrl) : str(any, 'typeUrl');
}

/** The binary form of an Any's content. */
export function anyBytes(any: Msg): Uint8Array {
  if (!(any instanceof DecodedAny)) return (any as unknown as { value: Uint8Array }).value;
  const desc = loadRegistry().getMessage(any.message.$typeName);
  if (desc === undefined) throw new Error(`schema has no ${any.message.$typeName}`);
  return toBinary(desc, any.message);
}
