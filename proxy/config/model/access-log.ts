// The model of access logs and of substitution format strings (Envoy: config.accesslog.v3, core.v3.SubstitutionFormatString).

import type { FractionModel, JsonObject } from './common.ts';
import type { HeaderMatchModel } from './headers.ts';
import type { ValueMatchModel } from './match.ts';

/** A format as written; compiled (and its syntax refused) by `observe/format.ts`, which `lower` calls once to get the verdict. */
export type FormatModel =
  | { readonly kind: 'text'; readonly format: string; readonly omitEmptyValues: boolean }
  | {
      readonly kind: 'json';
      /** Keys and values are ordinary strings, not latin1 images; metadata likewise. Keys come out sorted in any case. */
      readonly format: JsonObject;
      readonly omitEmptyValues: boolean;
      readonly sortProperties: boolean;
    };

export interface AccessLogModel {
  readonly name: string;
  readonly filter: LogFilterModel | null;
  readonly sink:
    | { readonly kind: 'file'; readonly path: string }
    | { readonly kind: 'stdout' }
    | { readonly kind: 'stderr' };
  readonly format: FormatModel;
}

export type LogFilterModel =
  | {
      readonly kind: 'status_code' | 'duration';
      readonly op: 'eq' | 'ge' | 'le' | 'ne';
      readonly value: number;
      readonly runtimeKey: string;
    }
  | { readonly kind: 'not_health_check' }
  | { readonly kind: 'traceable' }
  | {
      readonly kind: 'runtime';
      readonly key: string;
      readonly fraction: FractionModel;
      readonly useIndependentRandomness: boolean;
    }
  | { readonly kind: 'and' | 'or'; readonly filters: readonly LogFilterModel[] }
  | { readonly kind: 'header'; readonly header: HeaderMatchModel }
  /** Short flag names (`NR`); empty = any flag set. */
  | { readonly kind: 'response_flag'; readonly flags: readonly string[] }
  | { readonly kind: 'grpc_status'; readonly statuses: readonly number[]; readonly exclude: boolean }
  | { readonly kind: 'log_type'; readonly types: readonly string[]; readonly exclude: boolean }
  | {
      readonly kind: 'metadata';
      readonly namespace: string;
      readonly path: readonly string[];
      readonly value: ValueMatchModel;
      readonly invert: boolean;
      readonly matchIfKeyNotFound: boolean;
    };
