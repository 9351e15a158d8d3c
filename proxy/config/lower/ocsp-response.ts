// OCSP responses (RFC 6960) that servers staple: whether one can be used, in Envoy's words. Nobody's signature is checked,
// as Envoy checks none: the client does.

import type { X509Certificate } from 'node:crypto';
import {
  DER_OCTET_STRING,
  DER_OID,
  DER_SEQUENCE,
  type DerElement,
  DerError,
  derElement,
  derElements,
  derTime,
  oidText,
} from '../../util/der.ts';
import { ConfigError } from '../../util/error.ts';

const DER_ENUMERATED = 0x0a;
/** `[0] EXPLICIT` of the response's bytes, and of `nextUpdate`. */
const TAG_0 = 0xa0;
/** `[0] EXPLICIT` version: v1, which DER leaves out but some write. */
const TAG_VERSION = 0xa0;
const BASIC_RESPONSE = '1.3.6.1.5.5.7.48.1.1';
const SUCCESSFUL = 0;
/** Numbers that RFC 6960 knows; 4 is not used. */
const STATUSES: ReadonlySet<number> = new Set([0, 1, 2, 3, 5, 6]);
/** Extension `tlsfeature` (RFC 7633) with the feature `status_request` alone, critical or not. */
const TLS_FEATURE = Buffer.from('06082b06010505070118', 'hex');
const STATUS_REQUEST = Buffer.from('04053003020105', 'hex');
const CRITICAL_BYTES = 3;

/**
 * Reads a response about one certificate.
 * @returns when it ends, milliseconds since the epoch; −1 = it names no end, and is never good enough
 * @throws ConfigError at `path`
 */
export function checkOcspResponse(bytes: Buffer, leaf: X509Certificate, path: string): number {
  try {
    const { serial, endsMs } = readResponse(bytes, path);
    if (serial !== plainSerial(leaf.serialNumber))
      throw new ConfigError('OCSP response does not match its TLS certificate', path);
    return endsMs;
  } catch (error) {
    if (error instanceof DerError) throw new ConfigError(`OCSP response is not well-formed: ${error.message}`, path);
    throw error;
  }
}

/** The certificate's owner wants clients to refuse it without a staple. */
export function wantsStaple(leaf: X509Certificate): boolean {
  const { raw } = leaf;
  const at = raw.indexOf(TLS_FEATURE);
  if (at < 0) return false;
  const value = raw.indexOf(STATUS_REQUEST, at + TLS_FEATURE.length);
  return value === at + TLS_FEATURE.length || value === at + TLS_FEATURE.length + CRITICAL_BYTES;
}

interface Response {
  readonly serial: string;
  readonly endsMs: number;
}

function readResponse(bytes: Buffer, path: string): Response {
  const fail = (text: string): never => {
    throw new ConfigError(text, path);
  };
  const [status, body] = derElements(outermost(bytes, path).content);
  if (status?.tag !== DER_ENUMERATED || status.content.length !== 1)
    return fail('OCSP ResponseStatus is not a well-formed ASN.1 ENUMERATED');
  const code = status.content[0] as number;
  if (!STATUSES.has(code)) return fail(`Unknown OCSP Response Status variant: ${code}`);
  if (code !== SUCCESSFUL) return fail('OCSP response was unsuccessful');
  if (body?.tag !== TAG_0) return fail('OCSP response has no body');
  const [wrapped] = derElements(body.content);
  if (wrapped?.tag !== DER_SEQUENCE) return fail('OCSP ResponseBytes is not a well-formed SEQUENCE');
  const [type, basic] = derElements(wrapped.content);
  const oid = type?.tag === DER_OID ? oidText(type.content) : '';
  if (oid !== BASIC_RESPONSE) return fail(`Unknown OCSP Response type with OID: ${oid}`);
  if (basic?.tag !== DER_OCTET_STRING) return fail('Expected ASN.1 OCTETSTRING for response');
  const data = itemsOf(itemsOf(derElement(basic.content))[0]);
  // version?, responderID, producedAt, responses
  const singles = itemsOf(data[data[0]?.tag === TAG_VERSION ? 3 : 2]);
  if (singles.length !== 1) return fail('OCSP Response must be for one certificate only');
  return readSingle(itemsOf(singles[0]));
}

function outermost(bytes: Buffer, path: string): DerElement {
  try {
    return derElement(bytes);
  } catch {
    throw new ConfigError('Data contained more than a single OCSP response', path);
  }
}

/** certID, certStatus, thisUpdate, nextUpdate?, extensions? */
function readSingle(fields: readonly DerElement[]): Response {
  const serial = itemsOf(fields[0])[3];
  if (serial === undefined) throw new DerError('a certificate without a serial number');
  const next = fields[3]?.tag === TAG_0 ? derTime(derElement(fields[3].content)) : Number.NaN;
  return { serial: plainSerial(serial.content.toString('hex')), endsMs: Number.isNaN(next) ? -1 : next };
}

function itemsOf(element: DerElement | undefined): readonly DerElement[] {
  if (element?.tag !== DER_SEQUENCE) throw new DerError('something else in place of a sequence');
  return derElements(element.content);
}

/** Hexadecimal without leading zeros, lower case. */
function plainSerial(hex: string): string {
  return hex.toLowerCase().replace(/^0+(?=.)/, '');
}
