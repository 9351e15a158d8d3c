// Lowers access logs, their filters and substitution format strings
// (Envoy: config.accesslog.v3, extensions.access_loggers.{file,stream}.v3, core.v3.SubstitutionFormatString).

import { compileFormat, DEFAULT_TEXT_FORMAT } from '../../observe/format.ts';
import { ConfigError } from '../../util/error.ts';
import type { AccessLogModel, FormatModel, LogFilterModel } from '../model/access-log.ts';
import type { JsonObject } from '../model/common.ts';
import type { BodyFormatModel } from '../model/route.ts';
import { unpackAny } from '../read/any.ts';
import { bool, list, type Msg, num, numbers, oneof, oneofCase, str, strings, sub } from '../schema/message.ts';
import { type LowerContext, lowerFraction, readDataSource } from './common.ts';
import { lowerHeaderMatch } from './header-match.ts';
import { lowerValueMatch } from './value-match.ts';

const DEFAULT_FORMAT: FormatModel = { kind: 'text', format: DEFAULT_TEXT_FORMAT, omitEmptyValues: false };

const FILE_LOG = 'envoy.extensions.access_loggers.file.v3.FileAccessLog';
const STDOUT_LOG = 'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog';
const STDERR_LOG = 'envoy.extensions.access_loggers.stream.v3.StderrAccessLog';

/** The `access_log` list of a listener, connection manager, TCP proxy, router or the admin. */
export function lowerAccessLogs(logs: readonly Msg[], ctx: LowerContext, path: string): readonly AccessLogModel[] {
  const models: AccessLogModel[] = [];
  for (const [index, log] of logs.entries()) {
    const model = ctx.attempt(() => lowerAccessLog(log, ctx, `${path}[${index}]`));
    if (model !== null) models.push(model);
  }
  return models;
}

/** `config.accesslog.v3.AccessLog`. */
export function lowerAccessLog(message: Msg, ctx: LowerContext, path: string): AccessLogModel {
  const name = str(message, 'name');
  const filter = sub(message, 'filter');
  const sink = lowerSink(message, name, ctx, path);
  return { name, filter: filter === null ? null : lowerLogFilter(filter, `${path}.filter`), ...sink };
}

function lowerSink(
  message: Msg,
  name: string,
  ctx: LowerContext,
  path: string,
): { readonly sink: AccessLogModel['sink']; readonly format: FormatModel } {
  const any = oneofCase(message, 'configType', 'typedConfig');
  if (any === null) {
    throw new ConfigError(`Didn't find a registered implementation for '${name}' with type URL: ''`, path);
  }
  const at = `${path}.typed_config`;
  const config = unpackAny(any, at).message;
  switch (config.$typeName) {
    case FILE_LOG:
      return { sink: { kind: 'file', path: str(config, 'path') }, format: lowerFileFormat(config, ctx, at) };
    case STDOUT_LOG:
    case STDERR_LOG: {
      const format = oneofCase(config, 'accessLogFormat', 'logFormat');
      return {
        sink: { kind: config.$typeName === STDOUT_LOG ? 'stdout' : 'stderr' },
        format: format === null ? DEFAULT_FORMAT : lowerFormat(format, ctx, `${at}.log_format`),
      };
    }
    default:
      throw new ConfigError(
        `Didn't find a registered implementation for '${name}' with type URL: '${config.$typeName}'`,
        at,
      );
  }
}

function lowerFileFormat(config: Msg, ctx: LowerContext, path: string): FormatModel {
  const format = oneof(config, 'accessLogFormat');
  if (format === null) return DEFAULT_FORMAT;
  switch (format.case) {
    case 'format': {
      const text = format.value as string;
      return checked(text === '' ? DEFAULT_FORMAT : textFormat(text, false), `${path}.format`);
    }
    case 'jsonFormat':
      return checked(jsonFormat(format.value as JsonObject, false), `${path}.json_format`);
    case 'typedJsonFormat':
      return checked(jsonFormat(format.value as JsonObject, false), `${path}.typed_json_format`);
    default:
      return lowerFormat(format.value as Msg, ctx, `${path}.log_format`);
  }
}

function textFormat(text: string, omitEmptyValues: boolean): FormatModel {
  return { kind: 'text', format: Buffer.from(text, 'utf8').toString('latin1'), omitEmptyValues };
}

/** Envoy 1.40 sorts properties whether or not it is told to. */
function jsonFormat(format: JsonObject, omitEmptyValues: boolean): FormatModel {
  return { kind: 'json', format, omitEmptyValues, sortProperties: true };
}

/** `core.v3.SubstitutionFormatString`, its operators checked. */
export function lowerFormat(message: Msg, ctx: LowerContext, path: string): FormatModel {
  const omitEmptyValues = bool(message, 'omitEmptyValues');
  const format = oneof(message, 'format');
  switch (format?.case) {
    case 'textFormat':
      return checked(textFormat(format.value as string, omitEmptyValues), `${path}.text_format`);
    case 'textFormatSource': {
      const at = `${path}.text_format_source`;
      const text = readDataSource(format.value as Msg, ctx, at).toString('latin1');
      return checked({ kind: 'text', format: text, omitEmptyValues }, at);
    }
    case 'jsonFormat':
      return checked(jsonFormat(format.value as JsonObject, omitEmptyValues), `${path}.json_format`);
    default:
      throw new ConfigError('one of text_format, json_format and text_format_source is required', path);
  }
}

/** `core.v3.SubstitutionFormatString` for a response body. */
export function lowerBodyFormat(message: Msg, ctx: LowerContext, path: string): BodyFormatModel {
  return { format: lowerFormat(message, ctx, path), contentType: str(message, 'contentType') };
}

/** Compiling is the verdict; the result is thrown away. */
function checked(format: FormatModel, path: string): FormatModel {
  try {
    compileFormat(format);
  } catch (error) {
    if (error instanceof ConfigError) throw new ConfigError(error.message, path);
    throw error;
  }
  return format;
}

// === Filters ===

const COMPARISON_OPS = ['eq', 'ge', 'le', 'ne'] as const;

/** `config.accesslog.v3.AccessLogFilter`. */
export function lowerLogFilter(message: Msg, path: string): LogFilterModel {
  const specifier = oneof(message, 'filterSpecifier');
  if (specifier === null) throw new ConfigError('one filter is required', path);
  const value = specifier.value as Msg;
  switch (specifier.case) {
    case 'statusCodeFilter':
      return lowerComparison('status_code', value);
    case 'durationFilter':
      return lowerComparison('duration', value);
    case 'notHealthCheckFilter':
      return { kind: 'not_health_check' };
    case 'traceableFilter':
      return { kind: 'traceable' };
    case 'runtimeFilter':
      return lowerRuntimeFilter(value);
    case 'andFilter':
      return { kind: 'and', filters: lowerNested(value, `${path}.and_filter`) };
    case 'orFilter':
      return { kind: 'or', filters: lowerNested(value, `${path}.or_filter`) };
    case 'headerFilter': {
      const header = sub(value, 'header');
      if (header === null) throw new ConfigError('header is required', `${path}.header_filter`);
      return { kind: 'header', header: lowerHeaderMatch(header, `${path}.header_filter.header`) };
    }
    case 'responseFlagFilter':
      return { kind: 'response_flag', flags: strings(value, 'flags') };
    case 'grpcStatusFilter':
      return { kind: 'grpc_status', statuses: numbers(value, 'statuses'), exclude: bool(value, 'exclude') };
    case 'logTypeFilter':
      return {
        kind: 'log_type',
        types: numbers(value, 'types').map((type) => LOG_TYPES[type] ?? 'NotSet'),
        exclude: bool(value, 'exclude'),
      };
    case 'metadataFilter':
      return lowerMetadataFilter(value, `${path}.metadata_filter`);
    default:
      throw new ConfigError('extension filters are not supported', `${path}.extension_filter`);
  }
}

/** `data.accesslog.v3.AccessLogType` by number, as `%ACCESS_LOG_TYPE%` prints it. */
const LOG_TYPES = [
  'NotSet',
  'TcpUpstreamConnected',
  'TcpPeriodic',
  'TcpConnectionEnd',
  'DownstreamStart',
  'DownstreamPeriodic',
  'DownstreamEnd',
  'UpstreamPoolReady',
  'UpstreamPeriodic',
  'UpstreamEnd',
  'DownstreamTunnelSuccessfullyEstablished',
  'UdpTunnelUpstreamConnected',
  'UdpPeriodic',
  'UdpSessionEnd',
] as const;

function lowerComparison(kind: 'status_code' | 'duration', message: Msg): LogFilterModel {
  const comparison = sub(message, 'comparison');
  const value = comparison === null ? null : sub(comparison, 'value');
  return {
    kind,
    op: COMPARISON_OPS[comparison === null ? 0 : num(comparison, 'op')] ?? 'eq',
    value: value === null ? 0 : num(value, 'defaultValue'),
    runtimeKey: value === null ? '' : str(value, 'runtimeKey'),
  };
}

function lowerRuntimeFilter(message: Msg): LogFilterModel {
  const key = str(message, 'runtimeKey');
  const percent = sub(message, 'percentSampled');
  return {
    kind: 'runtime',
    key,
    fraction: percent === null ? { numerator: 0, denominator: 100, runtimeKey: key } : lowerFraction(percent, key),
    useIndependentRandomness: bool(message, 'useIndependentRandomness'),
  };
}

function lowerNested(message: Msg, path: string): readonly LogFilterModel[] {
  return list(message, 'filters').map((filter, index) => lowerLogFilter(filter, `${path}.filters[${index}]`));
}

function lowerMetadataFilter(message: Msg, path: string): LogFilterModel {
  const matcher = sub(message, 'matcher');
  const value = matcher === null ? null : sub(matcher, 'value');
  return {
    kind: 'metadata',
    namespace: matcher === null ? '' : str(matcher, 'filter'),
    path:
      matcher === null
        ? []
        : list(matcher, 'path').map((segment) => oneofCase<string>(segment, 'segment', 'key') ?? ''),
    value: value === null ? { kind: 'present', present: true } : lowerValueMatch(value, `${path}.matcher.value`),
    invert: matcher !== null && bool(matcher, 'invert'),
    matchIfKeyNotFound: bool(message, 'matchIfKeyNotFound', true),
  };
}
