// The routes of one list by their paths: the first match in configured order wins.
//
// Case-sensitive plain paths stand in a radix tree, so that ten thousand of them cost one walk over the path; what needs
// looking at one by one is kept in a list. Every list is sorted by the routes' order; the lowest position that holds wins.

import type { HeaderMap } from '../codec/headers.ts';
import type { RouteMatchModel, RouteModel } from '../config/model/route.ts';
import { compileFullMatch } from '../match/regex.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import { barePath } from './bare-path.ts';
import { compileConditions } from './match.ts';
import type { PathLists, PathTrees, PathValue } from './path-tree.ts';
import type { CompiledRoute, RouteResult } from './route.ts';
import { compileRoute, type RouteScope } from './route-compile.ts';

/** Finds the route of a request in one virtual host. @param path routes see it up to its query */
export interface RouteSource {
  match(path: string, info: StreamInfo, headers: HeaderMap, random: number): RouteResult;
}

/** Where the routes of all virtual hosts of a table stand. */
export type RouteTrees = PathTrees<Entry>;

/** A route at its position. */
interface Entry extends CompiledRoute, PathValue {}

interface LinearEntry extends Entry {
  readonly matchesPath: (path: string, info: StreamInfo) => boolean;
}

/** Compiles a list of routes. */
export function indexRoutes(routes: readonly RouteModel[], scope: RouteScope, trees: RouteTrees): RouteSource {
  const lists = new Map<string, PathLists<Entry>>();
  const linear: LinearEntry[] = [];
  routes.forEach((model, index) => {
    const { path, caseSensitive } = model.match;
    const conditions = compileConditions(model.match, scope.runtimeKeys);
    const entry: Entry = { ...compileRoute(model, scope), index, conditions };
    if (!caseSensitive || path.kind === 'connect' || path.kind === 'regex' || path.kind === 'template') {
      linear.push({ ...entry, matchesPath: compilePath(model.match) });
      return;
    }
    // Those with a query are met by nothing.
    if (barePath(path.value) !== path.value) return;
    const at = lists.get(path.value) ?? { exact: [], prefix: [], separated: [] };
    lists.set(path.value, at);
    at[path.kind === 'path_separated_prefix' ? 'separated' : path.kind].push(entry);
  });
  return new PathIndex(trees, trees.pack(lists), linear);
}

/** See the head of the file. */
class PathIndex implements RouteSource {
  private readonly trees: RouteTrees;
  private readonly root: number;
  private readonly linear: readonly LinearEntry[];

  constructor(trees: RouteTrees, root: number, linear: readonly LinearEntry[]) {
    this.trees = trees;
    this.root = root;
    this.linear = linear;
  }

  match(path: string, info: StreamInfo, headers: HeaderMap, random: number): RouteResult {
    const best = this.trees.find(this.root, path, info, headers, random);
    if (this.linear.length === 0) return best;
    const bare = barePath(path);
    for (let i = 0; i < this.linear.length; i++) {
      const entry = this.linear[i] as LinearEntry;
      if (best !== null && entry.index > best.index) break;
      if (!entry.matchesPath(bare, info)) continue;
      if (entry.conditions === null || entry.conditions(info, headers, random)) return entry;
    }
    return best;
  }
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
