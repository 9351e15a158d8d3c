// IP addresses and ranges: parsing, printing beside a port, and longest-prefix lookup.
//
// Rule 1: an address is a Buffer of 4 or 16 bytes once parsed; text is only for people and keys.
// Rule 2: an IPv4-mapped IPv6 address is the IPv4 address, as Envoy sees connections of a dual-stack socket.

import { isIPv4, isIPv6 } from 'node:net';

const MAPPED_PREFIX = '::ffff:';

/** Bytes of a literal address: 4 for IPv4 (and IPv4-mapped IPv6), 16 for IPv6; `null` when the text is none. */
export function parseIp(text: string): Buffer | null {
  return parseIpAsWritten(unmapIpv4(text));
}

/** As `parseIp`, but an IPv4-mapped address is one of IPv6. */
export function parseIpAsWritten(plain: string): Buffer | null {
  if (isIPv4(plain)) return Buffer.from(plain.split('.').map(Number));
  // The check is a regular expression that takes 8 ms to compile: not for what is a name.
  return plain.includes(':') && isIPv6(plain) ? parseIpv6(plain) : null;
}

/** `::ffff:1.2.3.4` → `1.2.3.4`; everything else unchanged. */
export function unmapIpv4(text: string): string {
  if (!text.startsWith(MAPPED_PREFIX)) return text;
  const tail = text.slice(MAPPED_PREFIX.length);
  return isIPv4(tail) ? tail : text;
}

function parseIpv6(text: string): Buffer {
  const zone = text.indexOf('%');
  const bare = zone < 0 ? text : text.slice(0, zone);
  const out = Buffer.alloc(16);
  const gap = bare.indexOf('::');
  const head = groups(gap < 0 ? bare : bare.slice(0, gap));
  const tail = gap < 0 ? [] : groups(bare.slice(gap + 2));
  head.forEach((value, i) => {
    out.writeUInt16BE(value, i * 2);
  });
  tail.forEach((value, i) => {
    out.writeUInt16BE(value, 16 - (tail.length - i) * 2);
  });
  return out;
}

/** 16-bit groups of one side of `::`; a dotted IPv4 tail counts as two. */
function groups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

/** The text of the four bytes at `offset`. */
export function formatIpv4(bytes: Uint8Array, offset: number): string {
  return `${bytes[offset]}.${bytes[offset + 1]}.${bytes[offset + 2]}.${bytes[offset + 3]}`;
}

/** The text of the sixteen bytes at `offset`, as the C library writes it (RFC 5952); IPv4-mapped ones as IPv4. */
export function formatIpv6(bytes: Uint8Array, offset: number): string {
  const words = Array.from({ length: 8 }, (_, i) => {
    const at = offset + i * 2;
    return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  });
  if (words[5] === 0xffff && words.slice(0, 5).every((word) => word === 0)) return formatIpv4(bytes, offset + 12);
  const gap = longestZeros(words);
  const text = (from: number, to: number): string =>
    words
      .slice(from, to)
      .map((word) => word.toString(16))
      .join(':');
  if (gap.length < 2) return text(0, 8);
  return `${text(0, gap.start)}::${text(gap.start + gap.length, 8)}`;
}

/** A literal address as the kernel's addresses are written; what is none stays as it is. */
export function canonicalIp(text: string): string {
  const bytes = parseIp(text);
  if (bytes === null) return text;
  return bytes.length === 4 ? formatIpv4(bytes, 0) : formatIpv6(bytes, 0);
}

/** The first of the longest runs of zero words. */
function longestZeros(words: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < words.length; start++) {
    let end = start;
    while (words[end] === 0) end++;
    if (end - start > best.length) best = { start, length: end - start };
    start = end;
  }
  return best;
}

/** An IP address and a port. */
export interface IpPort {
  readonly ip: string;
  readonly port: number;
}

/** Reads `1.2.3.4:80` or `[::1]:80`, nothing else; `null` when it is neither. */
export function parseIpPort(text: string): IpPort | null {
  const v6 = text.startsWith('[');
  const colon = text.lastIndexOf(':');
  const ip = v6 ? text.slice(1, colon - 1) : text.slice(0, colon);
  if (colon < 0 || (v6 && text[colon - 1] !== ']') || !(v6 ? isIPv6(ip) : isIPv4(ip))) return null;
  const digits = text.slice(colon + 1);
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : -1;
  return port < 0 || port > 65_535 ? null : { ip, port };
}

/** `1.2.3.4:80` or `[::1]:80`. */
export function joinHostPort(ip: string, port: number): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** Exactly `127.0.0.1` or `::1`: Envoy counts no other address of 127/8 as loopback. */
export function isLoopback(ip: string): boolean {
  return ip === '127.0.0.1' || ip === '::1';
}

/** Whether an address lies in one of some ranges; a text that is no address lies in none. */
export function compileRanges(
  ranges: readonly { readonly address: string; readonly prefixLength: number }[],
): (ip: string) => boolean {
  const map = new CidrMap<true>();
  for (const { address, prefixLength } of ranges) {
    const bytes = parseIp(address);
    if (bytes !== null) map.at(bytes, prefixLength, () => true);
  }
  return (ip) => {
    const bytes = parseIp(ip);
    return bytes !== null && map.find(bytes) !== null;
  };
}

/** Values under address ranges; a lookup finds the value of the longest range that holds the address. */
export class CidrMap<T> {
  /** Per family (4, 16 bytes): prefix lengths in use, longest first, each with its masked-address table. */
  private readonly tables: { readonly v4: PrefixTable<T>[]; readonly v6: PrefixTable<T>[] } = { v4: [], v6: [] };

  /** The value at exactly this range, made by `create` when there is none. */
  at(address: Buffer, prefixLength: number, create: () => T): T {
    const list = address.length === 4 ? this.tables.v4 : this.tables.v6;
    let table = list.find((t) => t.prefixLength === prefixLength);
    if (table === undefined) {
      table = { prefixLength, values: new Map() };
      list.push(table);
      list.sort((a, b) => b.prefixLength - a.prefixLength);
    }
    const key = maskedKey(address, prefixLength);
    let value = table.values.get(key);
    if (value === undefined) {
      value = create();
      table.values.set(key, value);
    }
    return value;
  }

  /**
   * Gives the values of all ranges that hold the address, the longest range first, until one of them is taken.
   * @param take `first`: no longer range holds it; `null` = go on
   */
  search<S, R>(address: Buffer, subject: S, take: (value: T, subject: S, first: boolean) => R | null): R | null {
    const list = address.length === 4 ? this.tables.v4 : this.tables.v6;
    let first = true;
    for (const table of list) {
      const value = table.values.get(maskedKey(address, table.prefixLength));
      if (value === undefined) continue;
      const taken = take(value, subject, first);
      if (taken !== null) return taken;
      first = false;
    }
    return null;
  }

  /** One lookup per prefix length in use. */
  find(address: Buffer): T | null {
    const list = address.length === 4 ? this.tables.v4 : this.tables.v6;
    for (const table of list) {
      const value = table.values.get(maskedKey(address, table.prefixLength));
      if (value !== undefined) return value;
    }
    return null;
  }
}

interface PrefixTable<T> {
  readonly prefixLength: number;
  readonly values: Map<string, T>;
}

/** The first `bits` bits as a latin1 string, the rest zero. */
function maskedKey(address: Buffer, bits: number): string {
  const whole = bits >> 3;
  const rest = bits & 7;
  if (rest === 0) return address.toString('latin1', 0, whole);
  const last = (address[whole] ?? 0) & (0xff << (8 - rest));
  return address.toString('latin1', 0, whole) + String.fromCharCode(last & 0xff);
}
