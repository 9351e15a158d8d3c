// Access-log filters compiled to predicates (Envoy: config.accesslog.v3.AccessLogFilter).

import { HeaderMap } from '../codec/headers.ts';
import type { LogFilterModel } from '../config/model/access-log.ts';
import type { FractionModel } from '../config/model/common.ts';
import type { HeaderMatchModel } from '../config/model/headers.ts';
import type { ValueMatchModel } from '../config/model/match.ts';
import { type RuntimeKeys, runtimeInteger } from '../config/model/runtime.ts';
import { compileHeaderMatch } from '../match/head.ts';
import { compileValueTest, valueAt } from '../match/value.ts';
import { ConfigError } from '../util/error.ts';
import { flagNames, flagOf } from './flags.ts';
import { grpcStatus } from './format-headers.ts';
import type { StreamInfo } from './stream-info.ts';

/** Whether a record is wanted. */
export type LogFilter = (info: StreamInfo) => boolean;

/**
 * Compiles a filter.
 * @param runtime overrides of thresholds and fractions
 * @throws ConfigError for an unknown response flag
 */
export function compileLogFilter(model: LogFilterModel, runtime: RuntimeKeys): LogFilter {
  switch (model.kind) {
    case 'status_code':
      return compare(model.op, runtimeInteger(runtime, model.runtimeKey, model.value), (info) => info.status);
    case 'duration':
      return compare(model.op, runtimeInteger(runtime, model.runtimeKey, model.value), durationMs);
    case 'not_health_check':
      return (info) => !info.healthCheck;
    case 'traceable':
      return (info) => info.traceSampled && !info.healthCheck;
    case 'runtime':
      return sampled(model.fraction, model.key, model.useIndependentRandomness, runtime);
    case 'and': {
      const filters = model.filters.map((filter) => compileLogFilter(filter, runtime));
      return (info) => {
        for (let i = 0; i < filters.length; i++) if (!(filters[i] as LogFilter)(info)) return false;
        return true;
      };
    }
    case 'or': {
      const filters = model.filters.map((filter) => compileLogFilter(filter, runtime));
      return (info) => {
        for (let i = 0; i < filters.length; i++) if ((filters[i] as LogFilter)(info)) return true;
        return false;
      };
    }
    case 'header':
      return compileHeader(model.header);
    case 'response_flag':
      return responseFlag(model.flags);
    case 'grpc_status': {
      const statuses = new Set(model.statuses);
      const { exclude } = model;
      return (info) => statuses.has(grpcStatus(info) ?? GRPC_UNKNOWN) !== exclude;
    }
    case 'log_type': {
      const types = new Set(model.types);
      const { exclude } = model;
      return (info) => types.has(info.accessLogType) !== exclude;
    }
    case 'metadata':
      return metadata(model.namespace, model.path, model.value, model.matchIfKeyNotFound);
  }
}

/** Without a head there are no headers. */
function compileHeader(model: HeaderMatchModel): LogFilter {
  const holds = compileHeaderMatch(model);
  return (info) => holds(info, info.requestHeaders ?? NO_HEADERS);
}

const NO_HEADERS = new HeaderMap();
const GRPC_UNKNOWN = 2;

function durationMs(info: StreamInfo): number {
  return Math.trunc((info.endMs < 0 ? performance.now() : info.endMs) - info.startMs);
}

function compare(op: 'eq' | 'ge' | 'le' | 'ne', want: number, read: (info: StreamInfo) => number): LogFilter {
  switch (op) {
    case 'eq':
      return (info) => read(info) === want;
    case 'ge':
      return (info) => read(info) >= want;
    case 'le':
      return (info) => read(info) <= want;
    case 'ne':
      return (info) => read(info) !== want;
  }
}

/**
 * The share is taken by the request id's first 32 bits, so that all proxies of a request agree, or by chance. The runtime
 * says a numerator here, never a share as for routes and filters (seen on Envoy 1.40).
 */
function sampled(fraction: FractionModel, key: string, independent: boolean, runtime: RuntimeKeys): LogFilter {
  const numerator = runtimeInteger(runtime, key, fraction.numerator);
  const { denominator } = fraction;
  return (info) => {
    const id = independent ? null : requestIdNumber(info);
    const draw = id ?? Math.floor(Math.random() * 2 ** 32);
    return draw % denominator < numerator;
  };
}

const FIRST_GROUP = /^[0-9a-fA-F]{8}/;

function requestIdNumber(info: StreamInfo): number | null {
  const id = info.requestHeaders?.get('x-request-id') ?? info.requestId;
  const found = FIRST_GROUP.exec(id);
  return found === null ? null : Number.parseInt(found[0], 16);
}

function responseFlag(names: readonly string[]): LogFilter {
  if (names.length === 0) return (info) => info.flags !== 0;
  let mask = 0;
  for (const name of names) {
    const bit = flagOf(name);
    if (bit === 0) {
      throw new ConfigError(`'${name}' is no response flag; the flags are ${flagNames().join(', ')}`);
    }
    mask |= bit;
  }
  return (info) => (info.flags & mask) !== 0;
}

// === Metadata ===

/** Envoy compares the value only; `invert` of the matcher plays no part in a log filter. */
function metadata(
  namespace: string,
  path: readonly string[],
  match: ValueMatchModel,
  matchIfKeyNotFound: boolean,
): LogFilter {
  const test = compileValueTest(match);
  return (info) => {
    const value = valueAt(info.dynamicMetadata?.[namespace], path);
    return value === undefined ? matchIfKeyNotFound : test(value);
  };
}
