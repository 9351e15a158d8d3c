// Normal forms of a request's path and host, byte for byte as Envoy 1.40 makes them (seen; table in the test):
// escaped slashes first, then RFC 3986 dot segments and percent-encoding, then repeated slashes.

import type { HttpConnectionManagerModel } from '../config/model/http.ts';

/** What of the connection manager's model decides a path. */
export type PathRules = Pick<HttpConnectionManagerModel, 'normalizePath' | 'mergeSlashes' | 'escapedSlashes'>;
/** What of it decides a host. */
export type HostRules = Pick<HttpConnectionManagerModel, 'stripHostPort' | 'stripTrailingHostDot'>;

/** `redirect`: the client is to come back with `path`. */
export interface PathResult {
  kind: 'ok' | 'reject' | 'redirect';
  /** Path and query. */
  path: string;
}

// One per thread, overwritten by the next call.
const result: PathResult = { kind: 'ok', path: '' };

/**
 * Brings a path into the configured form; the query is never touched. A fragment is refused whatever is configured.
 * @returns an object that holds until the next call
 */
export function normalizePath(path: string, rules: PathRules): PathResult {
  result.kind = 'ok';
  result.path = path;
  if (path.indexOf('#') >= 0) {
    result.kind = 'reject';
    return result;
  }
  const { normalizePath: normalize, mergeSlashes, escapedSlashes } = rules;
  if ((!normalize && !mergeSlashes && escapedSlashes === 'keep') || !UNUSUAL.test(path)) return result;
  const question = path.indexOf('?');
  const query = question < 0 ? '' : path.slice(question);
  let bare = question < 0 ? path : path.slice(0, question);
  let redirect = false;
  if (escapedSlashes !== 'keep' && ESCAPED_SLASH.test(bare)) {
    redirect = escapedSlashes === 'unescape_and_redirect';
    bare = bare.replace(ESCAPED_SLASHES, (found) => (found.charCodeAt(1) === DIGIT_2 ? '/' : '\\'));
    if (escapedSlashes === 'reject') {
      result.kind = 'reject';
      result.path = bare + query;
      return result;
    }
  }
  if (normalize) {
    if (bare.includes('%00')) {
      result.kind = 'reject';
      return result;
    }
    bare = removeDotSegments(recode(bare));
  }
  if (mergeSlashes && bare.includes('//')) bare = merge(bare);
  result.path = bare + query;
  if (redirect) result.kind = 'redirect';
  return result;
}

const DIGIT_2 = 0x32;
// A path without any of these is in normal form already.
const UNUSUAL = /[^!$&-.0-;=?-Z[\]_a-z~/]|\/[./]/;
const ESCAPED_SLASH = /%2f|%5c/i;
const ESCAPED_SLASHES = /%2f|%5c/gi;
const RECODED = /%(?:2[de]|3[0-9]|4[1-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9ae])|\\|[^!$-;=?-Z[\]_a-z~]/gi;

/** Decodes escapes of unreserved characters, encodes what may not stand plain, and turns `\` into `/`. */
function recode(path: string): string {
  return path.replace(RECODED, (part) => {
    if (part === '\\') return '/';
    if (part.length === 3) return String.fromCharCode(Number.parseInt(part.slice(1), 16));
    const code = part.charCodeAt(0);
    return `%${code < 16 ? '0' : ''}${code.toString(16).toUpperCase()}`;
  });
}

/** RFC 3986 §5.2.4; empty segments count as segments, and the root cannot be left. */
function removeDotSegments(path: string): string {
  if (!path.includes('/.')) return path;
  const segments = path.split('/');
  const kept: string[] = [];
  const last = segments.length - 1;
  for (let i = 1; i <= last; i++) {
    const segment = segments[i] as string;
    if (segment === '..') kept.pop();
    else if (segment !== '.') {
      kept.push(segment);
      continue;
    }
    // A dot segment at the end leaves the slash before it.
    if (i === last) kept.push('');
  }
  return `/${kept.join('/')}`;
}

/** One slash for many; Envoy leaves two of a path that is nothing but slashes. */
function merge(path: string): string {
  const segments = path.split('/').filter((segment) => segment !== '');
  return `${path.startsWith('/') ? '/' : ''}${segments.join('/')}${path.endsWith('/') ? '/' : ''}`;
}

/**
 * Strips port and trailing dot of a host as configured.
 * @param localPort what `matching` compares with
 */
export function normalizeHost(authority: string, rules: HostRules, localPort: number): string {
  let host = rules.stripTrailingHostDot ? withoutDot(authority) : authority;
  if (rules.stripHostPort === 'no') return host;
  const colon = portStart(host);
  if (colon >= 0 && (rules.stripHostPort === 'any' || Number(host.slice(colon + 1)) === localPort))
    host = host.slice(0, colon);
  return host;
}

/** Index of the colon before a numeric port; −1 = there is none. */
export function portStart(host: string): number {
  const colon = host.lastIndexOf(':');
  if (colon < 0 || host.indexOf(']', colon) >= 0) return -1;
  return PORT.test(host.slice(colon + 1)) ? colon : -1;
}

// Envoy's number parser takes a sign and leading zeros.
const PORT = /^\+?[0-9]{1,10}$/;

function withoutDot(authority: string): string {
  const dot = authority.lastIndexOf('.');
  if (dot < 0) return authority;
  if (dot === authority.length - 1) return authority.slice(0, -1);
  return authority.charCodeAt(dot + 1) === 0x3a ? authority.slice(0, dot) + authority.slice(dot + 1) : authority;
}
