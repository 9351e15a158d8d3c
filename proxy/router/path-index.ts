// The routes of one list by their paths: the first match in configured order wins.
//
// Case-sensitive exact and prefix paths are looked up in maps by value, so that a thousand of them cost as many probes
// as there are different prefix lengths; what needs looking at one by one is kept in a list. Every list is sorted by the
// routes' order; the lowest position that holds wins.

import type { HeaderMap } from '../codec/headers.ts';
import type { RouteMatchModel, RouteModel } from '../config/model-http.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import { barePath } from './bare-path.ts';
import { type Condition, compileConditions } from './match.ts';
import { compileFullMatch } from './regex.ts';
import type { CompiledRoute, RouteResult } from './route.ts';
import { compileRoute, type RouteScope } from './route-compile.ts';

/** Up to this many routes a list beats the maps. */
const LINEAR_ROUTES_MAX = 8;

/** Finds the route of a request in one virtual host. @param path without query, as routes see it */
export interface RouteSource {
  match(path: string, info: StreamInfo, headers: HeaderMap, random: number): RouteResult;
}

/** Compiles a list of routes. */
export function indexRoutes(routes: readonly RouteModel[], scope: RouteScope): RouteSource {
  const index = new PathIndex(routes.length > LINEAR_ROUTES_MAX);
  routes.forEach((model, position) => {
    const conditions = compileConditions(model.match, scope.runtimeValue);
    index.add({ index: position, route: compileRoute(model, scope), conditions }, model.match);
  });
  return index;
}

interface Entry {
  readonly index: number;
  readonly route: CompiledRoute;
  readonly conditions: Condition | null;
}

interface LinearEntry extends Entry {
  readonly matchesPath: (path: string, info: StreamInfo) => boolean;
}

/** See the head of the file. */
class PathIndex implements RouteSource {
  private readonly useMaps: boolean;
  private readonly exact: Map<string, Entry[]>;
  private readonly prefixLengths: { readonly length: number; readonly routes: Map<string, Entry[]> }[];
  /** `path_separated_prefix`: looked up where the path has a slash or ends. */
  private readonly separated: Map<string, Entry[]>;
  private readonly linear: LinearEntry[];

  constructor(useMaps: boolean) {
    this.useMaps = useMaps;
    this.exact = new Map();
    this.prefixLengths = [];
    this.separated = new Map();
    this.linear = [];
  }

  add(entry: Entry, match: RouteMatchModel): void {
    const { path, caseSensitive } = match;
    if (this.useMaps && caseSensitive && path.kind === 'exact') append(this.exact, path.value, entry);
    else if (this.useMaps && caseSensitive && path.kind === 'prefix') this.addPrefix(path.value, entry);
    else if (this.useMaps && caseSensitive && path.kind === 'path_separated_prefix')
      append(this.separated, path.value, entry);
    else this.linear.push({ ...entry, matchesPath: compilePath(match) });
  }

  match(path: string, info: StreamInfo, headers: HeaderMap, random: number): RouteResult {
    let best: Entry | null = null;
    if (this.useMaps) {
      best = first(this.exact.get(path), best, info, headers, random);
      for (const { length, routes } of this.prefixLengths) {
        if (length > path.length) break;
        best = first(routes.get(path.slice(0, length)), best, info, headers, random);
      }
      if (this.separated.size > 0) best = this.matchSeparated(path, best, info, headers, random);
    }
    for (let i = 0; i < this.linear.length; i++) {
      const entry = this.linear[i] as LinearEntry;
      if (best !== null && entry.index > best.index) break;
      if (!entry.matchesPath(path, info)) continue;
      if (entry.conditions === null || entry.conditions(info, headers, random)) return entry.route;
    }
    return best === null ? null : best.route;
  }

  private matchSeparated(
    path: string,
    bestYet: Entry | null,
    info: StreamInfo,
    headers: HeaderMap,
    random: number,
  ): Entry | null {
    let best = bestYet;
    for (let slash = path.indexOf('/', 1); slash > 0; slash = path.indexOf('/', slash + 1))
      best = first(this.separated.get(path.slice(0, slash)), best, info, headers, random);
    return first(this.separated.get(path), best, info, headers, random);
  }

  private addPrefix(value: string, entry: Entry): void {
    let row = this.prefixLengths.find((r) => r.length === value.length);
    if (row === undefined) {
      row = { length: value.length, routes: new Map() };
      this.prefixLengths.push(row);
      this.prefixLengths.sort((a, b) => a.length - b.length);
    }
    append(row.routes, value, entry);
  }
}

function append(map: Map<string, Entry[]>, key: string, entry: Entry): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [entry]);
  else list.push(entry);
}

function first(
  list: Entry[] | undefined,
  best: Entry | null,
  info: StreamInfo,
  headers: HeaderMap,
  random: number,
): Entry | null {
  if (list === undefined) return best;
  for (const entry of list) {
    if (best !== null && entry.index > best.index) return best;
    if (entry.conditions === null || entry.conditions(info, headers, random)) return entry;
  }
  return best;
}

/** One path matcher for the list. A CONNECT request, which has no path, is matched by `connect` alone. */
function compilePath({ path, caseSensitive }: RouteMatchModel): LinearEntry['matchesPath'] {
  if (path.kind === 'connect') return (_path, info) => info.method === 'CONNECT';
  if (path.kind === 'template') return compileTemplate(path.pattern);
  if (path.kind === 'regex') {
    const full = compileFullMatch(path.value);
    return (text, info) => (text !== '' || info.method !== 'CONNECT') && full(text);
  }
  const value = caseSensitive ? path.value : path.value.toLowerCase();
  const matches = plainPath(path.kind, value);
  return caseSensitive ? matches : (text) => matches(text.toLowerCase());
}

/** Path parameters count here, whatever the configuration says of others. */
function compileTemplate(pattern: string | null): LinearEntry['matchesPath'] {
  if (pattern === null) return () => false;
  const full = compileFullMatch(pattern);
  return (_path, info) => full(barePath(info.path));
}

function plainPath(kind: 'exact' | 'prefix' | 'path_separated_prefix', value: string): (path: string) => boolean {
  switch (kind) {
    case 'exact':
      return (path) => path === value;
    case 'prefix':
      if (value === '/') return (path) => path.charCodeAt(0) === SLASH;
      return (path) => path.startsWith(value);
    case 'path_separated_prefix':
      return (path) =>
        path.startsWith(value) && (path.length === value.length || path.charCodeAt(value.length) === SLASH);
  }
}

const SLASH = 0x2f;
