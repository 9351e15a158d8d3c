// An Any whose message is already decoded. It stands where protobuf-es has a `google.protobuf.Any` message; its bytes
// are not kept (`anyBytes` of `any.ts` makes them when they are wanted).

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
}

const TYPED_STRUCTS = new Set(['udpa.type.v1.TypedStruct', 'xds.type.v3.TypedStruct']);

export function isTypedStruct(typeName: string): boolean {
  return TYPED_STRUCTS.has(typeName);
}
