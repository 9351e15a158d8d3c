// The errors an HTTP/1 decoder can end with. Details are Envoy's response code details.
import type { H1Error } from './http1.ts';

function error(status: H1Error['status'], details: string, message: string): H1Error {
  return { status, details, message: `http/1.1 protocol error: ${message}`, stat: '' };
}

/** The peer's bytes are no HTTP/1; `reason` says where. */
export function codecError(reason: string): H1Error {
  return error(400, 'http1.codec_error', reason);
}

export const HEADERS_TOO_LARGE = error(431, 'http1.headers_too_large', 'headers size exceeds limit');
export const TOO_MANY_HEADERS = error(431, 'http1.too_many_headers', 'headers count exceeds limit');
export const INVALID_CHARACTERS = error(400, 'http1.invalid_characters', 'header value contains invalid chars');
export const INVALID_AUTHORITY = error(400, 'http.invalid_authority', 'request headers failed validity checks');
export const INVALID_URL = error(400, 'http1.invalid_url', 'invalid url in request line');
export const INVALID_SCHEME = error(400, 'http1.invalid_scheme', 'invalid url in request line');
export const HTTPS_ON_PLAINTEXT = error(
  403,
  'http1.https_url_on_plaintext_connection',
  'https URL on a plaintext connection',
);
export const BODY_DISALLOWED = error(400, 'http1.body_disallowed', 'CONNECT with body');
export const LENGTH_AND_CHUNKED = error(
  400,
  'http1.content_length_and_chunked_not_allowed',
  "both 'Content-Length' and 'Transfer-Encoding' are set.",
);
export const INVALID_TRANSFER_ENCODING = error(501, 'http1.invalid_transfer_encoding', 'unsupported transfer encoding');
export const CONNECTION_HEADER_REJECTED = error(
  400,
  'http1.connection_header_rejected',
  'invalid nominated headers in Connection.',
);
export const LOW_VERSION = error(426, 'low_version', 'HTTP/1.0 is not accepted');
export const UNEXPECTED_UNDERSCORE: H1Error = {
  status: 400,
  details: 'http1.unexpected_underscore',
  message: 'http/1.1 protocol error: header name contains underscores',
  stat: 'requests_rejected_with_underscores_in_headers',
};
export const BAD_CHUNK = codecError('HPE_INVALID_CHUNK_SIZE');
export const CHUNK_TOO_LONG = codecError('HPE_CHUNK_EXTENSIONS_OVERFLOW');
export const BAD_CHUNK_END = codecError('HPE_STRICT: bytes behind a chunk');
export const BARE_CR = codecError('bare CR');
export const BAD_HEADER_NAME = codecError('HPE_INVALID_HEADER_TOKEN');
export const BAD_FOLD = codecError('HPE_INVALID_HEADER_TOKEN: unexpected continuation line');
export const BAD_LENGTH = codecError('HPE_INVALID_CONTENT_LENGTH');
export const DUPLICATE_LENGTH = codecError('HPE_UNEXPECTED_CONTENT_LENGTH');
export const DUPLICATE_HOST = codecError('more than one Host');
export const CHUNKED_IN_1_0 = codecError('Transfer-Encoding in an HTTP/1.0 message');
export const BAD_METHOD = codecError('HPE_INVALID_METHOD');
export const BAD_TARGET = codecError('HPE_INVALID_URL');
export const BAD_VERSION = codecError('HPE_INVALID_VERSION');
export const BAD_CONSTANT = codecError('HPE_INVALID_CONSTANT');
export const BAD_STATUS = codecError('HPE_INVALID_STATUS');
export const BODY_IN_BODILESS = codecError('content length not allowed in 1xx or 204');
export const UNEXPECTED_END = codecError('connection ended in the middle of a message');
export const UNSOLICITED = codecError('bytes without a request');
