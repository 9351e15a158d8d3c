// What a header block says: fields in, a head or trailers out, with the rules of RFC 9113 §8 checked.

import { HeaderMap } from './headers.ts';
import { type FieldSink, VALUE_BAD } from './hpack-decoder.ts';
import {
  KIND_AUTHORITY,
  KIND_INVALID,
  KIND_METHOD,
  KIND_PATH,
  KIND_PROTOCOL,
  KIND_SCHEME,
  KIND_STATUS,
} from './hpack-names.ts';
import {
  KNOWN_CONNECTION,
  KNOWN_CONTENT_LENGTH,
  KNOWN_COOKIE,
  KNOWN_HOP,
  KNOWN_TE,
  KNOWN_TRANSFER_ENCODING,
  KNOWN_UPGRADE,
  type RequestHead,
} from './http1.ts';
import type { H2Options } from './http2.ts';
import { type HeaderName, isToken, KIND_HOST } from './known-headers.ts';

export const BLOCK_REQUEST = 0;
export const BLOCK_RESPONSE = 1;
export const BLOCK_REQUEST_TRAILERS = 2;
export const BLOCK_RESPONSE_TRAILERS = 3;
/** Read for the sake of the dynamic table only. */
export const BLOCK_IGNORED = 4;

// What is wrong with a block.
export const FINE = 0;
/** A field that may not be there. */
export const BAD_FIELD = 1;
/** The fields do not make a message. */
export const BAD_MESSAGE = 2;
/** More bytes, or more fields, than the options allow. */
export const TOO_LARGE = 3;
export const TOO_MANY = 4;
export const UNDERSCORE = 5;

/** Names that are looked at more closely. */
const SPECIAL = KNOWN_CONNECTION | KNOWN_UPGRADE | KNOWN_TRANSFER_ENCODING | KNOWN_HOP | KNOWN_TE;
const FORBIDDEN = KNOWN_CONNECTION | KNOWN_UPGRADE | KNOWN_TRANSFER_ENCODING | KNOWN_HOP;
const LONGEST_LENGTH_DIGITS = 15;
const SLASH = 47;

// What pseudo-headers may hold; values have been checked for control characters before.
const STATUS = /^[0-9]{3}$/;
const SCHEME = /^[A-Za-z][A-Za-z0-9+\-.]*$/;
const AUTHORITY = /^[A-Za-z0-9!$%&'()*+,\-.:;=[\]_~]+$/;
const DIGITS = /^[0-9]+$/;

/** Reads one block at a time; `begin` starts another. */
export class MessageReader implements FieldSink {
  headers: HeaderMap;
  problem: number;
  method: string;
  scheme: string;
  authority: string;
  hasAuthority: boolean;
  path: string;
  hasPath: boolean;
  protocol: string;
  /** −1 = none. */
  status: number;
  /** −1 = none. */
  contentLength: number;
  known: number;
  droppedUnderscores: number;
  private kind: number;
  private options: H2Options | null;
  private regularSeen: boolean;
  private bytes: number;
  private count: number;
  /** Crumbs so far, joined. */
  private cookie: string | null;
  private hostSeen: boolean;
  /** Inline names seen, by their index. */
  private seenLow: number;
  private seenHigh: number;

  constructor() {
    this.headers = new HeaderMap();
    this.problem = FINE;
    this.method = '';
    this.scheme = '';
    this.authority = '';
    this.hasAuthority = false;
    this.path = '';
    this.hasPath = false;
    this.protocol = '';
    this.status = -1;
    this.contentLength = -1;
    this.known = 0;
    this.droppedUnderscores = 0;
    this.kind = BLOCK_IGNORED;
    this.options = null;
    this.regularSeen = false;
    this.bytes = 0;
    this.count = 0;
    this.cookie = null;
    this.hostSeen = false;
    this.seenLow = 0;
    this.seenHigh = 0;
  }

  begin(kind: number, options: H2Options): void {
    this.headers = new HeaderMap();
    this.problem = FINE;
    this.method = '';
    this.scheme = '';
    this.authority = '';
    this.hasAuthority = false;
    this.path = '';
    this.hasPath = false;
    this.protocol = '';
    this.status = -1;
    this.contentLength = -1;
    this.known = 0;
    this.droppedUnderscores = 0;
    this.kind = kind;
    this.options = options;
    this.regularSeen = false;
    this.bytes = 0;
    this.count = 0;
    this.cookie = null;
    this.hostSeen = false;
    this.seenLow = 0;
    this.seenHigh = 0;
  }

  onField(name: HeaderName, value: string, marks: number, bytes: number): void {
    if (this.problem !== FINE || this.kind === BLOCK_IGNORED) return;
    const options = this.options as H2Options;
    this.bytes += bytes;
    if (this.bytes > options.headerListBytesMax) {
      this.problem = TOO_LARGE;
      return;
    }
    if (++this.count > options.headersMax) {
      this.problem = TOO_MANY;
      return;
    }
    if ((marks & VALUE_BAD) !== 0) this.problem = BAD_FIELD;
    else if (name.kind >= KIND_METHOD) this.problem = this.readPseudo(name.kind, value, marks);
    else this.readRegular(name, value);
  }

  private readRegular(name: HeaderName, value: string): void {
    this.regularSeen = true;
    const { bit, kind } = name;
    if (name.underscore && this.kind !== BLOCK_RESPONSE && this.kind !== BLOCK_RESPONSE_TRAILERS) {
      const { underscores } = this.options as H2Options;
      if (underscores === 'reject_request') this.problem = UNDERSCORE;
      else if (underscores === 'drop_header') this.droppedUnderscores++;
      if (underscores !== 'allow') return;
    }
    if ((bit & SPECIAL) !== 0 && ((bit & FORBIDDEN) !== 0 || !isTrailersOnly(value))) {
      this.problem = BAD_FIELD;
      return;
    }
    this.known |= bit;
    if (bit === KNOWN_CONTENT_LENGTH && !this.readLength(value)) return;
    if (kind === KIND_HOST && this.kind === BLOCK_REQUEST) {
      this.readHost(value);
      return;
    }
    if (bit === KNOWN_COOKIE) {
      this.cookie = this.cookie === null ? value : `${this.cookie}; ${value}`;
      return;
    }
    const { headers } = this;
    const inline =
      this.kind === BLOCK_REQUEST ? name.requestInline : this.kind === BLOCK_RESPONSE ? name.responseInline : -1;
    if (inline >= 0 && this.alreadySeen(inline)) {
      const at = headers.names.indexOf(name.name);
      headers.values[at] = `${headers.values[at]},${value}`;
      return;
    }
    headers.names.push(name.name);
    headers.values.push(value);
  }

  private alreadySeen(inline: number): boolean {
    const bit = 1 << (inline & 31);
    if (inline < 32) {
      const seen = (this.seenLow & bit) !== 0;
      this.seenLow |= bit;
      return seen;
    }
    const seen = (this.seenHigh & bit) !== 0;
    this.seenHigh |= bit;
    return seen;
  }

  /** Decimal digits, once. @returns whether the field stays */
  private readLength(value: string): boolean {
    if (this.kind === BLOCK_RESPONSE && (this.status === 204 || this.status < 200)) {
      // Neither can have a body; 0 is borne and dropped.
      if (this.status !== 204 || value !== '0') this.problem = BAD_FIELD;
      return false;
    }
    if (this.contentLength >= 0 || value.length > LONGEST_LENGTH_DIGITS || !DIGITS.test(value)) {
      this.problem = BAD_FIELD;
      return false;
    }
    this.contentLength = Number(value);
    return true;
  }

  /** Stands in for `:authority`, and says nothing beside it. */
  private readHost(value: string): void {
    if (this.hostSeen || !isAuthority(value)) {
      this.problem = BAD_FIELD;
      return;
    }
    this.hostSeen = true;
    if (this.hasAuthority) return;
    this.hasAuthority = true;
    this.authority = value;
  }

  private readPseudo(kind: number, value: string, marks: number): number {
    if (kind === KIND_INVALID || this.regularSeen) return BAD_FIELD;
    if (kind === KIND_STATUS) {
      if (this.kind !== BLOCK_RESPONSE || this.status >= 0 || !STATUS.test(value)) return BAD_FIELD;
      this.status = Number(value);
      return FINE;
    }
    if (this.kind !== BLOCK_REQUEST) return BAD_FIELD;
    switch (kind) {
      case KIND_METHOD:
        if (this.method !== '' || (value !== 'GET' && !isToken(value))) return BAD_FIELD;
        this.method = value;
        return FINE;
      case KIND_PATH:
        if (this.hasPath || value === '' || marks !== 0) return BAD_FIELD;
        this.hasPath = true;
        this.path = value;
        return FINE;
      case KIND_AUTHORITY:
        if (this.hasAuthority || !isAuthority(value)) return BAD_FIELD;
        this.hasAuthority = true;
        this.authority = value;
        return FINE;
      case KIND_SCHEME:
        if (this.scheme !== '' || (value !== 'http' && value !== 'https' && !SCHEME.test(value))) return BAD_FIELD;
        this.scheme = value;
        return FINE;
      case KIND_PROTOCOL:
        if (this.protocol !== '' || value === '' || !(this.options as H2Options).allowConnect) return BAD_FIELD;
        this.protocol = value;
        return FINE;
      default:
        return BAD_FIELD;
    }
  }

  /** The block is over: whether its fields make what was expected. */
  finish(): void {
    if (this.problem !== FINE) return;
    if (this.kind === BLOCK_REQUEST && !this.isRequest()) this.problem = BAD_MESSAGE;
    else if (this.kind === BLOCK_RESPONSE && this.status < 0) this.problem = BAD_MESSAGE;
    // Envoy puts the joined crumbs behind all else.
    else if (this.cookie !== null) this.headers.add('cookie', this.cookie);
  }

  private isRequest(): boolean {
    if (this.method === '' || !this.hasAuthority) return false;
    if (this.method === 'CONNECT' && this.protocol === '') return this.scheme === '' && !this.hasPath;
    if (this.protocol !== '' && this.method !== 'CONNECT') return false;
    if (this.scheme === '' || !this.hasPath) return false;
    return this.path.charCodeAt(0) === SLASH || (this.path === '*' && this.method === 'OPTIONS');
  }

  /** The request that the block is; an extended CONNECT in the form that HTTP/1 gives it, as in Envoy. */
  requestHead(wireBytes: number): RequestHead {
    const { headers, protocol } = this;
    if (protocol !== '') {
      headers.add('upgrade', protocol);
      headers.add('connection', 'upgrade');
    }
    return {
      method: protocol === '' ? this.method : 'GET',
      path: this.path,
      authority: this.authority,
      hasAuthority: this.hasAuthority,
      scheme: this.scheme,
      version: 20,
      headers,
      known: protocol === '' ? this.known : this.known | KNOWN_UPGRADE | KNOWN_CONNECTION,
      keepAlive: true,
      upgrade: this.method === 'CONNECT',
      fieldBytes: wireBytes,
      droppedHeaders: this.droppedUnderscores,
    };
  }
}

/** What was found good last: a connection's requests are nearly all for one host. */
let lastAuthority = '';

function isAuthority(value: string): boolean {
  if (value === lastAuthority && value !== '') return true;
  if (!AUTHORITY.test(value)) return false;
  lastAuthority = value;
  return true;
}

function isTrailersOnly(te: string): boolean {
  return te === 'trailers' || te.toLowerCase() === 'trailers';
}
