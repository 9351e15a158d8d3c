// Substitution format strings (`%REQ(x)%` and so on), compiled once: header values, access logs, local replies.
//
// Everything here is a latin1 image of bytes: literals come so from the model, header values so from the codec.

import type { FormatModel } from '../config/model/access-log.ts';
import { compileJson } from './format-json.ts';
import type { Operator } from './format-operator.ts';
import { parseFormat } from './format-parse.ts';
import type { StreamInfo } from './stream-info.ts';

/** Renders one record. The result is a latin1 image of the bytes. */
export type Formatter = (info: StreamInfo) => string;

/** Envoy's format of a file access log that names none. */
export const DEFAULT_TEXT_FORMAT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" ' +
  '%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ' +
  '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% ' +
  '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" ' +
  '"%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n';

/**
 * Compiles a text format as header values and access logs use it.
 * @param omitEmpty absent values vanish instead of being written as `-`
 * @throws ConfigError with the position and, where close, the operator that was meant
 */
export function compileText(format: string, omitEmpty: boolean): Formatter {
  const { literals, operators } = parseFormat(format);
  const [before = '', after = ''] = literals;
  const absent = omitEmpty ? '' : '-';
  const only = operators[0]?.text;
  if (only === undefined) return () => before;
  if (operators.length === 1) {
    if (before === '' && after === '') return (info) => only(info) ?? absent;
    return (info) => before + (only(info) ?? absent) + after;
  }
  const reads = operators.map((operator: Operator) => operator.text);
  const tails = literals.slice(1);
  return (info) => {
    let line = before;
    for (let i = 0; i < reads.length; i++) line += ((reads[i] as Operator['text'])(info) ?? absent) + tails[i];
    return line;
  };
}

/**
 * Compiles a `FormatModel`. Envoy sorts the keys of a JSON format whatever `sort_properties` says, so it plays no part; JSON formats render one line with a trailing newline.
 * @throws ConfigError as `compileText`
 */
export function compileFormat(model: FormatModel): Formatter {
  if (model.kind === 'text') return compileText(model.format, model.omitEmptyValues);
  return compileJson(model.format, model.omitEmptyValues);
}
