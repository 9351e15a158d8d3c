// How TLS failures are told: in the words and numbers of the library behind Envoy (BoringSSL), whatever OpenSSL calls
// them, because access logs and alerts of users look for those.

/** A handshake that failed, or an established connection that broke. */
export interface TlsFailure {
  /** `%DOWNSTREAM_TRANSPORT_FAILURE_REASON%` with blanks; empty when the peer just went away. */
  readonly text: string;
  /** Which counter under `ssl.`; `null` = none. */
  readonly counter: TlsFailureCounter | null;
  /** For the log: which names were wanted and offered; empty. */
  readonly names: string;
}

export type TlsFailureCounter =
  | 'connection_error'
  | 'fail_verify_error'
  | 'fail_verify_no_cert'
  | 'fail_verify_san'
  | 'fail_verify_cert_hash';

/** BoringSSL's number of its SSL library, shifted. */
const SSL_LIBRARY = 0x1000_0000;

/** BoringSSL's reason numbers; alerts are 1000 and their number. */
const REASONS: ReadonlyMap<string, number> = new Map([
  ['BAD_DECRYPT', 101],
  ['CONNECTION_REJECTED', 133],
  ['CERTIFICATE_VERIFY_FAILED', 125],
  ['CLIENTHELLO_PARSE_FAILED', 119],
  ['DATA_LENGTH_TOO_LONG', 135],
  ['DECODE_ERROR', 137],
  ['DECRYPTION_FAILED_OR_BAD_RECORD_MAC', 138],
  ['DIGEST_CHECK_FAILED', 140],
  ['ENCRYPTED_LENGTH_TOO_LONG', 136],
  ['EXCESSIVE_MESSAGE_SIZE', 145],
  ['HTTPS_PROXY_REQUEST', 155],
  ['HTTP_REQUEST', 156],
  ['NO_COMPRESSION_SPECIFIED', 183],
  ['KEY_USAGE_BIT_INCORRECT', 302],
  ['NO_SHARED_CIPHER', 186],
  ['NO_SHARED_GROUP', 266],
  ['NO_COMMON_SIGNATURE_ALGORITHMS', 253],
  ['PEER_DID_NOT_RETURN_A_CERTIFICATE', 192],
  ['SERVERHELLO_TLSEXT', 224],
  ['UNEXPECTED_MESSAGE', 225],
  ['UNEXPECTED_RECORD', 226],
  ['UNSUPPORTED_PROTOCOL', 240],
  ['WRONG_VERSION_NUMBER', 247],
]);

/** OpenSSL's names where BoringSSL has another one. */
const RENAMED: ReadonlyMap<string, string> = new Map([
  ['NO_SUITABLE_KEY_SHARE', 'NO_SHARED_GROUP'],
  ['NO_SHARED_GROUPS', 'NO_SHARED_GROUP'],
  ['NO_SUITABLE_GROUPS', 'NO_SHARED_GROUP'],
  ['NO_SUITABLE_SIGNATURE_ALGORITHM', 'NO_COMMON_SIGNATURE_ALGORITHMS'],
  ['PACKET_LENGTH_TOO_LONG', 'ENCRYPTED_LENGTH_TOO_LONG'],
  ['UNSUPPORTED_SSL_VERSION', 'UNSUPPORTED_PROTOCOL'],
  ['BAD_EXTENSION', 'DECODE_ERROR'],
  ['LENGTH_MISMATCH', 'DECODE_ERROR'],
]);

/** Alerts by number (RFC 8446 §6). */
const ALERTS: ReadonlyMap<number, string> = new Map([
  [0, 'SSLV3_ALERT_CLOSE_NOTIFY'],
  [10, 'SSLV3_ALERT_UNEXPECTED_MESSAGE'],
  [20, 'SSLV3_ALERT_BAD_RECORD_MAC'],
  [21, 'TLSV1_ALERT_DECRYPTION_FAILED'],
  [22, 'TLSV1_ALERT_RECORD_OVERFLOW'],
  [40, 'SSLV3_ALERT_HANDSHAKE_FAILURE'],
  [42, 'SSLV3_ALERT_BAD_CERTIFICATE'],
  [43, 'SSLV3_ALERT_UNSUPPORTED_CERTIFICATE'],
  [44, 'SSLV3_ALERT_CERTIFICATE_REVOKED'],
  [45, 'SSLV3_ALERT_CERTIFICATE_EXPIRED'],
  [46, 'SSLV3_ALERT_CERTIFICATE_UNKNOWN'],
  [47, 'SSLV3_ALERT_ILLEGAL_PARAMETER'],
  [48, 'TLSV1_ALERT_UNKNOWN_CA'],
  [49, 'TLSV1_ALERT_ACCESS_DENIED'],
  [50, 'TLSV1_ALERT_DECODE_ERROR'],
  [51, 'TLSV1_ALERT_DECRYPT_ERROR'],
  [70, 'TLSV1_ALERT_PROTOCOL_VERSION'],
  [71, 'TLSV1_ALERT_INSUFFICIENT_SECURITY'],
  [80, 'TLSV1_ALERT_INTERNAL_ERROR'],
  [86, 'TLSV1_ALERT_INAPPROPRIATE_FALLBACK'],
  [90, 'TLSV1_ALERT_USER_CANCELLED'],
  [100, 'TLSV1_ALERT_NO_RENEGOTIATION'],
  [110, 'TLSV1_ALERT_UNSUPPORTED_EXTENSION'],
  [112, 'TLSV1_ALERT_UNRECOGNIZED_NAME'],
  [113, 'TLSV1_ALERT_BAD_CERTIFICATE_STATUS_RESPONSE'],
  [114, 'TLSV1_ALERT_BAD_CERTIFICATE_HASH_VALUE'],
  [115, 'TLSV1_ALERT_UNKNOWN_PSK_IDENTITY'],
  [116, 'TLSV1_ALERT_CERTIFICATE_REQUIRED'],
  [120, 'TLSV1_ALERT_NO_APPLICATION_PROTOCOL'],
]);

/** Errors of the system below TLS, as BoringSSL numbers and names its own. */
const SYSTEM_LIBRARY = 0x0200_0000;
const SYSTEM_ERRORS: ReadonlyMap<string, readonly [number: number, text: string]> = new Map([
  ['ECONNRESET', [104, 'Connection reset by peer']],
  ['EPIPE', [32, 'Broken pipe']],
  ['ETIMEDOUT', [110, 'Connection timed out']],
]);

const NOTHING: TlsFailure = { text: '', counter: null, names: '' };

/** What a socket's error means, during the handshake or later. */
export function failureOf(error: NodeJS.ErrnoException | null): TlsFailure {
  if (error === null) return NOTHING;
  const reason = reasonOf(error);
  if (reason !== null) return { text: sslText(reason), counter: 'connection_error', names: '' };
  const system = SYSTEM_ERRORS.get(error.code ?? '');
  // Node invents a reset where the peer just closed; a real one comes from the kernel and has a number.
  if (system === undefined || error.errno === undefined) return NOTHING;
  const text = `TLS_error:|${SYSTEM_LIBRARY + system[0]}:system library:OPENSSL_internal:${system[1]}:TLS_error_end`;
  return { text, counter: null, names: '' };
}

/** BoringSSL's reason; `null` when the error is not one of TLS. */
function reasonOf(error: NodeJS.ErrnoException): string | null {
  const alert = /SSL alert number (\d+)/.exec(error.message);
  if (alert !== null) return ALERTS.get(Number(alert[1])) ?? `UNKNOWN_ALERT_TYPE`;
  if (error.code?.startsWith('ERR_SSL_') !== true) return null;
  const name = error.code.slice('ERR_SSL_'.length);
  return RENAMED.get(name) ?? name;
}

/** `TLS_error:|268435703:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER:TLS_error_end`. */
export function sslText(reason: string, detail = ''): string {
  return `TLS_error:|${numberOf(reason)}:SSL routines:OPENSSL_internal:${reason}:${detail}${detail === '' ? '' : ':'}TLS_error_end`;
}

function numberOf(reason: string): number {
  const number = REASONS.get(reason);
  if (number !== undefined) return SSL_LIBRARY + number;
  for (const [alert, name] of ALERTS) if (name === reason) return SSL_LIBRARY + 1_000 + alert;
  return SSL_LIBRARY;
}

/** The peer's certificate was refused by us. @param detail Envoy's words */
export function verifyFailure(
  counter: Exclude<TlsFailureCounter, 'connection_error'>,
  detail: string,
  names: string,
): TlsFailure {
  return counter === 'fail_verify_no_cert'
    ? {
        text: sslText('PEER_DID_NOT_RETURN_A_CERTIFICATE', 'peer did not provide required client certificate'),
        counter,
        names,
      }
    : { text: sslText('CERTIFICATE_VERIFY_FAILED', detail), counter, names };
}
