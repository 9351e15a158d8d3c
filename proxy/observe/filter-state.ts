// Objects that filters keep with a connection or a request for others to read (Envoy: stream_info/filter_state.h).
// What a connection keeps, all of its requests see.

import type { JsonObject } from '../config/model.ts';

/** An object of the filter state that is more than a string. */
export interface FilterStateObject {
  /** Printed as text; `null` = it has no such form. */
  plain(): string | null;
  /** Printed as JSON: the object's message with the field names of its `.proto`; `null` = it has no such form. */
  typed(): FilterStateJson;
  /** One field as text; `null` = no such field. */
  field(name: string): string | null;
  /** The address that it is; absent = none. */
  readonly ip?: string;
}

/** A message, or a wrapper around one scalar. */
export type FilterStateJson = JsonObject | string | number | boolean | null;

/** A plain string is a string object, as latin1 image. */
export type FilterStateValue = string | FilterStateObject;

/** Whether an object goes along with the upstream connection, and from there with the next one. */
export type FilterStateSharing = 'none' | 'once' | 'transitive';

interface Entry {
  readonly value: FilterStateValue;
  readonly readOnly: boolean;
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

  /** @returns false: what is there may not be changed, or not in this way (Envoy: FilterStateAccessViolation) */
  set(key: string, value: FilterStateValue, readOnly = false, sharing: FilterStateSharing = 'none'): boolean {
    const present = this.entries.get(key);
    if (present !== undefined && (present.readOnly || readOnly)) return false;
    this.entries.set(key, { value, readOnly, sharing });
    return true;
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

/** Keeps an object with the request. @returns false: the name is taken by something that stays */
export function writeFilterState(
  holder: FilterStateHolder,
  key: string,
  value: FilterStateValue,
  readOnly = false,
  sharing: FilterStateSharing = 'none',
): boolean {
  if (holder.connection.filterState?.entries.has(key)) return false;
  holder.filterState ??= new FilterState();
  return holder.filterState.set(key, value, readOnly, sharing);
}
