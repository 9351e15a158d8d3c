// Operators over the message heads: `%REQ(a?b):n%`, `%RESP()%`, `%TRAILER()%`, paths, query parameters, gRPC status.

import type { HeaderMap } from '../codec/headers.ts';
import { ConfigError } from '../util/error.ts';
import {
  cut,
  numberOperator,
  type Operator,
  type OperatorFactory,
  plain,
  refuseLength,
  requireArgument,
  stringOperator,
} from './format-operator.ts';
import { isInlineRequestHeader } from './inline-headers.ts';
import type { StreamInfo } from './stream-info.ts';

type HeaderRead = (info: StreamInfo) => string | null;

const orNull = (value: string): string | null => (value === '' ? null : value);

/** Reads a request header; pseudo-headers come from the fields of the stream. */
function requestHeader(name: string): HeaderRead {
  switch (name) {
    case ':method':
      return (info) => orNull(info.method);
    case ':path':
      return (info) => orNull(info.path);
    case ':authority':
    case 'host':
      return (info) => (info.authority === '' && !info.authorityIsEmpty ? null : info.authority);
    case ':scheme':
      return (info) => orNull(info.scheme);
    default:
      if (!isInlineRequestHeader(name)) return (info) => first(info.requestHeaders, name);
      return (info) => (info.requestHeaders === null ? null : info.requestHeaders.getJoined(name));
  }
}

function responseHeader(name: string): HeaderRead {
  if (name === ':status') return (info) => (info.status === 0 ? null : `${info.status}`);
  return (info) => first(info.responseHeaders, name);
}

function first(headers: HeaderMap | null, name: string): string | null {
  return headers === null ? null : headers.get(name);
}

const HEADER_NAME = /^(?::?[!#$%&'*+.^_`|~0-9a-z-]+)?$/;

/** Splits `main?alternative`, lower case; an absent alternative is empty. */
function headerNames(argument: string): { readonly main: string; readonly alternative: string } {
  const names = argument.toLowerCase().split('?');
  if (names.length > 2) throw new ConfigError(`More than 1 alternative header specified in token: ${argument}`);
  if (!names.every((name) => HEADER_NAME.test(name))) {
    throw new ConfigError('Invalid header configuration. Format string contains invalid characters.');
  }
  return { main: names[0] as string, alternative: names[1] ?? '' };
}

function headerOperator(read: (name: string) => HeaderRead): OperatorFactory {
  return (argument, max, name) => {
    requireArgument(argument, name);
    const { main, alternative } = headerNames(argument);
    const readMain = read(main);
    if (alternative === '' && max < 0) return stringOperator(readMain);
    const readAlternative = alternative === '' ? null : read(alternative);
    return stringOperator((info) => {
      const value = readMain(info) ?? (readAlternative === null ? null : readAlternative(info));
      return value === null ? null : cut(value, max);
    });
  };
}

/** `%REQ_WITHOUT_QUERY(a?b):n%`. */
const withoutQuery: OperatorFactory = (argument, max, name) => {
  const inner = headerOperator(requestHeader)(argument, -1, name);
  return stringOperator((info) => {
    const value = inner.text(info);
    return value === null ? null : cut(stripQuery(value), max);
  });
};

function stripQuery(path: string): string {
  const at = path.indexOf('?');
  return at < 0 ? path : path.slice(0, at);
}

/** `%PATH(WQ|NQ:ORIG|PATH|ORIG_OR_PATH):n%`. */
const path: OperatorFactory = (argument, max) => {
  const [query = '', source = ''] = argument.split(':', 2);
  if (!['', 'WQ', 'NQ'].includes(query)) {
    throw new ConfigError(`Invalid PATH option: '${query}', only 'WQ'/'NQ' are allowed`);
  }
  if (!['', 'ORIG', 'PATH', 'ORIG_OR_PATH'].includes(source)) {
    throw new ConfigError(`Invalid PATH option: '${source}', only 'ORIG'/'PATH'/'ORIG_OR_PATH' are allowed`);
  }
  const original: HeaderRead = (info) => first(info.requestHeaders, 'x-envoy-original-path');
  const read: HeaderRead =
    source === 'ORIG'
      ? original
      : source === 'PATH'
        ? (info) => orNull(info.path)
        : (info) => original(info) ?? orNull(info.path);
  return stringOperator((info) => {
    const value = read(info);
    return value === null ? null : cut(query === 'NQ' ? stripQuery(value) : value, max);
  });
};

/** To its end: a fragment, which the manager refuses, counts as well. */
function queryOf(info: StreamInfo): string | null {
  const at = info.path.indexOf('?');
  return at < 0 ? null : info.path.slice(at + 1);
}

/** `%QUERY_PARAM(key):n%`: the first value of the key, percent-decoded. */
const queryParam: OperatorFactory = (argument, max, name) => {
  requireArgument(argument, name);
  return stringOperator((info) => {
    const query = queryOf(info);
    if (query === null) return null;
    for (const pair of query.split('&')) {
      const at = pair.indexOf('=');
      if (percentDecode(at < 0 ? pair : pair.slice(0, at)) !== argument) continue;
      return cut(at < 0 ? '' : percentDecode(pair.slice(at + 1)), max);
    }
    return null;
  });
};

/** `%QUERY_PARAMS(ORIG|DECODED):n%`: the whole query, perhaps with its escapes decoded. */
const queryParams: OperatorFactory = (argument, max) => {
  if (!['', 'ORIG', 'DECODED'].includes(argument)) {
    throw new ConfigError(`Invalid QUERY_PARAMS option: '${argument}', only 'ORIG'/'DECODED' are allowed`);
  }
  return stringOperator((info) => {
    const query = queryOf(info);
    if (query === null) return null;
    return cut(argument === 'DECODED' ? decodeReadable(query) : query, max);
  });
};

function percentDecode(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** What a URL may hold as it is, and the percent sign (all 256 bytes asked of Envoy 1.40). */
const READABLE = /[!#-;=?-[\]_`a-z~]/;

/** Envoy leaves escapes of other bytes as they are, and drops the percent sign of a malformed one. */
function decodeReadable(text: string): string {
  return text.replace(/%(..)/gs, (whole, hex: string) => {
    if (!/^[0-9A-Fa-f]{2}$/.test(hex)) return hex;
    const char = String.fromCharCode(Number.parseInt(hex, 16));
    return READABLE.test(char) ? char : whole;
  });
}

// === gRPC ===

const GRPC_CAMEL = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
];
const GRPC_SNAKE = GRPC_CAMEL.map((name) =>
  name === 'OK' ? name : name === 'Canceled' ? 'CANCELLED' : name.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase(),
);

/** gRPC status of an HTTP status (gRPC's http-grpc-status-mapping). */
function grpcFromHttp(status: number): number {
  switch (status) {
    case 400:
      return 13;
    case 401:
      return 16;
    case 403:
      return 7;
    case 404:
      return 12;
    case 429:
    case 502:
    case 503:
    case 504:
      return 14;
    default:
      return 2;
  }
}

/** Status of a gRPC exchange: trailers, then head, then the HTTP status; `null` = none, −1 = present but no number. */
export function grpcStatus(info: StreamInfo): number | null {
  const text = first(info.responseTrailers, 'grpc-status') ?? first(info.responseHeaders, 'grpc-status');
  if (text !== null) return /^[0-9]{1,10}$/.test(text) ? Number(text) : -1;
  return info.status === 0 ? null : grpcFromHttp(info.status);
}

function isGrpc(info: StreamInfo): boolean {
  const type = first(info.requestHeaders, 'content-type');
  return type !== null && /^application\/grpc(?:\+|$)/.test(type);
}

const grpcNumber: Operator = numberOperator((info) => (isGrpc(info) ? grpcStatus(info) : null));

const grpcText: OperatorFactory = (argument, max, name) => {
  refuseLength(max, name);
  if (argument === 'NUMBER') return grpcNumber;
  const names =
    argument === '' || argument === 'CAMEL_STRING' ? GRPC_CAMEL : argument === 'SNAKE_STRING' ? GRPC_SNAKE : null;
  if (names === null) {
    throw new ConfigError(`GrpcStatusFormatter only supports CAMEL_STRING, SNAKE_STRING or NUMBER. Got: ${argument}`);
  }
  return stringOperator((info) => {
    const status = isGrpc(info) ? grpcStatus(info) : null;
    if (status === null) return null;
    return status < 0 ? 'Invalid' : (names[status] ?? `${status}`);
  });
};

// === sizes ===

/** Bytes of a head as Envoy counts them: names and values, pseudo-headers included. */
function requestHeadBytes(info: StreamInfo): number {
  if (info.requestHeaders === null) return 0;
  let bytes = info.requestHeaders.byteSize();
  if (info.method !== '') bytes += 7 + info.method.length;
  if (info.path !== '') bytes += 5 + info.path.length;
  if (info.authority !== '' || info.authorityIsEmpty) bytes += 10 + info.authority.length;
  if (info.scheme !== '') bytes += 7 + info.scheme.length;
  return bytes;
}

/** Operators over the message heads. */
export const HEADER_OPERATORS: ReadonlyMap<string, OperatorFactory> = new Map<string, OperatorFactory>([
  ['REQ', headerOperator(requestHeader)],
  ['REQUEST_HEADER', headerOperator(requestHeader)],
  ['STREAM_INFO_REQ', headerOperator(requestHeader)],
  ['RESP', headerOperator(responseHeader)],
  ['RESPONSE_HEADER', headerOperator(responseHeader)],
  ['TRAILER', headerOperator((name) => (info) => first(info.responseTrailers, name))],
  ['RESPONSE_TRAILER', headerOperator((name) => (info) => first(info.responseTrailers, name))],
  ['REQ_WITHOUT_QUERY', withoutQuery],
  ['PATH', path],
  ['QUERY_PARAM', queryParam],
  ['QUERY_PARAMS', queryParams],
  ['GRPC_STATUS', grpcText],
  ['GRPC_STATUS_NUMBER', plain(grpcNumber)],
  ['REQUEST_HEADERS_BYTES', plain(numberOperator(requestHeadBytes))],
  [
    'RESPONSE_HEADERS_BYTES',
    plain(
      numberOperator((info) =>
        info.responseHeaders === null ? 0 : info.responseHeaders.byteSize() + 7 + `${info.status}`.length,
      ),
    ),
  ],
  ['RESPONSE_TRAILERS_BYTES', plain(numberOperator((info) => info.responseTrailers?.byteSize() ?? 0))],
]);
