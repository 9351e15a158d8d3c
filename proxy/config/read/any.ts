// `google.protobuf.Any` inside messages: extension configurations by type URL.
// From JSON an Any is decoded where it stands and carries its message (`DecodedAny`); from the wire it is decoded when
// first read and remembered. A TypedStruct (`udpa.type.v1`, `xds.type.v3`) is only a wrapping: readers see what it names.

import { ConfigError } from '../../util/error.ts';
import { DecodedAny, isTypedStruct } from '../schema/decoded-any.ts';
import { library } from '../schema/library.ts';
import { type Msg, str } from '../schema/message.ts';
import { loadRegistry, typeNameOf } from '../schema/registry.ts';
import { decodeTypedStruct, unknownTypeError } from './decode.ts';

/** An extension configuration: `typeUrl` is the inner one where a TypedStruct was unwrapped. */
export interface UnpackedAny {
  readonly typeUrl: string;
  readonly message: Msg;
}

const unpacked = new WeakMap<Msg, DecodedAny>();

/**
 * The message inside an Any, TypedStruct unwrapped.
 * @throws ConfigError at `path` when the type is unknown or its bytes cannot be read
 */
export function unpackAny(any: Msg, path: string): UnpackedAny {
  const decoded = decodedOf(any, path);
  return decoded.inner ?? decoded;
}

/** The message inside an Any as it was sent: a TypedStruct stays one. */
export function unpackAnyAsWritten(any: Msg, path: string): Msg {
  return decodedOf(any, path).message;
}

function decodedOf(any: Msg, path: string): DecodedAny {
  if (any instanceof DecodedAny) return any;
  let decoded = unpacked.get(any);
  if (decoded === undefined) {
    decoded = decodeWire(any, path);
    unpacked.set(any, decoded);
  }
  return decoded;
}

function decodeWire(any: Msg, path: string): DecodedAny {
  const typeUrl = str(any, 'typeUrl');
  const desc = loadRegistry().getMessage(typeNameOf(typeUrl));
  if (desc === undefined) throw unknownTypeError(typeUrl, path);
  let message: Msg;
  try {
    message = library().readBinary(desc.typeName, (any as unknown as { value: Uint8Array }).value);
  } catch (error) {
    throw new ConfigError(`cannot decode ${desc.typeName}: ${error instanceof Error ? error.message : error}`, path);
  }
  return new DecodedAny(typeUrl, message, isTypedStruct(desc.typeName) ? decodeTypedStruct(message, path) : null);
}
