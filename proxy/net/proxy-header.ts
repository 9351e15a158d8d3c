// The PROXY protocol, versions 1 and 2: who a connection's client is, told by the load balancer in front
// (haproxy.org/download/2.9/doc/proxy-protocol.txt), as strict as Envoy.
//
// No I/O and no state: a reader is asked again with more bytes and says how many it needs.

import { isIPv4, isIPv6 } from 'node:net';
import { formatIpv4, formatIpv6, parseIp } from '../util/ip.ts';

/** One value of a version 2 header. */
export interface Tlv {
  readonly type: number;
  /** Valid while the bytes it was read from are. */
  readonly value: Buffer;
}

/** Two ends of a connection. */
export interface ProxyAddresses {
  readonly sourceIp: string;
  readonly sourcePort: number;
  readonly destinationIp: string;
  readonly destinationPort: number;
}

/** A header that was understood. */
export interface ProxyHeader {
  readonly version: 1 | 2;
  /** Bytes of the header. */
  readonly length: number;
  /** `null`: the connection is the balancer's own, or its addresses are unknown. */
  readonly addresses: ProxyAddresses | null;
  readonly tlvs: readonly Tlv[];
}

/**
 * A number: at least that many bytes in all are needed. `none`: the bytes are no header. `bad1`, `bad2`: a header of
 * that version, malformed.
 */
export type ProxyHeaderResult = number | 'none' | 'bad1' | 'bad2' | ProxyHeader;

const V1_SIGNATURE = Buffer.from('PROXY ', 'latin1');
/** Longest first line, its end included. */
const V1_BYTES_MAX = 108;
const V2_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const V2_HEAD_BYTES = 16;

const NO_TLVS: readonly Tlv[] = [];

/** Looks at the first bytes of a connection. */
export function readProxyHeader(bytes: Buffer): ProxyHeaderResult {
  const { length } = bytes;
  if (startsAs(bytes, V2_SIGNATURE, V2_SIGNATURE.length)) return length < V2_HEAD_BYTES ? V2_HEAD_BYTES : readV2(bytes);
  if (!startsAs(bytes, V1_SIGNATURE, V1_SIGNATURE.length)) return 'none';
  return length < V1_SIGNATURE.length ? V1_SIGNATURE.length : readV1(bytes);
}

/** Whether as much as there is of the first `count` bytes is as wanted. */
function startsAs(bytes: Buffer, wanted: Buffer, count: number): boolean {
  const compared = Math.min(bytes.length, count);
  return bytes.compare(wanted, 0, compared, 0, compared) === 0;
}

// === Version 1 ===

function readV1(bytes: Buffer): ProxyHeaderResult {
  const end = bytes.subarray(0, V1_BYTES_MAX).indexOf('\r\n', 0, 'latin1');
  if (end < 0) {
    if (bytes.length < V1_BYTES_MAX) return bytes.length + 1;
    // Where the line does not end in time Envoy sees no header, where it ends later a bad one.
    return bytes.includes('\r\n', 0, 'latin1') ? 'bad1' : 'none';
  }
  const parts = bytes.toString('latin1', 0, end).trimEnd().split(' ');
  const length = end + 2;
  if (parts[1] === 'UNKNOWN') return { version: 1, length, addresses: null, tlvs: NO_TLVS };
  const addresses = parts.length === 6 ? v1Addresses(parts) : null;
  return addresses === null ? 'bad1' : { version: 1, length, addresses, tlvs: NO_TLVS };
}

function v1Addresses([
  ,
  family,
  sourceIp = '',
  destinationIp = '',
  source = '',
  destination = '',
]: string[]): ProxyAddresses | null {
  const isIp = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : null;
  if (isIp === null || !isIp(sourceIp) || !isIp(destinationIp)) return null;
  const sourcePort = portOf(source);
  const destinationPort = portOf(destination);
  if (sourcePort < 0 || destinationPort < 0) return null;
  return checked({
    sourceIp: canonical(sourceIp),
    sourcePort,
    destinationIp: canonical(destinationIp),
    destinationPort,
  });
}

function portOf(text: string): number {
  if (!/^\+?[0-9]{1,10}$/.test(text)) return -1;
  const port = Number(text);
  return port > 65_535 ? -1 : port;
}

/** Envoy takes no header whose ends are not single hosts. */
function checked(addresses: ProxyAddresses): ProxyAddresses | null {
  return isUnicast(addresses.sourceIp) && isUnicast(addresses.destinationIp) ? addresses : null;
}

function isUnicast(ip: string): boolean {
  const bytes = parseIp(ip);
  if (bytes === null || bytes.every((byte) => byte === 0)) return false;
  const first = bytes[0] as number;
  if (bytes.length === 16) return first !== 0xff;
  return (first < 224 || first > 239) && !bytes.every((byte) => byte === 255);
}

/** As the C library writes it; Envoy keeps IPv4-mapped addresses as they are. */
function canonical(ip: string): string {
  const bytes = parseIp(ip);
  return bytes?.length === 16 ? formatIpv6(bytes, 0) : ip;
}

// === Version 2 ===

const COMMAND_LOCAL = 0;
const COMMAND_PROXY = 1;
const FAMILY_V4 = 1;
const FAMILY_V6 = 2;
/** Bytes of two addresses and two ports. */
const V4_BYTES = 12;
const V6_BYTES = 36;

function readV2(bytes: Buffer): ProxyHeaderResult {
  const versionCommand = bytes[12] as number;
  const familyTransport = bytes[13] as number;
  const command = versionCommand & 15;
  if (versionCommand >> 4 !== 2) return 'bad2';
  const bodyLength = bytes.readUInt16BE(14);
  const length = V2_HEAD_BYTES + bodyLength;
  if (command === COMMAND_LOCAL)
    return bytes.length < length ? length : { version: 2, length, addresses: null, tlvs: NO_TLVS };
  const family = familyTransport >> 4;
  const transport = familyTransport & 15;
  const addressBytes = family === FAMILY_V4 ? V4_BYTES : family === FAMILY_V6 ? V6_BYTES : -1;
  if (command !== COMMAND_PROXY || addressBytes < 0 || (transport !== 1 && transport !== 2)) return 'bad2';
  if (bodyLength < addressBytes) return 'bad2';
  if (bytes.length < length) return length;
  const addresses = v2Addresses(bytes, family === FAMILY_V4);
  const tlvs = readTlvs(bytes.subarray(V2_HEAD_BYTES + addressBytes, length));
  return addresses === null || tlvs === null ? 'bad2' : { version: 2, length, addresses, tlvs };
}

function v2Addresses(bytes: Buffer, v4: boolean): ProxyAddresses | null {
  const size = v4 ? 4 : 16;
  const format = v4 ? formatIpv4 : formatIpv6;
  const ports = V2_HEAD_BYTES + 2 * size;
  return checked({
    sourceIp: format(bytes, V2_HEAD_BYTES),
    sourcePort: bytes.readUInt16BE(ports),
    destinationIp: format(bytes, V2_HEAD_BYTES + size),
    destinationPort: bytes.readUInt16BE(ports + 2),
  });
}

function readTlvs(bytes: Buffer): readonly Tlv[] | null {
  if (bytes.length === 0) return NO_TLVS;
  const tlvs: Tlv[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (bytes.length < at + 3) return null;
    const end = at + 3 + bytes.readUInt16BE(at + 1);
    if (bytes.length < end) return null;
    tlvs.push({ type: bytes[at] as number, value: bytes.subarray(at + 3, end) });
    at = end;
  }
  return tlvs;
}

// === Writing ===

/**
 * A header for an upstream connection.
 * @param addresses `null`: the connection is our own (health checks), or its client has no IP address
 * @param tlvs of version 2 only; what does not fit the length of a header is left out
 */
export function writeProxyHeader(version: 1 | 2, addresses: ProxyAddresses | null, tlvs: readonly Tlv[]): Buffer {
  return version === 1 ? writeV1(addresses) : writeV2(addresses, tlvs);
}

function writeV1(addresses: ProxyAddresses | null): Buffer {
  if (addresses === null) return Buffer.from('PROXY UNKNOWN\r\n', 'latin1');
  const { sourceIp, sourcePort, destinationIp, destinationPort } = addresses;
  const family = sourceIp.includes(':') ? 'TCP6' : 'TCP4';
  const text = `PROXY ${family} ${sourceIp} ${destinationIp} ${sourcePort} ${destinationPort}\r\n`;
  return Buffer.from(text, 'latin1');
}

/** Largest number that a length of 16 bits holds. */
const BODY_BYTES_MAX = 65_535;

function writeV2(addresses: ProxyAddresses | null, tlvs: readonly Tlv[]): Buffer {
  const [familyTransport, body] = addresses === null ? [0, Buffer.alloc(0)] : v2Body(addresses);
  const parts = [body];
  let length = body.length;
  for (const { type, value } of tlvs) {
    if (length + 3 + value.length > BODY_BYTES_MAX) continue;
    const head = Buffer.from([type, value.length >> 8, value.length & 255]);
    parts.push(head, value);
    length += 3 + value.length;
  }
  const head = Buffer.alloc(V2_HEAD_BYTES);
  V2_SIGNATURE.copy(head);
  head[12] = 0x20 | (addresses === null ? COMMAND_LOCAL : COMMAND_PROXY);
  head[13] = familyTransport;
  head.writeUInt16BE(length, 14);
  return Buffer.concat([head, ...parts]);
}

/** Family with transport, and the addresses: IPv6 as soon as one of them is. */
function v2Body(addresses: ProxyAddresses): [number, Buffer] {
  const source = parseIp(addresses.sourceIp);
  const destination = parseIp(addresses.destinationIp);
  if (source === null || destination === null) throw new Error('a PROXY header needs IP addresses');
  const v4 = source.length === 4 && destination.length === 4;
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(addresses.sourcePort, 0);
  ports.writeUInt16BE(addresses.destinationPort, 2);
  const ends = v4 ? [source, destination] : [mapped(source), mapped(destination)];
  return [((v4 ? FAMILY_V4 : FAMILY_V6) << 4) | 1, Buffer.concat([...ends, ports])];
}

function mapped(address: Buffer): Buffer {
  if (address.length === 16) return address;
  return Buffer.concat([Buffer.alloc(10), Buffer.from([255, 255]), address]);
}
