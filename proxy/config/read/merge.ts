// Merging one message over another as protobuf's `MergeFrom` does, which is how `--config-yaml` goes over the file:
// lists are appended, messages merged, map entries replaced, other fields overwritten when they are set.

import type { Msg } from '../schema/message.ts';
import { messageDesc } from '../schema/registry.ts';
import { type FieldType, isWrapper, type MessageType } from '../schema/schema.ts';

type Fields = Record<string, unknown>;

/** Changes `target`; parts of `source` become parts of it. Both are of the same type. */
export function mergeMessage(target: Msg, source: Msg): void {
  const into = target as unknown as Fields;
  const from = source as unknown as Fields;
  if (target.$typeName === 'google.protobuf.Any') throw new Error('an Any is replaced, not merged');
  for (const member of messageDesc(target.$typeName).members) {
    if (member.kind === 'oneof') mergeOneof(into, from, member.localName);
    else mergeField(into, from, member);
  }
}

function mergeField(into: Fields, from: Fields, field: FieldType): void {
  const name = field.localName;
  const value = from[name];
  if (value === undefined) return;
  switch (field.fieldKind) {
    case 'list':
      into[name] = [...(into[name] as unknown[]), ...(value as unknown[])];
      return;
    case 'map':
      into[name] = { ...(into[name] as object), ...(value as object) };
      return;
    case 'message':
      into[name] = mergedValue(into[name], value, field.message as MessageType);
      return;
    default:
      // Without presence, the zero value is "not set".
      if (!isZero(value)) into[name] = value;
  }
}

function mergeOneof(into: Fields, from: Fields, name: string): void {
  const source = from[name] as { case?: string; value?: unknown };
  if (source.case === undefined) return;
  const target = into[name] as { case?: string; value?: unknown };
  if (target.case === source.case && isMergeable(target.value) && isMergeable(source.value)) {
    mergeMessage(target.value, source.value);
    return;
  }
  into[name] = source;
}

function mergedValue(target: unknown, source: unknown, desc: MessageType): unknown {
  if (target === undefined) return source;
  if (isMergeable(target) && isMergeable(source)) {
    mergeMessage(target, source);
    return target;
  }
  // A wrapper is a message with one field, so its zero value does not overwrite either.
  if (isWrapper(desc)) return isZero(source) ? target : source;
  if (desc.typeName === 'google.protobuf.Struct') return { ...(target as object), ...(source as object) };
  return source;
}

function isMergeable(value: unknown): value is Msg {
  if (typeof value !== 'object' || value === null || !('$typeName' in value)) return false;
  return value.$typeName !== 'google.protobuf.Any';
}

function isZero(value: unknown): boolean {
  return value instanceof Uint8Array ? value.length === 0 : !value;
}

/** A copy of a message that shares nothing which merging changes. */
export function cloneMessage<T extends Msg>(message: T): T {
  // An Any is replaced, not merged; and what one of ours says is decided by its class.
  if (message.$typeName === 'google.protobuf.Any') return message;
  const copy = Object.create(Object.getPrototypeOf(message)) as Fields;
  for (const [name, value] of Object.entries(message)) copy[name] = cloneValue(value);
  return copy as unknown as T;
}

function cloneValue(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(cloneValue);
  if ('$typeName' in value) return cloneMessage(value as Msg);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, cloneValue(item)]));
}
