// What a certificate says (RFC 5280), read from its DER when somebody asks and kept per fingerprint.
//
// Node's own text forms of names are not enough: they escape otherwise than Envoy prints, and leave names out.
//
// Rule: nothing here throws. OpenSSL takes certificates whose extensions are no DER, and anybody may show one: what cannot
//       be read is empty, and constraints that cannot be read are such that no check is passed.

import type { KeyObject, X509Certificate } from 'node:crypto';
import { nodeCrypto } from '../util/builtin.ts';
import { type DerElement, DerError, derElement, derElements, derTime, oidText } from '../util/der.ts';
import { formatIpv4, formatIpv6 } from '../util/ip.ts';

/** Certificates kept per thread; the oldest goes first. */
const CERTIFICATES_MAX = 4_096;

const OID_SUBJECT_ALT_NAME = '2.5.29.17';
const OID_KEY_USAGE = '2.5.29.15';
const OID_BASIC_CONSTRAINTS = '2.5.29.19';
const OID_EXTENDED_KEY_USAGE = '2.5.29.37';
const OID_NAME_CONSTRAINTS = '2.5.29.30';
/** Of these a critical one is no surprise. */
const UNDERSTOOD: ReadonlySet<string> = new Set([
  OID_SUBJECT_ALT_NAME,
  OID_KEY_USAGE,
  OID_BASIC_CONSTRAINTS,
  OID_EXTENDED_KEY_USAGE,
  OID_NAME_CONSTRAINTS,
  '2.5.29.14', // subject key identifier
  '2.5.29.35', // authority key identifier
  '2.5.29.32', // certificate policies: nobody asks for one
]);

/** Tags of `GeneralName`. */
const NAME_OTHER = 0xa0;
const NAME_EMAIL = 0x81;
const NAME_DNS = 0x82;
const NAME_URI = 0x86;
const NAME_IP = 0x87;

/** Subject alternative names; texts are latin1 images of their bytes, lists in certificate order. */
export interface SubjectAltNames {
  readonly uri: readonly string[];
  readonly dns: readonly string[];
  readonly ip: readonly string[];
  readonly email: readonly string[];
  readonly other: readonly { readonly oid: string; readonly value: string }[];
  /** Of every type, in certificate order. */
  readonly all: readonly string[];
}

/** Extensions that a path check looks at. */
interface Constraints {
  readonly isCa: boolean;
  /** Intermediates allowed below; −1 = any number. */
  readonly pathLength: number;
  /** Bits as in RFC 5280, first bit highest; −1 = any use. */
  readonly keyUsage: number;
  /** Object identifiers; `null` = any use. */
  readonly extendedKeyUsage: readonly string[] | null;
  /** There are critical extensions that nobody here understands. */
  readonly unknownCritical: boolean;
  readonly nameConstrained: boolean;
}

/** One certificate; implements what the access log and header mutations read. */
export class Certificate {
  readonly der: Buffer;
  /** Lower-case hex SHA-256 of the DER form. */
  readonly fingerprint256: string;
  readonly x509: X509Certificate;
  private parts: CertificateParts | null;
  private lazyNames: SubjectAltNames | null;
  private lazyConstraints: Constraints | null;
  private lazyFingerprint1: string;
  private lazyPem: string;
  private lazySpkiHash: string;
  private lazyScheme: string | null;

  constructor(x509: X509Certificate, fingerprint256: string) {
    this.x509 = x509;
    this.der = x509.raw;
    this.fingerprint256 = fingerprint256;
    this.parts = null;
    this.lazyNames = null;
    this.lazyConstraints = null;
    this.lazyFingerprint1 = '';
    this.lazyPem = '';
    this.lazySpkiHash = '';
    this.lazyScheme = null;
  }

  private get fields(): CertificateParts {
    this.parts ??= readOr(UNREADABLE_PARTS, () => splitCertificate(this.der));
    return this.parts;
  }

  /** Lower-case hex without leading zero octets. */
  get serial(): string {
    const hex = this.fields.serial.toString('hex').replace(/^(?:00)+(?=..)/, '');
    return hex;
  }

  /** RFC 2253 text; empty for an empty name. */
  get subject(): string {
    return readOr('', () => nameText(this.fields.subject));
  }

  get issuer(): string {
    return readOr('', () => nameText(this.fields.issuer));
  }

  get subjectDer(): Buffer {
    return this.fields.subject.whole;
  }

  get issuerDer(): Buffer {
    return this.fields.issuer.whole;
  }

  /** Milliseconds since the epoch; NaN when unreadable. */
  get validFromMs(): number {
    return this.fields.validFromMs;
  }

  get validToMs(): number {
    return this.fields.validToMs;
  }

  get names(): SubjectAltNames {
    this.lazyNames ??= readOr(NO_NAMES, () => readNames(this.fields.extensions?.get(OID_SUBJECT_ALT_NAME)?.value));
    return this.lazyNames;
  }

  get uriSans(): readonly string[] {
    return this.names.uri;
  }

  get dnsSans(): readonly string[] {
    return this.names.dns;
  }

  get ipSans(): readonly string[] {
    return this.names.ip;
  }

  get emailSans(): readonly string[] {
    return this.names.email;
  }

  get otherNameSans(): readonly string[] {
    return this.names.other.map(({ value }) => value);
  }

  get constraints(): Constraints {
    const { extensions } = this.fields;
    this.lazyConstraints ??= extensions === null ? UNREADABLE : readOr(UNREADABLE, () => readConstraints(extensions));
    return this.lazyConstraints;
  }

  /** Lower-case hex SHA-1 of the DER form. */
  get fingerprint1(): string {
    if (this.lazyFingerprint1 === '')
      this.lazyFingerprint1 = nodeCrypto().createHash('sha1').update(this.der).digest('hex');
    return this.lazyFingerprint1;
  }

  /** URL-encoded PEM, as Envoy encodes it. */
  get pem(): string {
    if (this.lazyPem === '') this.lazyPem = encodePem(this.der);
    return this.lazyPem;
  }

  /** Base64 SHA-256 of the public key info. */
  get spkiHash(): string {
    if (this.lazySpkiHash === '')
      this.lazySpkiHash = nodeCrypto().createHash('sha256').update(this.fields.spki).digest('base64');
    return this.lazySpkiHash;
  }

  /** What handshakes are signed with by this key (Node does not tell which scheme was chosen); empty = not known. */
  get signatureScheme(): string {
    if (this.lazyScheme === null) {
      const key = this.publicKey;
      this.lazyScheme = key === null ? '' : schemeOf(key);
    }
    return this.lazyScheme;
  }

  /** `null` for a key of a kind that OpenSSL does not know. */
  get publicKey(): KeyObject | null {
    try {
      return this.x509.publicKey;
    } catch {
      return null;
    }
  }
}

/** By OpenSSL's name of the curve. */
const EC_SCHEMES: ReadonlyMap<string, string> = new Map([
  ['prime256v1', 'ecdsa_secp256r1_sha256'],
  ['secp384r1', 'ecdsa_secp384r1_sha384'],
  ['secp521r1', 'ecdsa_secp521r1_sha512'],
]);

function schemeOf(key: KeyObject): string {
  switch (key.asymmetricKeyType) {
    case 'ec':
      return EC_SCHEMES.get(key.asymmetricKeyDetails?.namedCurve ?? '') ?? '';
    case 'ed25519':
      return 'ed25519';
    case 'rsa':
      // The PSS form that every library offers first.
      return 'rsa_pss_rsae_sha256';
    default:
      return '';
  }
}

const kept = new Map<string, Certificate>();

/** The certificate's one object in this thread. */
export function certificateOf(x509: X509Certificate): Certificate {
  const fingerprint = fingerprintOf(x509);
  let certificate = kept.get(fingerprint);
  if (certificate === undefined) {
    certificate = new Certificate(x509, fingerprint);
    if (kept.size >= CERTIFICATES_MAX) kept.delete(kept.keys().next().value as string);
    kept.set(fingerprint, certificate);
  }
  return certificate;
}

/** Lower-case hex SHA-256. */
export function fingerprintOf(x509: X509Certificate): string {
  return x509.fingerprint256.replaceAll(':', '').toLowerCase();
}

/** A peer's certificates as it sent them, leaf first. */
export function chainOf(leaf: X509Certificate): readonly Certificate[] {
  const chain: Certificate[] = [];
  for (
    let at: X509Certificate | undefined = leaf;
    at !== undefined && chain.length < CHAIN_MAX;
    at = at.issuerCertificate
  )
    chain.push(certificateOf(at));
  return chain;
}

/** Certificates of one chain that are looked at; OpenSSL's own limit. */
export const CHAIN_MAX = 100;

// === Reading ===

/** @returns what `read` returns, or `otherwise` where the bytes are no DER */
function readOr<T>(otherwise: T, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof DerError) return otherwise;
    throw error;
  }
}

interface CertificateParts {
  readonly serial: Buffer;
  readonly issuer: DerElement;
  readonly subject: DerElement;
  readonly validFromMs: number;
  readonly validToMs: number;
  readonly spki: Buffer;
  /** `null` when they cannot be read. */
  readonly extensions: ReadonlyMap<string, Extension> | null;
}

interface Extension {
  readonly critical: boolean;
  /** Content of `extnValue`. */
  readonly value: Buffer;
}

const NOTHING = Buffer.alloc(0);
const NO_ELEMENT: DerElement = { tag: 0, content: NOTHING, whole: NOTHING };

/** Never valid, and nobody's issuer. */
const UNREADABLE_PARTS: CertificateParts = {
  serial: NOTHING,
  issuer: NO_ELEMENT,
  subject: NO_ELEMENT,
  validFromMs: Number.NaN,
  validToMs: Number.NaN,
  spki: NOTHING,
  extensions: null,
};

const NO_NAMES: SubjectAltNames = { uri: [], dns: [], ip: [], email: [], other: [], all: [] };

/** Of no use whatever. */
const UNREADABLE: Constraints = {
  isCa: false,
  pathLength: 0,
  keyUsage: 0,
  extendedKeyUsage: [],
  unknownCritical: true,
  nameConstrained: true,
};

/** @throws DerError */
function splitCertificate(der: Buffer): CertificateParts {
  const [tbs] = derElements(derElement(der).content);
  const fields = tbs === undefined ? [] : derElements(tbs.content);
  // version [0] is left out by version 1
  const at = fields[0]?.tag === 0xa0 ? 1 : 0;
  const [serial, , issuer, validity, subject, spki, ...rest] = fields.slice(at) as [
    DerElement,
    DerElement,
    DerElement,
    DerElement,
    DerElement,
    DerElement,
    ...DerElement[],
  ];
  const [from, to] = derElements(validity.content) as [DerElement, DerElement];
  return {
    serial: serial.content,
    issuer,
    subject,
    validFromMs: derTime(from),
    validToMs: derTime(to),
    spki: spki.whole,
    extensions: readOr(null, () => readExtensions(rest.find((field) => field.tag === 0xa3))),
  };
}

function readExtensions(field: DerElement | undefined): ReadonlyMap<string, Extension> {
  const extensions = new Map<string, Extension>();
  if (field === undefined) return extensions;
  for (const extension of derElements(derElement(field.content).content)) {
    const parts = derElements(extension.content);
    const [oid] = parts;
    const value = parts.at(-1);
    if (oid === undefined || value === undefined) continue;
    const critical = parts.length === 3 && parts[1]?.content[0] !== 0;
    extensions.set(oidText(oid.content), { critical, value: value.content });
  }
  return extensions;
}

function readNames(extension: Buffer | undefined): SubjectAltNames {
  const uri: string[] = [];
  const dns: string[] = [];
  const ip: string[] = [];
  const email: string[] = [];
  const other: { oid: string; value: string }[] = [];
  const all: string[] = [];
  const lists = new Map([
    [NAME_URI, uri],
    [NAME_DNS, dns],
    [NAME_EMAIL, email],
    [NAME_IP, ip],
  ]);
  for (const { tag, content } of extension === undefined ? [] : derElements(derElement(extension).content)) {
    const list = lists.get(tag);
    if (list !== undefined) {
      const text = tag === NAME_IP ? addressText(content) : content.toString('latin1');
      list.push(text);
      all.push(text);
      continue;
    }
    if (tag !== NAME_OTHER) continue;
    const [oid, value] = derElements(content);
    if (oid === undefined || value === undefined) continue;
    const text = derElement(value.content).content.toString('latin1');
    other.push({ oid: oidText(oid.content), value: text });
    all.push(text);
  }
  return { uri, dns, ip, email, other, all };
}

function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return formatIpv4(bytes, 0);
  return bytes.length === 16 ? formatIpv6(bytes, 0) : bytes.toString('hex');
}

function readConstraints(extensions: ReadonlyMap<string, Extension>): Constraints {
  const basic = extensions.get(OID_BASIC_CONSTRAINTS)?.value;
  let isCa = false;
  let pathLength = -1;
  if (basic !== undefined)
    for (const { tag, content } of derElements(derElement(basic).content)) {
      if (tag === 0x01) isCa = content[0] !== 0;
      else if (tag === 0x02)
        pathLength = (content[0] ?? 0x80) >= 0x80 ? 0 : Number.parseInt(content.toString('hex'), 16);
    }
  const usage = extensions.get(OID_KEY_USAGE)?.value;
  const extended = extensions.get(OID_EXTENDED_KEY_USAGE)?.value;
  return {
    isCa,
    pathLength,
    // A bit string's first octet is the number of unused bits.
    keyUsage: usage === undefined ? -1 : (derElement(usage).content[1] ?? 0),
    extendedKeyUsage:
      extended === undefined ? null : derElements(derElement(extended).content).map(({ content }) => oidText(content)),
    unknownCritical: [...extensions].some(([oid, { critical }]) => critical && !UNDERSTOOD.has(oid)),
    nameConstrained: extensions.has(OID_NAME_CONSTRAINTS),
  };
}

// === Printing ===

/** Short names as OpenSSL prints them. */
const ATTRIBUTE_NAMES: ReadonlyMap<string, string> = new Map([
  ['2.5.4.3', 'CN'],
  ['2.5.4.4', 'SN'],
  ['2.5.4.5', 'serialNumber'],
  ['2.5.4.6', 'C'],
  ['2.5.4.7', 'L'],
  ['2.5.4.8', 'ST'],
  ['2.5.4.9', 'street'],
  ['2.5.4.10', 'O'],
  ['2.5.4.11', 'OU'],
  ['2.5.4.12', 'title'],
  ['2.5.4.17', 'postalCode'],
  ['2.5.4.42', 'GN'],
  ['2.5.4.43', 'initials'],
  ['0.9.2342.19200300.100.1.1', 'UID'],
  ['0.9.2342.19200300.100.1.25', 'DC'],
  ['1.2.840.113549.1.9.1', 'emailAddress'],
]);

const TAG_BMP_STRING = 0x1e;
const TAG_UNIVERSAL_STRING = 0x1c;
const TAG_UTF8_STRING = 0x0c;

/** RFC 2253: last attribute first, bytes above ASCII as `\XX` of their UTF-8 form. */
function nameText(name: DerElement): string {
  return derElements(name.content)
    .map((set) => derElements(set.content).map(attributeText).join('+'))
    .reverse()
    .join(',');
}

function attributeText(attribute: DerElement): string {
  const [oid, value] = derElements(attribute.content);
  if (oid === undefined || value === undefined) return '';
  const id = oidText(oid.content);
  const name = ATTRIBUTE_NAMES.get(id);
  return name === undefined
    ? `${id}=#${value.whole.toString('hex').toUpperCase()}`
    : `${name}=${escapeValue(utf8Bytes(value))}`;
}

function utf8Bytes({ tag, content }: DerElement): Buffer {
  if (tag === TAG_UTF8_STRING) return content;
  if (tag === TAG_BMP_STRING && content.length % 2 === 0)
    return Buffer.from(Buffer.from(content).swap16().toString('utf16le'), 'utf8');
  if (tag === TAG_UNIVERSAL_STRING && content.length % 4 === 0) {
    let text = '';
    for (let i = 0; i < content.length; i += 4) {
      const point = content.readUInt32BE(i);
      text += point <= 0x10ffff ? String.fromCodePoint(point) : '\ufffd';
    }
    return Buffer.from(text, 'utf8');
  }
  return Buffer.from(content.toString('latin1'), 'utf8');
}

function escapeValue(bytes: Buffer): string {
  let text = '';
  bytes.forEach((byte, i) => {
    const char = String.fromCharCode(byte);
    const edge = (char === ' ' && (i === 0 || i === bytes.length - 1)) || (char === '#' && i === 0);
    if (byte < 0x20 || byte >= 0x7f) text += `\\${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    else text += edge || ',+"\\<>;'.includes(char) ? `\\${char}` : char;
  });
  return text;
}

function encodePem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  const pem = `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
  return pem.replaceAll(/[\n +/=]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}
