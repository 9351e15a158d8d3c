// Route tables by scope: headers make a key, the key finds a table, and that one finds the route.

import type { HeaderMap } from '../codec/headers.ts';
import type { JsonObject } from '../config/model/common.ts';
import type { ScopedRoutesModel, ScopeKeyPartModel } from '../config/model/scoped-routes.ts';
import { compileFirstRead } from '../match/head.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { FiltersOf, RouteResult, RouteTable } from './route.ts';
import { compileRouteTable, type RouteTableEnv } from './route-table.ts';

/** Compiles scoped routes for one worker; it cannot fail on what `lower` has accepted. */
export function compileScopedRoutes(model: ScopedRoutesModel, env: RouteTableEnv, filtersOf: FiltersOf): RouteTable {
  return new ScopedRoutes(model, env, filtersOf);
}

/** A request without a scope has no route. The scope is looked up anew each time: filters may change headers. */
class ScopedRoutes implements RouteTable {
  readonly name: string;
  private readonly parts: readonly ReadPart[];
  private readonly tables: Map<string, RouteTable>;
  private readonly anyTls: boolean;
  private readonly anyHidden: boolean;

  constructor(model: ScopedRoutesModel, env: RouteTableEnv, filtersOf: FiltersOf) {
    this.name = '';
    this.parts = model.keyBuilder.map(compilePart);
    this.tables = new Map();
    this.anyTls = model.scopes.some(({ config }) => config.virtualHosts.some((host) => host.requireTls !== 'none'));
    this.anyHidden = model.scopes.some(({ config }) => config.internalOnlyHeaders.length > 0);
    const keyOf = new Map<string, string>();
    for (const { name, key, config } of model.scopes) {
      const table = compileRouteTable(config, env, filtersOf);
      const before = keyOf.get(name);
      if (before !== undefined) this.tables.delete(before);
      const joined = key.length === this.parts.length ? key.join(SEPARATOR) : NO_KEY;
      keyOf.set(name, joined);
      if (joined !== NO_KEY) this.tables.set(joined, table);
    }
  }

  match(info: StreamInfo, headers: HeaderMap, random: number): RouteResult {
    const table = this.find(info, headers);
    return table === null ? null : table.match(info, headers, random);
  }

  virtualHostMetadata(info: StreamInfo, headers: HeaderMap): JsonObject | null {
    return this.find(info, headers)?.virtualHostMetadata(info, headers) ?? null;
  }

  needsTls(info: StreamInfo, headers: HeaderMap): boolean {
    if (!this.anyTls) return false;
    return this.find(info, headers)?.needsTls(info, headers) ?? false;
  }

  internalOnlyHeaders(info: StreamInfo, headers: HeaderMap): readonly string[] {
    if (!this.anyHidden) return NO_HEADERS;
    return this.find(info, headers)?.internalOnlyHeaders(info, headers) ?? NO_HEADERS;
  }

  private find(info: StreamInfo, headers: HeaderMap): RouteTable | null {
    const { parts } = this;
    let key = '';
    for (let i = 0; i < parts.length; i++) {
      const part = (parts[i] as ReadPart)(info, headers);
      if (part === null) return null;
      key = i === 0 ? part : key + SEPARATOR + part;
    }
    return this.tables.get(key) ?? null;
  }
}

/** Values of headers do not hold it, so that no two lists of as many parts join to the same key of a request. */
const SEPARATOR = '\n';
/** Of another length than the keys of requests: nobody finds it. */
const NO_KEY = '\0';
const NO_HEADERS: readonly string[] = [];

/** `null` = the request has no such part, and then no scope. */
type ReadPart = (info: StreamInfo, headers: HeaderMap) => string | null;

function compilePart({ header, elementSeparator, extract }: ScopeKeyPartModel): ReadPart {
  const read = compileFirstRead(header);
  const elementsOf = (text: string): readonly string[] =>
    elementSeparator === '' ? [text] : text.split(elementSeparator);
  if (extract.kind === 'index') {
    const { index } = extract;
    if (elementSeparator === '') return read;
    return (info, headers) => {
      const text = read(info, headers);
      return text === null ? null : (elementsOf(text)[index] ?? null);
    };
  }
  return (info, headers) => {
    const text = read(info, headers);
    return text === null ? null : elementValue(elementsOf(text), extract.key, extract.separator);
  };
}

/** An element without a separator is a key of an empty value. */
function elementValue(elements: readonly string[], key: string, separator: string): string | null {
  for (const element of elements) {
    const at = element.indexOf(separator);
    if (at < 0) {
      if (element === key) return '';
    } else if (at === key.length && element.startsWith(key)) return element.slice(at + separator.length);
  }
  return null;
}
