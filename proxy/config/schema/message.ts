// Reading decoded messages. A message is a plain object in protobuf-es form: camelCase properties, `{case, value}` for a
// one-of, wrappers unwrapped, 64-bit integers as bigint, `Struct` as JSON. These accessors are typed, and asking for a
// field that the message type does not have throws, so that a misspelling in `lower` cannot read as "not set".

import type { Message } from '@bufbuild/protobuf';
import type { JsonObject } from '../model/common.ts';
import { messageDesc } from './registry.ts';

export type Msg = Message;

export interface OneofValue {
  readonly case: string;
  readonly value: unknown;
}

function read(message: Msg, field: string): unknown {
  const value = (message as unknown as Record<string, unknown>)[field];
  // Messages of our decoder have every member, if only in their prototype; those of the library lack what is not set.
  if (value === undefined && !(field in message)) assertMember(message.$typeName, field);
  return value;
}

const members = new Map<string, ReadonlySet<string>>();

function assertMember(typeName: string, field: string): void {
  let known = members.get(typeName);
  if (known === undefined) {
    known = new Set(messageDesc(typeName).members.map((member) => member.localName));
    members.set(typeName, known);
  }
  if (!known.has(field)) throw new Error(`${typeName} has no member ${field}`);
}

/** Whether a message, wrapper or optional scalar field is set. */
export function has(message: Msg, field: string): boolean {
  return read(message, field) !== undefined;
}

export function str(message: Msg, field: string, fallback = ''): string {
  return (read(message, field) as string | undefined) ?? fallback;
}

/** An integer, enum or float field or its wrapper; 64-bit values become numbers. */
export function num(message: Msg, field: string, fallback = 0): number {
  const value = read(message, field) as number | bigint | undefined;
  return value === undefined ? fallback : Number(value);
}

export function bool(message: Msg, field: string, fallback = false): boolean {
  return (read(message, field) as boolean | undefined) ?? fallback;
}

/** A message field; `null` when not set. */
export function sub(message: Msg, field: string): Msg | null {
  return (read(message, field) as Msg | undefined) ?? null;
}

export function list(message: Msg, field: string): readonly Msg[] {
  return read(message, field) as readonly Msg[];
}

export function strings(message: Msg, field: string): readonly string[] {
  return read(message, field) as readonly string[];
}

export function numbers(message: Msg, field: string): readonly number[] {
  return read(message, field) as readonly number[];
}

/** A map field with message values. */
export function messageMap(message: Msg, field: string): { readonly [key: string]: Msg } {
  return read(message, field) as { readonly [key: string]: Msg };
}

/** A `google.protobuf.Struct` field; `null` when not set. */
export function struct(message: Msg, field: string): JsonObject | null {
  return (read(message, field) as JsonObject | undefined) ?? null;
}

/** The member of a one-of group that is set; `null` when none is. The group name is camelCase too. */
export function oneof(message: Msg, group: string): OneofValue | null {
  const value = read(message, group) as { case?: string; value?: unknown };
  return value.case === undefined ? null : (value as OneofValue);
}

/** The value of one case of a one-of group when that case is set, otherwise `null`. */
export function oneofCase<T = Msg>(message: Msg, group: string, name: string): T | null {
  const value = oneof(message, group);
  return value !== null && value.case === name ? (value.value as T) : null;
}

const NANOS_PER_MS = 1_000_000;

/** Milliseconds (with fraction) of a `google.protobuf.Duration` message. */
export function toMs(duration: Msg): number {
  const { seconds, nanos } = duration as unknown as { seconds: bigint; nanos: number };
  return Number(seconds) * 1000 + nanos / NANOS_PER_MS;
}

/** A duration field in milliseconds. */
export function durationMs(message: Msg, field: string, fallbackMs: number): number {
  const value = sub(message, field);
  return value === null ? fallbackMs : toMs(value);
}
