// What a route asks of a request besides its path, compiled (Envoy: config.route.v3.RouteMatch).

import type { HeaderMap } from '../codec/headers.ts';
import type { FractionModel } from '../config/model/common.ts';
import type { FilterStateMatchModel, MetadataMatchModel } from '../config/model/match.ts';
import type { QueryMatchModel, RouteMatchModel } from '../config/model/route.ts';
import { type RuntimeKeys, runtimeFraction } from '../config/model/runtime.ts';
import { compileHeaderMatch, cookieValue, isGrpcContentType } from '../match/head.ts';
import { compileStringMatch } from '../match/string.ts';
import { compileValueTest, valueAt } from '../match/value.ts';
import { filterStateText, readFilterState } from '../observe/filter-state.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import { compileRanges } from '../util/ip.ts';

/** A condition on a request; `random` is 32 bits drawn for the request. */
export type Condition = (info: StreamInfo, headers: HeaderMap, random: number) => boolean;

/** Whether a request with these 32 random bits belongs to a share. */
export type InFraction = (random: number) => boolean;

/** A number under the runtime key is a percentage and takes the place of the configured share. */
export function compileFraction(model: FractionModel, runtime: RuntimeKeys): InFraction {
  const { numerator, denominator } = runtimeFraction(runtime, model);
  return (random) => random % denominator < numerator;
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

function compileTlsMatch({ presented, validated }: NonNullable<RouteMatchModel['tlsContext']>): Condition {
  return ({ connection: { tls } }) =>
    (presented === null || presented === (tls !== null && tls.peer !== null)) &&
    (validated === null || validated === (tls?.peerValidated ?? false));
}

/** Compiles `MetadataMatcher` on the dynamic metadata of the request. */
export function compileMetadataMatch(model: MetadataMatchModel): (info: StreamInfo) => boolean {
  const { namespace, path, invert } = model;
  const holds = compileValueTest(model.value);
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
  if (match.grpcOnly) list.push((_info, headers) => isGrpcContentType(headers.get('content-type')));
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
