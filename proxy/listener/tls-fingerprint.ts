// Fingerprints of ClientHellos: JA3 and JA4, as Envoy's TLS inspector prints them.

import type { ClientHello } from '../codec/client-hello.ts';
import { nodeCrypto } from '../util/builtin.ts';

const EXT_SERVER_NAME = 0;
const EXT_ALPN = 16;
/** Largest number that the two digits of a count can show. */
const COUNT_MAX = 99;
/** Hexadecimal digits of a digest that JA4 keeps. */
const DIGEST_DIGITS = 12;

const VERSION_NAMES: ReadonlyMap<number, string> = new Map([
  [0x0304, '13'],
  [0x0303, '12'],
  [0x0302, '11'],
  [0x0301, '10'],
]);

/** Values that clients mix in so that servers stay tolerant (RFC 8701). */
function isGrease(value: number): boolean {
  return (value & 0x0f0f) === 0x0a0a && value >> 8 === (value & 0xff);
}

const meaningful = (values: readonly number[]): number[] => values.filter((value) => !isGrease(value));

/** MD5 of version, cipher suites, extensions, groups and point formats. */
export function ja3(hello: ClientHello): string {
  const lists = [hello.cipherSuites, hello.extensions, hello.groups].map((list) => meaningful(list).join('-'));
  const text = [hello.version, ...lists, hello.pointFormats.join('-')].join(',');
  return nodeCrypto().createHash('md5').update(text).digest('hex');
}

/** Transport, version, counts and first protocol; digests of suites, and of extensions with signature algorithms. */
export function ja4(hello: ClientHello): string {
  const suites = meaningful(hello.cipherSuites);
  const extensions = meaningful(hello.extensions);
  const hashed = extensions.filter((type) => type !== EXT_SERVER_NAME && type !== EXT_ALPN);
  const signatures = meaningful(hello.signatureAlgorithms).map(hex4).join(',');
  const sorted = sortedHex(hashed);
  const head = [
    't',
    versionName(hello),
    extensions.includes(EXT_SERVER_NAME) ? 'd' : 'i',
    count(suites.length),
    count(extensions.length),
    protocolName(hello.firstAlpn),
  ].join('');
  const tail = hashed.length === 0 ? '000000000000' : digest(signatures === '' ? sorted : `${sorted}_${signatures}`);
  return `${head}_${suites.length === 0 ? '000000000000' : digest(sortedHex(suites))}_${tail}`;
}

function versionName(hello: ClientHello): string {
  const supported = meaningful(hello.supportedVersions);
  return VERSION_NAMES.get(supported.length === 0 ? hello.version : Math.max(...supported)) ?? '00';
}

function protocolName(protocol: string): string {
  return protocol === '' ? '00' : protocol.charAt(0) + protocol.charAt(protocol.length - 1);
}

const count = (value: number): string => String(Math.min(value, COUNT_MAX)).padStart(2, '0');
const hex4 = (value: number): string => value.toString(16).padStart(4, '0');
const sortedHex = (values: readonly number[]): string => values.map(hex4).sort().join(',');
const digest = (text: string): string =>
  nodeCrypto().createHash('sha256').update(text).digest('hex').slice(0, DIGEST_DIGITS);
