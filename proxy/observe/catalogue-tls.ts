// Stats of TLS contexts, as Envoy names them: the same below a listener and below a cluster.

import { catalogue } from './stats-catalogue.ts';

// === listener.<address>.ssl. and cluster.<name>.ssl. ===

export const SSL_CONNECTION_ERROR = 0;
export const SSL_FAIL_VERIFY_CERT_HASH = 1;
export const SSL_FAIL_VERIFY_ERROR = 2;
export const SSL_FAIL_VERIFY_NO_CERT = 3;
export const SSL_FAIL_VERIFY_SAN = 4;
export const SSL_HANDSHAKE = 5;
export const SSL_NO_CERTIFICATE = 6;
export const SSL_OCSP_STAPLE_FAILED = 7;
export const SSL_OCSP_STAPLE_OMITTED = 8;
export const SSL_OCSP_STAPLE_REQUESTS = 9;
export const SSL_OCSP_STAPLE_RESPONSES = 10;
export const SSL_SESSION_REUSED = 11;

/** Handshakes of one side. Ciphers, groups, versions and signatures have cells of their own, by name. */
export const SSL = catalogue('ssl', [
  [SSL_CONNECTION_ERROR, 'c', 'connection_error'],
  [SSL_FAIL_VERIFY_CERT_HASH, 'c', 'fail_verify_cert_hash'],
  [SSL_FAIL_VERIFY_ERROR, 'c', 'fail_verify_error'],
  [SSL_FAIL_VERIFY_NO_CERT, 'c', 'fail_verify_no_cert'],
  [SSL_FAIL_VERIFY_SAN, 'c', 'fail_verify_san'],
  [SSL_HANDSHAKE, 'c', 'handshake'],
  [SSL_NO_CERTIFICATE, 'c', 'no_certificate'],
  [SSL_OCSP_STAPLE_FAILED, 'c', 'ocsp_staple_failed'],
  [SSL_OCSP_STAPLE_OMITTED, 'c', 'ocsp_staple_omitted'],
  [SSL_OCSP_STAPLE_REQUESTS, 'c', 'ocsp_staple_requests'],
  [SSL_OCSP_STAPLE_RESPONSES, 'c', 'ocsp_staple_responses'],
  [SSL_SESSION_REUSED, 'c', 'session_reused'],
]);

// === listener.<address>.server_ssl_socket_factory. and cluster.<name>.client_ssl_socket_factory. ===

export const SSL_FACTORY_DOWNSTREAM_CONTEXT_SECRETS_NOT_READY = 0;
export const SSL_FACTORY_SSL_CONTEXT_UPDATE_BY_SDS = 1;
export const SSL_FACTORY_UPSTREAM_CONTEXT_SECRETS_NOT_READY = 2;

/** Secrets of one side's contexts. */
export const SSL_FACTORY = catalogue('ssl_socket_factory', [
  [SSL_FACTORY_DOWNSTREAM_CONTEXT_SECRETS_NOT_READY, 'c', 'downstream_context_secrets_not_ready'],
  [SSL_FACTORY_SSL_CONTEXT_UPDATE_BY_SDS, 'c', 'ssl_context_update_by_sds'],
  [SSL_FACTORY_UPSTREAM_CONTEXT_SECRETS_NOT_READY, 'c', 'upstream_context_secrets_not_ready'],
]);
