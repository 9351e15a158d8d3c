// Stats of listener filters, as Envoy names them.

import { catalogue } from './stats-catalogue.ts';

// === tls_inspector. ===

export const TLS_INSPECTOR_ALPN_FOUND = 0;
export const TLS_INSPECTOR_ALPN_NOT_FOUND = 1;
export const TLS_INSPECTOR_CLIENT_HELLO_TOO_LARGE = 2;
export const TLS_INSPECTOR_SNI_FOUND = 3;
export const TLS_INSPECTOR_SNI_NOT_FOUND = 4;
export const TLS_INSPECTOR_TLS_FOUND = 5;
export const TLS_INSPECTOR_TLS_NOT_FOUND = 6;
export const TLS_INSPECTOR_BYTES_PROCESSED = 7;

/** All TLS inspectors of the process together. */
export const TLS_INSPECTOR = catalogue('tls_inspector', [
  [TLS_INSPECTOR_ALPN_FOUND, 'c', 'alpn_found'],
  [TLS_INSPECTOR_ALPN_NOT_FOUND, 'c', 'alpn_not_found'],
  [TLS_INSPECTOR_CLIENT_HELLO_TOO_LARGE, 'c', 'client_hello_too_large'],
  [TLS_INSPECTOR_SNI_FOUND, 'c', 'sni_found'],
  [TLS_INSPECTOR_SNI_NOT_FOUND, 'c', 'sni_not_found'],
  [TLS_INSPECTOR_TLS_FOUND, 'c', 'tls_found'],
  [TLS_INSPECTOR_TLS_NOT_FOUND, 'c', 'tls_not_found'],
  [TLS_INSPECTOR_BYTES_PROCESSED, 'h', 'bytes_processed'],
]);

// === http_inspector. ===

export const HTTP_INSPECTOR_HTTP10_FOUND = 0;
export const HTTP_INSPECTOR_HTTP11_FOUND = 1;
export const HTTP_INSPECTOR_HTTP2_FOUND = 2;
export const HTTP_INSPECTOR_HTTP_NOT_FOUND = 3;
export const HTTP_INSPECTOR_READ_ERROR = 4;

/** All HTTP inspectors of the process together. */
export const HTTP_INSPECTOR = catalogue('http_inspector', [
  [HTTP_INSPECTOR_HTTP10_FOUND, 'c', 'http10_found'],
  [HTTP_INSPECTOR_HTTP11_FOUND, 'c', 'http11_found'],
  [HTTP_INSPECTOR_HTTP2_FOUND, 'c', 'http2_found'],
  [HTTP_INSPECTOR_HTTP_NOT_FOUND, 'c', 'http_not_found'],
  [HTTP_INSPECTOR_READ_ERROR, 'c', 'read_error'],
]);

// === proxy_proto.[<stat_prefix>.] ===

export const PROXY_PROTO_NOT_FOUND_ALLOWED = 0;
export const PROXY_PROTO_NOT_FOUND_DISALLOWED = 1;
export const PROXY_PROTO_V1_DISALLOWED = 2;
export const PROXY_PROTO_V1_ERROR = 3;
export const PROXY_PROTO_V1_FOUND = 4;
export const PROXY_PROTO_V2_DISALLOWED = 5;
export const PROXY_PROTO_V2_ERROR = 6;
export const PROXY_PROTO_V2_FOUND = 7;

/** The PROXY protocol filters of one stat prefix. */
export const PROXY_PROTO = catalogue('proxy_proto', [
  [PROXY_PROTO_NOT_FOUND_ALLOWED, 'c', 'not_found_allowed'],
  [PROXY_PROTO_NOT_FOUND_DISALLOWED, 'c', 'not_found_disallowed'],
  [PROXY_PROTO_V1_DISALLOWED, 'c', 'versions.v1.disallowed'],
  [PROXY_PROTO_V1_ERROR, 'c', 'versions.v1.error'],
  [PROXY_PROTO_V1_FOUND, 'c', 'versions.v1.found'],
  [PROXY_PROTO_V2_DISALLOWED, 'c', 'versions.v2.disallowed'],
  [PROXY_PROTO_V2_ERROR, 'c', 'versions.v2.error'],
  [PROXY_PROTO_V2_FOUND, 'c', 'versions.v2.found'],
]);

// === At the root ===

export const PROXY_PROTO_ROOT_ERROR = 0;

/** The name that the PROXY protocol filter's errors had before it had a prefix. */
export const PROXY_PROTO_ROOT = catalogue('proxy_proto_root', [
  [PROXY_PROTO_ROOT_ERROR, 'c', 'downstream_cx_proxy_proto_error'],
]);
