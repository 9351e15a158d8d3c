// Reads a TLS ClientHello (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2) without consuming it: what a client asks for before
// anything is decided for it.
//
// Rule 1: no I/O and no state. It is asked again with more bytes, and says how many it needs, so that a client that sends
//         byte by byte costs little.
// Rule 2: as strict as the library behind Envoy up to the point where Envoy stops it; what that refuses is no TLS.

import { latin1 } from '../util/latin1.ts';

/** What a hello that can be read says. */
export interface ClientHello {
  /** Lower-case server name; empty = none. */
  readonly serverName: string;
  /** In the client's order; empty when the extension is missing or malformed. */
  readonly alpn: readonly string[];
  /** `legacy_version`. */
  readonly version: number;
  readonly cipherSuites: readonly number[];
  /** Types in order of appearance. */
  readonly extensions: readonly number[];
  /** Of `supported_groups`, `ec_point_formats`, `signature_algorithms` and `supported_versions`; empty = not sent. */
  readonly groups: readonly number[];
  readonly pointFormats: readonly number[];
  readonly signatureAlgorithms: readonly number[];
  readonly supportedVersions: readonly number[];
  /** First bytes of the first ticket offered, latin1; empty. */
  readonly ticketName: string;
  /** The first protocol offered, also where the rest of the list is malformed; empty. */
  readonly firstAlpn: string;
  /** `legacy_version` names no TLS from 1.0 to 1.3: Envoy ends such connections. */
  readonly versionRefused: boolean;
}

/** BoringSSL's reasons for what is no hello, with the numbers that Envoy prints. */
export const HELLO_ERRORS = {
  CLIENTHELLO_PARSE_FAILED: 0x10000083,
  CONNECTION_REJECTED: 0x10000085,
  ENCRYPTED_LENGTH_TOO_LONG: 0x10000092,
  ERROR_PARSING_EXTENSION: 0x10000095,
  EXCESSIVE_MESSAGE_SIZE: 0x10000096,
  HTTPS_PROXY_REQUEST: 0x1000009b,
  HTTP_REQUEST: 0x1000009c,
  UNEXPECTED_MESSAGE: 0x100000df,
  UNEXPECTED_RECORD: 0x100000e1,
  WRONG_VERSION_NUMBER: 0x100000f7,
} as const;
export type HelloError = keyof typeof HELLO_ERRORS;

/** A number: at least that many bytes in all are needed. A string: this is no TLS, and why. */
export type HelloResult = number | HelloError | ClientHello;

const RECORD_HEAD = 5;
const MESSAGE_HEAD = 4;
const RECORD_HANDSHAKE = 22;
const MESSAGE_CLIENT_HELLO = 1;
const VERSION_MAJOR = 3;
/** Largest body of a record, encrypted ones included. */
const RECORD_BODY_MAX = 16_640;
/** Largest ClientHello, without its head. */
const MESSAGE_BODY_MAX = 16_384;
const SESSION_ID_MAX = 32;
const HOST_NAME_MAX = 255;

const TLS_1_0 = 0x0301;
const TLS_1_3 = 0x0304;

const EXT_SERVER_NAME = 0;
const EXT_GROUPS = 10;
const EXT_POINT_FORMATS = 11;
const EXT_SIGNATURE_ALGORITHMS = 13;
const EXT_ALPN = 16;
const EXT_SESSION_TICKET = 35;
const EXT_PRE_SHARED_KEY = 41;
const EXT_SUPPORTED_VERSIONS = 43;
/** The beginning of a ticket, which names its key (RFC 5077 §4). */
const TICKET_NAME_BYTES = 16;

/** Clear-text HTTP has names of its own among the errors. */
const HTTP_STARTS: readonly (readonly [string, HelloError])[] = [
  ['GET ', 'HTTP_REQUEST'],
  ['POST ', 'HTTP_REQUEST'],
  ['HEAD ', 'HTTP_REQUEST'],
  ['PUT ', 'HTTP_REQUEST'],
  ['CONNE', 'HTTPS_PROXY_REQUEST'],
];

/** Looks at the first bytes of a connection. */
export function readClientHello(bytes: Buffer): HelloResult {
  const first = looksLikeTls(bytes);
  if (first !== null) return first;
  // Nearly always the message lies in one record and is read in place.
  const bodyLength = bytes.readUInt16BE(3);
  const end = RECORD_HEAD + bodyLength;
  if (bytes.length < end) return end;
  if (bodyLength >= MESSAGE_HEAD) {
    const refused = checkMessage(bytes, RECORD_HEAD);
    if (refused !== null) return refused;
    const messageLength = bytes.readUIntBE(RECORD_HEAD + 1, 3);
    if (bodyLength >= MESSAGE_HEAD + messageLength) {
      const from = RECORD_HEAD + MESSAGE_HEAD;
      return readMessage(bytes.subarray(from, from + messageLength));
    }
  }
  return joinRecords(bytes);
}

/** `null` when the head of the first record is that of a handshake. What can be none is known by its first bytes. */
function looksLikeTls(bytes: Buffer): number | HelloError | null {
  const { length } = bytes;
  if (length === 0) return 1;
  if (length < RECORD_HEAD) {
    if (bytes[0] === RECORD_HANDSHAKE) {
      if (length > 1 && bytes[1] !== VERSION_MAJOR) return 'WRONG_VERSION_NUMBER';
      return RECORD_HEAD;
    }
    // Which error it is shows with the fifth byte; that it is one shows now.
    const text = latin1(bytes, 0, length);
    const start = HTTP_STARTS.find(([word]) => word.startsWith(text));
    return start === undefined ? 'WRONG_VERSION_NUMBER' : RECORD_HEAD;
  }
  if (bytes[0] !== RECORD_HANDSHAKE) {
    const text = latin1(bytes, 0, RECORD_HEAD);
    const start = HTTP_STARTS.find(([word]) => text.startsWith(word));
    if (start !== undefined) return start[1];
    return bytes[1] === VERSION_MAJOR ? 'UNEXPECTED_RECORD' : 'WRONG_VERSION_NUMBER';
  }
  if (bytes[1] !== VERSION_MAJOR) return 'WRONG_VERSION_NUMBER';
  return bytes.readUInt16BE(3) > RECORD_BODY_MAX ? 'ENCRYPTED_LENGTH_TOO_LONG' : null;
}

function checkMessage(bytes: Buffer, at: number): HelloError | null {
  if (bytes.readUIntBE(at + 1, 3) > MESSAGE_BODY_MAX) return 'EXCESSIVE_MESSAGE_SIZE';
  return bytes[at] === MESSAGE_CLIENT_HELLO ? null : 'UNEXPECTED_MESSAGE';
}

/**
 * A message that is cut into several records. Nothing is copied before all of it is there: records may hold a byte each,
 * and this is asked again after every one.
 */
function joinRecords(bytes: Buffer): HelloResult {
  let filled = 0;
  let at = 0;
  let checked = false;
  let wanted = MESSAGE_HEAD;
  for (;;) {
    if (bytes.length < at + RECORD_HEAD) return at + RECORD_HEAD;
    if (bytes[at] !== RECORD_HANDSHAKE) return 'UNEXPECTED_RECORD';
    if (bytes[at + 1] !== VERSION_MAJOR) return 'WRONG_VERSION_NUMBER';
    const length = ((bytes[at + 3] as number) << 8) | (bytes[at + 4] as number);
    if (length > RECORD_BODY_MAX) return 'ENCRYPTED_LENGTH_TOO_LONG';
    const end = at + RECORD_HEAD + length;
    if (bytes.length < end) return end;
    filled += length;
    at = end;
    if (!checked && filled >= MESSAGE_HEAD) {
      const head = gather(bytes, MESSAGE_HEAD);
      const refused = checkMessage(head, 0);
      if (refused !== null) return refused;
      checked = true;
      wanted = MESSAGE_HEAD + head.readUIntBE(1, 3);
    }
    if (checked && filled >= wanted) return readMessage(gather(bytes, wanted).subarray(MESSAGE_HEAD));
  }
}

/** The first `count` bytes of what the records carry; they are known to be there. */
function gather(bytes: Buffer, count: number): Buffer {
  const out = Buffer.allocUnsafe(count);
  let filled = 0;
  for (let at = 0; filled < count; ) {
    const end = at + RECORD_HEAD + bytes.readUInt16BE(at + 3);
    filled += bytes.copy(out, filled, at + RECORD_HEAD, end);
    at = end;
  }
  return out;
}

// === The message ===

/** What the extensions say, while they are read. */
interface Draft {
  serverName: string;
  alpn: readonly string[];
  firstAlpn: string;
  groups: readonly number[];
  pointFormats: readonly number[];
  signatureAlgorithms: readonly number[];
  supportedVersions: readonly number[];
  ticketName: string;
}

const NO_NUMBERS: readonly number[] = [];
const NO_NAMES: readonly string[] = [];

function readMessage(body: Buffer): HelloError | ClientHello {
  // Version, random, session id.
  if (body.length < 35) return 'CLIENTHELLO_PARSE_FAILED';
  const version = body.readUInt16BE(0);
  const sessionIdLength = body[34] as number;
  let at = 35 + sessionIdLength;
  if (sessionIdLength > SESSION_ID_MAX || body.length < at + 2) return 'CLIENTHELLO_PARSE_FAILED';
  const cipherBytes = body.readUInt16BE(at);
  const ciphersAt = at + 2;
  at = ciphersAt + cipherBytes;
  if (cipherBytes < 2 || cipherBytes % 2 !== 0 || body.length < at + 1) return 'CLIENTHELLO_PARSE_FAILED';
  const compressionLength = body[at] as number;
  at += 1 + compressionLength;
  if (compressionLength < 1 || body.length < at) return 'CLIENTHELLO_PARSE_FAILED';
  const extensions: number[] = [];
  const draft: Draft = {
    serverName: '',
    alpn: NO_NAMES,
    firstAlpn: '',
    groups: NO_NUMBERS,
    pointFormats: NO_NUMBERS,
    signatureAlgorithms: NO_NUMBERS,
    supportedVersions: NO_NUMBERS,
    ticketName: '',
  };
  if (at < body.length) {
    if (body.length < at + 2 || body.readUInt16BE(at) !== body.length - at - 2) return 'CLIENTHELLO_PARSE_FAILED';
    const refused = readExtensions(body, at + 2, extensions, draft);
    if (refused !== null) return refused;
  }
  if (new Set(extensions).size !== extensions.length) return 'CLIENTHELLO_PARSE_FAILED';
  const versionRefused = version < TLS_1_0 || version > TLS_1_3;
  const cipherSuites = numbers16(body, ciphersAt, ciphersAt + cipherBytes);
  return { ...draft, version, cipherSuites, extensions, versionRefused };
}

function readExtensions(body: Buffer, from: number, types: number[], draft: Draft): HelloError | null {
  let at = from;
  while (at < body.length) {
    if (body.length < at + 4) return 'CLIENTHELLO_PARSE_FAILED';
    const type = body.readUInt16BE(at);
    const end = at + 4 + body.readUInt16BE(at + 2);
    if (body.length < end) return 'CLIENTHELLO_PARSE_FAILED';
    types.push(type);
    const refused = readExtension(type, body.subarray(at + 4, end), draft);
    if (refused !== null) return refused;
    at = end;
  }
  return null;
}

function readExtension(type: number, data: Buffer, draft: Draft): HelloError | null {
  switch (type) {
    case EXT_SERVER_NAME: {
      const name = readServerName(data);
      if (name === null) return 'ERROR_PARSING_EXTENSION';
      draft.serverName = name;
      return null;
    }
    case EXT_ALPN:
      draft.alpn = readAlpn(data);
      draft.firstAlpn = draft.alpn[0] ?? firstOf(data);
      return null;
    case EXT_GROUPS:
      draft.groups = list16(data, 2);
      return null;
    case EXT_SIGNATURE_ALGORITHMS:
      draft.signatureAlgorithms = list16(data, 2);
      return null;
    case EXT_SUPPORTED_VERSIONS:
      draft.supportedVersions = list16(data, 1);
      return null;
    case EXT_SESSION_TICKET:
      draft.ticketName = ticketName(data, 0);
      return null;
    case EXT_PRE_SHARED_KEY:
      // Behind the lengths of the list and of its first entry.
      draft.ticketName = ticketName(data, 4);
      return null;
    case EXT_POINT_FORMATS:
      if (data.length > 0 && data[0] === data.length - 1) draft.pointFormats = [...data.subarray(1)];
      return null;
    default:
      return null;
  }
}

function ticketName(data: Buffer, from: number): string {
  return data.length < from + TICKET_NAME_BYTES ? '' : latin1(data, from, from + TICKET_NAME_BYTES);
}

/** The one host name of the list, lower case; `null` when the extension is malformed. */
function readServerName(data: Buffer): string | null {
  // A list of its whole length, one entry of type 0 that fills it.
  if (data.length < 5 || data.readUInt16BE(0) !== data.length - 2 || data[2] !== 0) return null;
  const length = data.readUInt16BE(3);
  if (length !== data.length - 5 || length === 0 || length > HOST_NAME_MAX) return null;
  const name = latin1(data, 5, 5 + length);
  return name.includes('\0') ? null : lowerAscii(name);
}

function lowerAscii(text: string): string {
  return /[A-Z]/.test(text) ? text.replace(/[A-Z]+/g, (run) => run.toLowerCase()) : text;
}

/** A malformed list is left to the handshake, which refuses it. */
function readAlpn(data: Buffer): readonly string[] {
  if (data.length < 4 || data.readUInt16BE(0) !== data.length - 2) return NO_NAMES;
  const names: string[] = [];
  let at = 2;
  while (at < data.length) {
    const length = data[at] as number;
    const end = at + 1 + length;
    if (length === 0 || end > data.length) return NO_NAMES;
    names.push(latin1(data, at + 1, end));
    at = end;
  }
  return names;
}

function firstOf(list: Buffer): string {
  const length = list[2] ?? 0;
  return list.length < 3 + length ? '' : latin1(list, 3, 3 + length);
}

/** 16-bit numbers behind a length of `lengthBytes` bytes; none when it is malformed. */
function list16(data: Buffer, lengthBytes: 1 | 2): readonly number[] {
  if (data.length < lengthBytes) return NO_NUMBERS;
  const length = data.readUIntBE(0, lengthBytes);
  if (length !== data.length - lengthBytes || length % 2 !== 0) return NO_NUMBERS;
  return numbers16(data, lengthBytes, data.length);
}

function numbers16(bytes: Buffer, from: number, to: number): number[] {
  const out: number[] = [];
  for (let at = from; at < to; at += 2) out.push(bytes.readUInt16BE(at));
  return out;
}
