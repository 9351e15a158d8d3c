// Certificate revocation lists (RFC 5280 §5), for checks that OpenSSL does not offer through Node: the leaf alone.

import type { KeyObject } from 'node:crypto';
import { nodeCrypto } from '../util/builtin.ts';
import { DER_SEQUENCE, type DerElement, DerError, derElement, derElements, derTime, oidText } from '../util/der.ts';
import type { Certificate } from './certificate.ts';
import { pemBlocks } from './pem.ts';

/** Whether a list answers for a certificate, and what it says. */
export type CrlAnswer = 'not_covered' | 'good' | 'revoked' | 'expired' | 'not_yet_valid' | 'bad_signature';

interface RevocationList {
  readonly issuer: Buffer;
  readonly tbs: Buffer;
  readonly signature: Buffer;
  readonly algorithm: string;
  readonly fromMs: number;
  /** Infinity when the list does not say. */
  readonly toMs: number;
  /** Hex of serial numbers. */
  readonly revoked: ReadonlySet<string>;
}

/** Digests by signature algorithm; `null` = the key says itself. */
const DIGESTS: ReadonlyMap<string, string | null> = new Map([
  ['1.2.840.113549.1.1.11', 'sha256'],
  ['1.2.840.113549.1.1.12', 'sha384'],
  ['1.2.840.113549.1.1.13', 'sha512'],
  ['1.2.840.10045.4.3.2', 'sha256'],
  ['1.2.840.10045.4.3.3', 'sha384'],
  ['1.2.840.10045.4.3.4', 'sha512'],
  ['1.3.101.112', null],
]);

/** Lists by issuer. */
export class RevocationLists {
  private readonly lists: readonly RevocationList[];

  /** @throws DerError when the text holds something that is no list */
  constructor(pem: string) {
    this.lists = pemBlocks(pem, 'X509 CRL').map(readList);
  }

  /** @param issuerKey public key of the certificate's issuer, which signs its lists */
  check(certificate: Certificate, issuerKey: KeyObject, nowMs: number): CrlAnswer {
    let answer: CrlAnswer = 'not_covered';
    for (const list of this.lists) {
      if (!list.issuer.equals(certificate.issuerDer)) continue;
      answer = checkList(list, certificate, issuerKey, nowMs);
      if (answer === 'revoked') return answer;
    }
    return answer;
  }

  /** When the first of the issuer's lists ends, milliseconds since the epoch. */
  validToMs(certificate: Certificate): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (const list of this.lists)
      if (list.issuer.equals(certificate.issuerDer)) earliest = Math.min(earliest, list.toMs);
    return earliest;
  }
}

function checkList(list: RevocationList, certificate: Certificate, issuerKey: KeyObject, nowMs: number): CrlAnswer {
  const digest = DIGESTS.get(list.algorithm);
  if (digest === undefined || !nodeCrypto().verify(digest, list.tbs, issuerKey, list.signature)) return 'bad_signature';
  if (list.revoked.has(certificate.serial)) return 'revoked';
  if (list.fromMs > nowMs) return 'not_yet_valid';
  return list.toMs < nowMs ? 'expired' : 'good';
}

function readList(der: Buffer): RevocationList {
  const [tbs, algorithm, signature] = derElements(derElement(der).content);
  if (tbs === undefined || algorithm === undefined || signature === undefined) throw new DerError('no revocation list');
  const fields = derElements(tbs.content);
  // The version is left out by version 1.
  if (fields[0]?.tag === 0x02) fields.shift();
  const [, issuer, from, ...rest] = fields;
  const [algorithmId] = derElements(algorithm.content);
  if (issuer === undefined || from === undefined || algorithmId === undefined) throw new DerError('no revocation list');
  const to = rest[0] !== undefined && rest[0].tag !== DER_SEQUENCE && rest[0].tag < 0xa0 ? rest.shift() : undefined;
  const entries = rest[0]?.tag === DER_SEQUENCE ? derElements(rest[0].content) : [];
  return {
    issuer: issuer.whole,
    tbs: tbs.whole,
    // A bit string's first octet is the number of unused bits.
    signature: signature.content.subarray(1),
    algorithm: oidText(algorithmId.content),
    fromMs: derTime(from),
    toMs: to === undefined ? Number.POSITIVE_INFINITY : derTime(to),
    revoked: new Set(entries.map(serialOf)),
  };
}

function serialOf(entry: DerElement): string {
  const [serial] = derElements(entry.content);
  if (serial === undefined) throw new DerError('an entry without a serial number');
  return serial.content.toString('hex').replace(/^(?:00)+(?=..)/, '');
}
