// Lowers `core.v3.Http1ProtocolOptions` for the downstream side.

import { ConfigError } from '../../util/error.ts';
import type { HeaderCase } from '../model/headers.ts';
import type { Http1ServerModel } from '../model/http.ts';
import { unpackAny } from '../read/any.ts';
import { bool, list, type Msg, oneof, str, sub } from '../schema/message.ts';
import { lowerStringMatch, wireString } from './common.ts';

const PRESERVE_CASE = 'envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig';

const DEFAULTS: Http1ServerModel = {
  acceptHttp10: false,
  defaultHostForHttp10: '',
  enableTrailers: false,
  allowAbsoluteUrl: true,
  allowChunkedLength: false,
  headerCase: 'lower',
  sendFullyQualifiedUrl: false,
  allowCustomMethods: false,
  ignoreHttp11Upgrade: [],
};

export function lowerHttp1Server(message: Msg | null, path: string): Http1ServerModel {
  if (message === null) return DEFAULTS;
  return {
    acceptHttp10: bool(message, 'acceptHttp10'),
    defaultHostForHttp10: wireString(str(message, 'defaultHostForHttp10')),
    enableTrailers: bool(message, 'enableTrailers'),
    allowAbsoluteUrl: bool(message, 'allowAbsoluteUrl', true),
    allowChunkedLength: bool(message, 'allowChunkedLength'),
    headerCase: lowerHeaderCase(message, path),
    sendFullyQualifiedUrl: bool(message, 'sendFullyQualifiedUrl'),
    allowCustomMethods: bool(message, 'allowCustomMethods'),
    ignoreHttp11Upgrade: list(message, 'ignoreHttp11Upgrade').map((match, index) =>
      lowerStringMatch(match, `${path}.ignore_http_11_upgrade[${index}]`),
    ),
  };
}

/** `header_key_format` of downstream and upstream options. */
export function lowerHeaderCase(options: Msg, path: string): HeaderCase {
  const keyFormat = sub(options, 'headerKeyFormat');
  const format = keyFormat === null ? null : oneof(keyFormat, 'headerFormat');
  if (format === null) return 'lower';
  if (format.case === 'properCaseWords') return 'proper';
  const at = `${path}.header_key_format.stateful_formatter`;
  const any = sub(format.value as Msg, 'typedConfig');
  const typeName = any === null ? '' : unpackAny(any, at).message.$typeName;
  if (typeName === PRESERVE_CASE) return 'preserve';
  throw new ConfigError(
    `Didn't find a registered implementation for '${str(format.value as Msg, 'name')}' with type URL: '${typeName}'`,
    at,
  );
}
