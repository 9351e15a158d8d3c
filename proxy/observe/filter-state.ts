// Objects that filters keep with a connection or a request for others to read (Envoy: stream_info/filter_state.h).
// What a connection keeps, all of its requests see.

import type { JsonObject } from '../config/model/common.ts';

/** An object of the filter state that is more than a string. */
export interface FilterStateObject {
  /** Printed as text; `null` = it has no such form. */
  plain(): string | null;
  /** Printed as JSON: the object's message with the field names of its `.proto`; `null` = it has no such form. */
  typed(): FilterStateJson;
  /** One field as text; `null` = no such field. */
  field(name: string): string | null;
  /** What consistent hashing takes; absent = it cannot be hashed. */
  readonly hashed?: string;
  /** The address that it is, without its port; absent = none. */
  readonly ip?: string;
  /** What it holds, by Envoy's class of objects; absent = of none that others look for. */
  readonly is?: 'address' | 'ip' | 'cluster' | 'text' | 'boolean' | 'number';
}

/** A message, or a wrapper around one scalar. */
export type FilterStateJson = JsonObject | string | number | boolean | null;

/** A plain string is a string object, as latin1 image. */
export type FilterStateValue = string | FilterStateObject;

/** Whether an object goes along with the upstream connection, and from there with the next one. */
export type FilterStateSharing = 'none' | 'once' | 'transitive';

interface Entry {
  readonly value: FilterStateValue;
  readonly sharing: FilterStateSharing;
}

/** The objects of one connection or of one request. */
export class FilterState {
  readonly entries: Map<string, Entry>;

  constructor() {
    this.entries = new Map();
  }

  get(key: string): FilterStateValue | null {
    return this.entries.get(key)?.value ?? null;
  }

  /** Later values replace earlier ones, read-only ones included (seen on Envoy 1.40). */
  set(key: string, value: FilterStateValue, sharing: FilterStateSharing = 'none'): void {
    this.entries.set(key, { value, sharing });
  }
}

/** Where a request finds filter state. */
export interface FilterStateHolder {
  filterState: FilterState | null;
  readonly connection: { filterState?: FilterState | null };
}

/** @returns the object of the request or else of its connection; `null` = neither has one */
export function readFilterState(holder: FilterStateHolder, key: string): FilterStateValue | null {
  return holder.filterState?.get(key) ?? holder.connection.filterState?.get(key) ?? null;
}

/** @returns the text of an object of that class; `null` = there is none, or it is of another */
export function readObject(holder: FilterStateHolder, key: string, is: FilterStateObject['is']): string | null {
  const value = readFilterState(holder, key);
  return value === null || typeof value === 'string' || value.is !== is ? null : value.plain();
}

/** An object as text, or one field of it; `null` = it has no such form, or there is none. */
export function filterStateText(value: FilterStateValue | null, field: string): string | null {
  if (value === null) return null;
  if (typeof value === 'string') return field === '' ? value : null;
  return field === '' ? value.plain() : value.field(field);
}

/** Keeps an object with the request, unless the connection has one of the name (Envoy: FilterStateAccessViolation). */
export function writeFilterState(
  holder: FilterStateHolder,
  key: string,
  value: FilterStateValue,
  sharing: FilterStateSharing = 'none',
): void {
  if (holder.connection.filterState?.entries.has(key)) return;
  holder.filterState ??= new FilterState();
  holder.filterState.set(key, value, sharing);
}

/** @returns the object if the upstream connection has it too; `null` = there is none, or it stays with the request */
export function readSharedFilterState(holder: FilterStateHolder, key: string): FilterStateValue | null {
  const entry = holder.filterState?.entries.get(key) ?? holder.connection.filterState?.entries.get(key);
  return entry === undefined || entry.sharing === 'none' ? null : entry.value;
}
