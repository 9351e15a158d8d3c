// The mesh's certificate authority: made at start, gone at the end. Each service has an EC P-256 key and a certificate
// with one name, `spiffe://bookinfo.local/sa/SERVICE`, as Istio issues them.

import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Asn1,
  bits,
  boolean,
  der,
  implicit,
  integer,
  octets,
  oid,
  parsed,
  pem,
  sequence,
  set,
  tagged,
  time,
  utf8,
} from './der.ts';

const TRUST_DOMAIN = 'spiffe://bookinfo.local/sa/';
const VALID_MS = 24 * 3_600_000;
/** Clocks of one machine agree, but certificates have whole seconds. */
const EARLIER_MS = 60_000;

const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));
const ROOT_NAME = sequence(set(sequence(oid('2.5.4.3'), utf8('Bookinfo demo root'))));

/** Writes `ca.pem`, and `SERVICE.pem` with `SERVICE.key` for each service, into a folder. */
export function writeCertificates(dir: string, services: readonly string[]): void {
  const root = newKey();
  // basicConstraints: an authority; keyUsage: keyCertSign
  const rootExtensions = [
    extension('2.5.29.19', sequence(boolean(true))),
    extension('2.5.29.15', bits(Buffer.from([0x04]), 2)),
  ];
  writeFileSync(join(dir, 'ca.pem'), certificate(root, root, ROOT_NAME, rootExtensions));
  for (const service of services) {
    const key = newKey();
    const name = implicit(6, Buffer.from(TRUST_DOMAIN + service));
    // subjectAltName is critical, as the subject is empty; keyUsage: digitalSignature; for servers and clients
    const extensions = [
      extension('2.5.29.17', sequence(name)),
      extension('2.5.29.15', bits(Buffer.from([0x80]), 7)),
      extension('2.5.29.37', sequence(oid('1.3.6.1.5.5.7.3.1'), oid('1.3.6.1.5.5.7.3.2'))),
    ];
    writeFileSync(join(dir, `${service}.pem`), certificate(key, root, sequence(), extensions));
    const text = key.export({ type: 'pkcs8', format: 'pem' });
    writeFileSync(join(dir, `${service}.key`), text, { mode: 0o600 });
  }
}

function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
}

/** Critical: whoever does not understand it must refuse the certificate. */
function extension(id: string, value: Asn1): Asn1 {
  return sequence(oid(id), boolean(true), octets(der(value)));
}

/** A certificate of a key, signed by the root (RFC 5280 §4.1), as PEM. */
function certificate(key: KeyObject, root: KeyObject, subject: Asn1, extensions: readonly Asn1[]): string {
  const now = Date.now();
  const tbs = sequence(
    tagged(0, integer('02')),
    integer(`4${randomBytes(15).toString('hex').slice(1)}`),
    ECDSA_SHA256,
    ROOT_NAME,
    sequence(time(new Date(now - EARLIER_MS)), time(new Date(now + VALID_MS))),
    subject,
    parsed(createPublicKey(key).export({ type: 'spki', format: 'der' })),
    tagged(3, sequence(...extensions)),
  );
  return pem('CERTIFICATE', der(sequence(tbs, ECDSA_SHA256, bits(sign('sha256', der(tbs), root)))));
}
