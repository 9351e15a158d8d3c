// The routes of one list by their paths: the first match in configured order wins.
//
// Case-sensitive plain paths stand in a radix tree, so that ten thousand of them cost one walk over the path; what needs
// looking at one by one is kept in a list. Every list is sorted by the routes' order; the lowest position that holds wins.

import type { HeaderMap } from '../codec/headers.ts';
import type { RouteMatchModel, RouteModel } from '../config/model-http.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import { barePath } from './bare-path.ts';
import { type Condition, compileConditions } from './match.ts';
import { goesOn, PathNode } from './path-tree.ts';
import { compileFullMatch } from './regex.ts';
import type { CompiledRoute, RouteResult } from './route.ts';
import { compileRoute, type RouteScope } from './route-compile.ts';

/** Finds the route of a request in one virtual host. @param path without query, as routes see it */
export interface RouteSource {
  match(path: string, info: StreamInfo, headers: HeaderMap, random: number): RouteResult;
}

/** Compiles a list of routes. */
export function indexRoutes(routes: readonly RouteModel[], scope: RouteScope): RouteSource {
  const index = new PathIndex();
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
  private readonly tree: PathNode<Entry>;
  private readonly linear: LinearEntry[];

  constructor() {
    this.tree = new PathNode('');
    this.linear = [];
  }

  add(entry: Entry, match: RouteMatchModel): void {
    const { path, caseSensitive } = match;
    if (!caseSensitive || path.kind === 'connect' || path.kind === 'regex' || path.kind === 'template') {
      this.linear.push({ ...entry, matchesPath: compilePath(match) });
      return;
    }
    const node = this.tree.at(path.value);
    const slot = path.kind === 'path_separated_prefix' ? 'separated' : path.kind;
    node[slot] ??= [];
    node[slot].push(entry);
  }

  match(path: string, info: StreamInfo, headers: HeaderMap, random: number): RouteResult {
    const best = this.walk(path, info, headers, random);
    for (let i = 0; i < this.linear.length; i++) {
      const entry = this.linear[i] as LinearEntry;
      if (best !== null && entry.index > best.index) break;
      if (!entry.matchesPath(path, info)) continue;
      if (entry.conditions === null || entry.conditions(info, headers, random)) return entry.route;
    }
    return best === null ? null : best.route;
  }

  /** The first route of the tree. */
  private walk(path: string, info: StreamInfo, headers: HeaderMap, random: number): Entry | null {
    let best: Entry | null = null;
    let node = this.tree;
    for (let at = 0; ; ) {
      if (node.prefix !== null) best = first(node.prefix, best, info, headers, random);
      if (at === path.length) {
        if (node.exact !== null) best = first(node.exact, best, info, headers, random);
        if (node.separated !== null) best = first(node.separated, best, info, headers, random);
        return best;
      }
      const code = path.charCodeAt(at);
      if (code === SLASH && node.separated !== null) best = first(node.separated, best, info, headers, random);
      const child = node.child(code);
      if (child === null || !goesOn(path, child.label, at)) return best;
      at += child.label.length;
      node = child;
    }
  }
}

function first(
  list: readonly Entry[],
  best: Entry | null,
  info: StreamInfo,
  headers: HeaderMap,
  random: number,
): Entry | null {
  for (let i = 0; i < list.length; i++) {
    const entry = list[i] as Entry;
    if (best !== null && entry.index > best.index) return best;
    if (entry.conditions === null || entry.conditions(info, headers, random)) return entry;
  }
  return best;
}

/** One path matcher for the list, where plain paths are those that ignore case. A CONNECT request, which has no path, is matched by `connect` alone. */
function compilePath({ path }: RouteMatchModel): LinearEntry['matchesPath'] {
  if (path.kind === 'connect') return (_path, info) => info.method === 'CONNECT';
  if (path.kind === 'template') return compileTemplate(path.pattern);
  if (path.kind === 'regex') {
    const full = compileFullMatch(path.value);
    return (text, info) => (text !== '' || info.method !== 'CONNECT') && full(text);
  }
  const matches = plainPath(path.kind, path.value.toLowerCase());
  return (text) => matches(text.toLowerCase());
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
      return (path) => path.startsWith(value);
    case 'path_separated_prefix':
      return (path) =>
        path.startsWith(value) && (path.length === value.length || path.charCodeAt(value.length) === SLASH);
  }
}

const SLASH = 0x2f;
