// An Any whose message is already decoded. It stands where protobuf-es has a `google.protobuf.Any` message; its bytes
// are not kept but made when they are asked for.

import { library } from './library.ts';
import type { Msg } from './message.ts';

export class DecodedAny {
  readonly $typeName = 'google.protobuf.Any';
  readonly typeUrl: string;
  readonly message: Msg;
  /** What a TypedStruct names, decoded; `null` for any other type. */
  readonly inner: { readonly typeUrl: string; readonly message: Msg } | null;

  constructor(typeUrl: string, message: Msg, inner: DecodedAny['inner']) {
    this.typeUrl = typeUrl;
    this.message = message;
    this.inner = inner;
  }

  /** The binary form, which the library asks for when it encodes a message around this one. */
  get value(): Uint8Array<ArrayBuffer> {
    return library().writeBinary(this.message);
  }
}

const TYPED_STRUCTS = new Set(['udpa.type.v1.TypedStruct', 'xds.type.v3.TypedStruct']);

export function isTypedStruct(typeName: string): boolean {
  return TYPED_STRUCTS.has(typeName);
}
