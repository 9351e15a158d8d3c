// Hash policies, compiled: a number made of a request, by which consistent hashing chooses its host
// (Envoy: config.route.v3.RouteAction.HashPolicy). Nothing here runs unless a balancer or a weighted cluster asks.

import type { HeaderMap } from '../codec/headers.ts';
import type { HashCookieModel, HashPolicyModel } from '../config/model/hash.ts';
import { cookieValue } from '../match/head.ts';
import { compileReplaceAll } from '../match/regex.ts';
import { readFilterState } from '../observe/filter-state.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { Cluster } from '../upstream/upstream.ts';
import { U64, xxHash64 } from '../util/hash64.ts';
import { queryValue } from './match.ts';

/** Told of the cookies that a client must be given so that it comes back to the same host. */
export interface CookieSink {
  addSetCookie(value: string): void;
}

/**
 * Hashes a request.
 * @param cookies `null` = the client cannot be given one
 * @param out takes the hash
 * @returns false: there is nothing to hash
 */
export type HashPolicy = (info: StreamInfo, headers: HeaderMap, cookies: CookieSink | null, out: U64) => boolean;

/** @returns `null` = there is no policy */
export function compileHashPolicies(models: readonly HashPolicyModel[]): HashPolicy | null {
  if (models.length === 0) return null;
  const methods = models.map((model) => ({ hash: compileMethod(model), terminal: model.terminal }));
  const [only] = methods;
  if (methods.length === 1 && only !== undefined) return only.hash;
  const next = new U64();
  return (info, headers, cookies, out) => {
    let found = false;
    for (const { hash, terminal } of methods) {
      if (hash(info, headers, cookies, next)) {
        // Turned by a bit, equal hashes do not cancel each other out.
        if (found) out.rotateLeft(1).xor(next);
        else out.set(next);
        found = true;
      }
      if (terminal && found) break;
    }
    return found;
  };
}

function compileMethod(model: HashPolicyModel): HashPolicy {
  switch (model.kind) {
    case 'header':
      return compileHeader(model.name, model.rewrite);
    case 'cookie':
      return compileCookie(model);
    case 'source_ip':
      return (info, _headers, _cookies, out) => {
        const ip = ipOf(info.remoteAddress);
        if (ip === '') return false;
        xxHash64(ip, out);
        return true;
      };
    case 'query_parameter': {
      const { name } = model;
      return (info, _headers, _cookies, out) => {
        const value = queryValue(info.path, name);
        if (value === null) return false;
        xxHash64(value, out);
        return true;
      };
    }
    case 'filter_state': {
      const { key } = model;
      return (info, _headers, _cookies, out) => {
        const value = hashableState(info, key);
        if (value === null) return false;
        xxHash64(value, out);
        return true;
      };
    }
  }
}

function compileHeader(
  name: string,
  rewrite: { readonly pattern: string; readonly substitution: string } | null,
): HashPolicy {
  const replace = rewrite === null ? null : compileReplaceAll(rewrite.pattern, rewrite.substitution);
  const pseudo = PSEUDO.get(name) ?? null;
  return (info, headers, _cookies, out) => {
    const values = pseudo === null ? valuesOf(headers, name) : [pseudo(info)];
    if (values.length === 0) return false;
    const hashed = replace === null ? values : values.map(replace);
    // Whatever their order, the same values are the same hash.
    if (hashed.length > 1) hashed.sort();
    out.setParts(0, 0);
    for (const value of hashed) xxHash64(value, out, out);
    return true;
  };
}

const PSEUDO: ReadonlyMap<string, (info: StreamInfo) => string> = new Map([
  [':authority', (info: StreamInfo) => info.authority],
  ['host', (info: StreamInfo) => info.authority],
  [':path', (info: StreamInfo) => info.path],
  [':method', (info: StreamInfo) => info.method],
  [':scheme', (info: StreamInfo) => info.scheme],
]);

function valuesOf(headers: HeaderMap, name: string): string[] {
  const values: string[] = [];
  for (let at = headers.names.indexOf(name); at >= 0; at = headers.names.indexOf(name, at + 1))
    values.push(headers.values[at] as string);
  return values;
}

function compileCookie(model: HashCookieModel): HashPolicy {
  const { name, ttlSeconds } = model;
  const tail = cookieTail(model);
  return (info, headers, cookies, out) => {
    const value = cookieValue(headers, name) ?? '';
    if (value !== '') {
      xxHash64(value, out);
      return true;
    }
    if (ttlSeconds < 0 || cookies === null) return false;
    // The same for all requests of a connection, which may come before the first answer.
    const made = xxHash64(info.connection.remoteAddress + info.connection.localAddress, out)
      .toHex()
      .replace(/^0+(?=.)/, '');
    cookies.addSetCookie(`${name}="${made}"${tail}`);
    xxHash64(made, out);
    return true;
  };
}

function cookieTail({ ttlSeconds, path, attributes }: HashCookieModel): string {
  let tail = ttlSeconds > 0 ? `; Max-Age=${ttlSeconds}` : '';
  if (path !== '') tail += `; Path=${path}`;
  for (const { name, value } of attributes) tail += value === '' ? `; ${name}` : `; ${name}=${value}`;
  return `${tail}; HttpOnly`;
}

/** `1.2.3.4:5` → `1.2.3.4`, `[::1]:5` → `::1`; empty for what is no IP address. */
function ipOf(address: string): string {
  if (address.startsWith('[')) return address.slice(1, address.indexOf(']'));
  const colon = address.lastIndexOf(':');
  return colon < 0 || address.startsWith('/') ? '' : address.slice(0, colon);
}

/** The text of an object that can be hashed. */
function hashableState(info: StreamInfo, key: string): string | null {
  const value = readFilterState(info, key);
  return value === null || typeof value === 'string' ? null : (value.hashed ?? null);
}

/** Policies of clusters that have their own, whatever routes say. */
export class ClusterHashPolicies {
  private readonly known: WeakMap<Cluster, HashPolicy | null>;

  constructor() {
    this.known = new WeakMap();
  }

  /** @returns `null` = the route's holds */
  of(cluster: Cluster): HashPolicy | null {
    let policy = this.known.get(cluster);
    if (policy === undefined) {
      const { lbPolicy, hashPolicy } = cluster.model;
      const ofBalancer = lbPolicy.kind === 'ring_hash' || lbPolicy.kind === 'maglev' ? lbPolicy.hashPolicy : [];
      policy = compileHashPolicies(ofBalancer.length > 0 ? ofBalancer : hashPolicy);
      this.known.set(cluster, policy);
    }
    return policy;
  }
}
