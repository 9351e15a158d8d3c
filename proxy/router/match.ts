// Matchers of strings, headers and queries, compiled to closures (Envoy: type.matcher.v3, config.route.v3 HeaderMatcher).

import type { HeaderMap } from '../codec/headers.ts';
import type { FractionModel, StringMatchModel } from '../config/model/common.ts';
import type { HeaderMatchModel } from '../config/model/headers.ts';
import type { FilterStateMatchModel, MetadataMatchModel } from '../config/model/match.ts';
import type { QueryMatchModel, RouteMatchModel } from '../config/model/route.ts';
import { type RuntimeKeys, runtimeFraction } from '../config/model/runtime.ts';
import { filterStateText, readFilterState } from '../observe/filter-state.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import { compileValueTest, valueAt } from '../observe/value-match.ts';
import { compileRanges } from '../util/ip.ts';
import { compileFullMatch, type TextMatch } from './regex.ts';

/** A condition on a request; `random` is 32 bits drawn for the request. */
export type Condition = (info: StreamInfo, headers: HeaderMap, random: number) => boolean;

/** Whether a request with these 32 random bits belongs to a share. */
export type InFraction = (random: number) => boolean;

/** A number under the runtime key is a percentage and takes the place of the configured share. */
export function compileFraction(model: FractionModel, runtime: RuntimeKeys): InFraction {
  const { numerator, denominator } = runtimeFraction(runtime, model);
  return (random) => random % denominator < numerator;
}

/** Compiles `StringMatcher`; an ignored case folds the text, never the pattern again. */
export function compileStringMatch(model: StringMatchModel): TextMatch {
  const { value } = model;
  if (model.kind === 'regex') return compileFullMatch(value);
  const plain = plainMatch(model.kind, value);
  return model.ignoreCase ? (text) => plain(asciiLower(text)) : plain;
}

/** Bytes beyond ASCII have no case. */
function asciiLower(text: string): string {
  return BEYOND_ASCII.test(text) ? text.replace(/[A-Z]+/g, (run) => run.toLowerCase()) : text.toLowerCase();
}

const BEYOND_ASCII = /[^\0-\x7f]/;

function plainMatch(kind: 'exact' | 'prefix' | 'suffix' | 'contains', value: string): TextMatch {
  switch (kind) {
    case 'exact':
      return (text) => text === value;
    case 'prefix':
      return (text) => text.startsWith(value);
    case 'suffix':
      return (text) => text.endsWith(value);
    case 'contains':
      return (text) => text.includes(value);
  }
}

/** Reads a header, or the field behind a pseudo-header. */
export function compileHeaderRead(name: string): (info: StreamInfo, headers: HeaderMap) => string | null {
  switch (name) {
    case ':method':
      return (info) => info.method;
    case ':path':
      return (info) => info.path;
    case ':authority':
    case 'host':
      return (info) => (info.authority === '' && !info.authorityIsEmpty ? null : info.authority);
    case ':scheme':
      return (info) => (info.scheme === '' ? null : info.scheme);
    case ':status':
      return (info) => (info.status === 0 ? null : `${info.status}`);
    default:
      return (_info, headers) => headers.getJoined(name);
  }
}

/** Reads a header as `compileHeaderRead` does, of a repeated one its first value. */
export function compileFirstRead(name: string): (info: StreamInfo, headers: HeaderMap) => string | null {
  return isPlainName(name) ? (_info, headers) => headers.get(name) : compileHeaderRead(name);
}

/** Compiles one header matcher. */
export function compileHeaderMatch(model: HeaderMatchModel): (info: StreamInfo, headers: HeaderMap) => boolean {
  const read = compileHeaderRead(model.name);
  const { match, invert, treatMissingAsEmpty } = model;
  if (match.kind === 'present') {
    const wanted = match.present !== invert;
    return (info, headers) => {
      const there = treatMissingAsEmpty || read(info, headers) !== null;
      return there === wanted;
    };
  }
  const holds = match.kind === 'range' ? rangeMatch(match.start, match.end) : compileStringMatch(match.string);
  const { name } = model;
  if (!isPlainName(name)) {
    return (info, headers) => {
      const value = read(info, headers) ?? (treatMissingAsEmpty ? '' : null);
      return value !== null && holds(value) !== invert;
    };
  }
  // Of a repeated header each value is tried by itself, never the joined list. An absent one matches nothing: also not
  // the inverse of a value match.
  return (_info, headers) => {
    const { names, values } = headers;
    let at = names.indexOf(name);
    if (at < 0) return treatMissingAsEmpty && holds('') !== invert;
    for (; at >= 0; at = names.indexOf(name, at + 1)) if (holds(values[at] as string)) return !invert;
    return invert;
  };
}

function isPlainName(name: string): boolean {
  return name !== 'host' && name.charCodeAt(0) !== COLON;
}

function rangeMatch(start: number, end: number): TextMatch {
  return (text) => {
    if (!/^[+-]?\d+$/.test(text)) return false;
    const value = Number(text);
    return value >= start && value < end;
  };
}

/** The value of a query parameter as written, `''` for a bare key, or `null`. The first one counts. */
export function queryValue(path: string, name: string): string | null {
  let at = path.indexOf('?');
  while (at >= 0) {
    const start = at + 1;
    const next = path.indexOf('&', start);
    const end = next < 0 ? path.length : next;
    if (path.startsWith(name, start)) {
      const after = start + name.length;
      if (after === end) return '';
      if (path.charCodeAt(after) === EQUALS) return path.slice(after + 1, end);
    }
    at = next;
  }
  return null;
}

function compileQueryMatch(model: QueryMatchModel): (info: StreamInfo) => boolean {
  const { name, match } = model;
  if (match.kind === 'present') return (info) => (queryValue(info.path, name) !== null) === match.present;
  const holds = compileStringMatch(match.string);
  return (info) => {
    const value = queryValue(info.path, name);
    return value !== null && holds(value);
  };
}

/** The first cookie of the name, without quotes around it; `null` = there is none. */
export function cookieValue(headers: HeaderMap, name: string): string | null {
  const { names, values } = headers;
  for (let at = names.indexOf('cookie'); at >= 0; at = names.indexOf('cookie', at + 1)) {
    for (const part of (values[at] as string).split(';')) {
      const pair = part.trim();
      if (pair.startsWith(name) && pair.charCodeAt(name.length) === EQUALS) return unquote(pair.slice(name.length + 1));
    }
  }
  return null;
}

function unquote(value: string): string {
  const quoted = value.length >= 2 && value.charCodeAt(0) === QUOTE && value.charCodeAt(value.length - 1) === QUOTE;
  return quoted ? value.slice(1, -1) : value;
}

/** True where `application/grpc` or `application/grpc+…` is the content type, and nothing else. */
function isGrpc(headers: HeaderMap): boolean {
  const type = headers.get('content-type');
  return type !== null && (type === 'application/grpc' || type.startsWith('application/grpc+'));
}

function compileTlsMatch({ presented, validated }: NonNullable<RouteMatchModel['tlsContext']>): Condition {
  return ({ connection: { tls } }) =>
    (presented === null || presented === (tls !== null && tls.peer !== null)) &&
    (validated === null || validated === (tls?.peerValidated ?? false));
}

/** Compiles `MetadataMatcher` on the dynamic metadata of the request. */
export function compileMetadataMatch(model: MetadataMatchModel): (info: StreamInfo) => boolean {
  const { namespace, path, invert } = model;
  const holds = compileValueTest(model.value, compileStringMatch);
  return (info) => holds(valueAt(info.dynamicMetadata?.[namespace], path)) !== invert;
}

/** Compiles `FilterStateMatcher`: an object that is missing or not of the right kind matches nothing. */
export function compileFilterStateMatch({ key, match }: FilterStateMatchModel): (info: StreamInfo) => boolean {
  if (match.kind === 'string') {
    const holds = compileStringMatch(match.string);
    return (info) => {
      const text = filterStateText(readFilterState(info, key), '');
      return text !== null && holds(text);
    };
  }
  const holds = compileRanges(match.ranges);
  return (info) => {
    const state = readFilterState(info, key);
    const ip = state === null || typeof state === 'string' ? undefined : state.ip;
    return ip !== undefined && holds(ip) !== match.invert;
  };
}

/** Everything of a route's match but its path; `null` = nothing more to check. */
export function compileConditions(match: RouteMatchModel, runtime: RuntimeKeys): Condition | null {
  const list: Condition[] = [];
  for (const header of match.headers) list.push(compileHeaderMatch(header));
  for (const query of match.queryParameters) list.push(compileQueryMatch(query));
  for (const { name, match: string, invert } of match.cookies) {
    const holds = compileStringMatch(string);
    list.push((_info, headers) => {
      const value = cookieValue(headers, name);
      return value === null ? invert : holds(value) !== invert;
    });
  }
  if (match.grpcOnly) list.push((_info, headers) => isGrpc(headers));
  const { tlsContext, runtimeFraction } = match;
  for (const metadata of match.dynamicMetadata) list.push(compileMetadataMatch(metadata));
  for (const state of match.filterState) list.push(compileFilterStateMatch(state));
  if (tlsContext !== null) list.push(compileTlsMatch(tlsContext));
  if (runtimeFraction !== null) {
    const isIn = compileFraction(runtimeFraction, runtime);
    list.push((_info, _headers, random) => isIn(random));
  }
  const [first] = list;
  if (first === undefined) return null;
  if (list.length === 1) return first;
  return (info, headers, random) => {
    for (let i = 0; i < list.length; i++) if (!(list[i] as Condition)(info, headers, random)) return false;
    return true;
  };
}

const EQUALS = 0x3d;
const COLON = 0x3a;
const QUOTE = 0x22;
