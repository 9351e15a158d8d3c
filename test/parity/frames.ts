// HTTP/2 as a scenario's client speaks it: frames written byte by byte, and what came back put together by stream.
// Header blocks are decoded by the proxy's own HPACK decoder, which has test vectors of its own.

import { HpackDecoder } from '../../proxy/codec/hpack-decoder.ts';
import type { ObservedMessage } from './types.ts';

const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const WINDOW_UPDATE = 8;
const CONTINUATION = 9;

const END_STREAM = 1;
const ACK = 1;
const END_HEADERS = 4;

const FRAME_HEADER_BYTES = 9;

// === Writing: latin1 text, as scenarios have it ===

export function frame(type: number, flags: number, stream: number, payload = ''): string {
  const head = Buffer.alloc(FRAME_HEADER_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return head.toString('latin1') + payload;
}

/** What opens a connection: the preface and settings. */
export function preface(...settings: readonly (readonly [id: number, value: number])[]): string {
  return `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${frame(SETTINGS, 0, 0, settings.map(([id, value]) => uint(id, 2) + uint(value, 4)).join(''))}`;
}

export function uint(value: number, bytes: number): string {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUIntBE(value, 0, bytes);
  return buffer.toString('latin1');
}

/** Fields, each a literal that enters no table, `name: value`. */
export function block(fields: readonly string[]): string {
  return fields
    .map((field) => {
      const colon = field.indexOf(': ', 1);
      return `\0${text(field.slice(0, colon))}${text(field.slice(colon + 2))}`;
    })
    .join('');
}

function text(value: string): string {
  if (value.length < 127) return String.fromCharCode(value.length) + value;
  let rest = value.length - 127;
  let length = '\x7f';
  for (; rest >= 128; rest >>= 7) length += String.fromCharCode((rest & 127) | 128);
  return length + String.fromCharCode(rest) + value;
}

export function headers(stream: number, fields: readonly string[], endStream = true): string {
  return frame(HEADERS, END_HEADERS | (endStream ? END_STREAM : 0), stream, block(fields));
}

/** A request with the pseudo-headers of most. */
export function ask(
  stream: number,
  path: string,
  more: readonly string[] = [],
  method = 'GET',
  endStream = true,
): string {
  return headers(
    stream,
    [`:method: ${method}`, ':scheme: http', ':authority: a.example', `:path: ${path}`, ...more],
    endStream,
  );
}

export function data(stream: number, payload: string, endStream = false): string {
  return frame(DATA, endStream ? END_STREAM : 0, stream, payload);
}

export function reset(stream: number, code: number): string {
  return frame(RST_STREAM, 0, stream, uint(code, 4));
}

export function ping(): string {
  return frame(PING, 0, 0, 'payload!');
}

export function goaway(lastStream: number, code: number): string {
  return frame(GOAWAY, 0, 0, uint(lastStream, 4) + uint(code, 4));
}

export function windowUpdate(stream: number, bytes: number): string {
  return frame(WINDOW_UPDATE, 0, stream, uint(bytes, 4));
}

/** Answers to the frames that must be answered, which begin at or behind `from`. */
export function replies(text: string, from: number): { readonly reply: string; readonly end: number } {
  let reply = '';
  let at = from;
  for (let next = readFrame(text, at); next !== null; next = readFrame(text, at)) {
    if (next.type === SETTINGS && (next.flags & ACK) === 0) reply += frame(SETTINGS, ACK, 0);
    if (next.type === PING && (next.flags & ACK) === 0) reply += frame(PING, ACK, 0, next.payload);
    at = next.end;
  }
  return { reply, end: at };
}

// === Reading ===

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: string;
  readonly end: number;
}

function readFrame(text: string, at: number): Frame | null {
  if (text.length < at + FRAME_HEADER_BYTES) return null;
  const head = Buffer.from(text.slice(at, at + FRAME_HEADER_BYTES), 'latin1');
  const end = at + FRAME_HEADER_BYTES + head.readUIntBE(0, 3);
  if (text.length < end) return null;
  return {
    type: head[3] ?? 0,
    flags: head[4] ?? 0,
    stream: head.readUInt32BE(5) & 0x7fff_ffff,
    payload: text.slice(at + FRAME_HEADER_BYTES, end),
    end,
  };
}

/** What a stream has received. */
class Received {
  readonly heads: { readonly status: string; readonly fields: string[] }[] = [];
  readonly trailers: string[] = [];
  body = '';
  ended = false;
  reset: number | null = null;

  onFields(fields: string[]): void {
    const status = fields.find((field) => field.startsWith(':status: '))?.slice(9);
    if (status === undefined) this.trailers.push(...fields);
    else this.heads.push({ status, fields: fields.filter((field) => !field.startsWith(':')) });
  }

  /** How it ended, in the form of a body. */
  get text(): string {
    const trailers = this.trailers.length === 0 ? '' : `|${this.trailers.join('; ')}`;
    const end = this.reset !== null ? `<reset ${this.reset}>` : this.ended ? '' : '<open>';
    return `${this.body}${trailers}${end}`;
  }
}

export interface Http2Text {
  /** One message a head, by stream; what concerns the connection last. */
  readonly messages: ObservedMessage[];
  /** Streams that have ended, one way or the other. */
  readonly finals: number;
  readonly rest: string;
}

/**
 * Reads everything that came. Window updates and acknowledgements are left out, as are settings with their default
 * value; of pings and of GOAWAY frames with an error it is told that there were any.
 */
export function readHttp2(text: string): Http2Text {
  const decoder = new HpackDecoder();
  const streams = new Map<number, Received>();
  const connection: string[] = [];
  let pending = '';
  let at = 0;
  for (let next = readFrame(text, at); next !== null; next = readFrame(text, at)) {
    at = next.end;
    const { type, flags, payload } = next;
    if (next.stream === 0) {
      const event = connectionEvent(next);
      if (event !== '' && !connection.includes(event)) connection.push(event);
      continue;
    }
    const stream = streams.get(next.stream) ?? new Received();
    streams.set(next.stream, stream);
    if (type === DATA) stream.body += payload;
    if (type === HEADERS || type === CONTINUATION) {
      pending += payload;
      if ((flags & END_HEADERS) !== 0) {
        stream.onFields(decodeBlock(decoder, pending));
        pending = '';
      }
    }
    if ((type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0) stream.ended = true;
    if (type === RST_STREAM) stream.reset = Buffer.from(payload, 'latin1').readUInt32BE(0);
  }
  return { ...gather(streams, connection), rest: text.slice(at) };
}

function connectionEvent({ type, flags, payload }: Frame): string {
  const bytes = Buffer.from(payload, 'latin1');
  if (type === PING) return (flags & ACK) !== 0 ? 'PING answered' : 'PING';
  if (type === GOAWAY) {
    const code = bytes.readUInt32BE(4);
    return code === 0 ? `GOAWAY ${bytes.readUInt32BE(0)}` : '';
  }
  if (type !== SETTINGS || (flags & ACK) !== 0) return '';
  const settings: string[] = [];
  for (let i = 0; i + 6 <= bytes.length; i += 6) {
    const [id, value] = [bytes.readUInt16BE(i), bytes.readUInt32BE(i + 2)];
    if (DEFAULT_SETTINGS.get(id) !== value) settings.push(`${id}=${value}`);
  }
  return `SETTINGS ${settings.sort().join(' ')}`;
}

const DEFAULT_SETTINGS: ReadonlyMap<number, number> = new Map([
  [1, 4_096],
  [2, 1],
  [4, 65_535],
  [5, 16_384],
  [8, 0],
]);

function decodeBlock(decoder: HpackDecoder, text: string): string[] {
  const fields: string[] = [];
  const bytes = Buffer.from(text, 'latin1');
  const end = decoder.decode(
    bytes,
    0,
    bytes.length,
    { onField: ({ name }, value) => void fields.push(`${name}: ${value}`) },
    true,
  );
  return end === bytes.length ? fields.sort() : ['broken block'];
}

function gather(streams: ReadonlyMap<number, Received>, connection: readonly string[]): Omit<Http2Text, 'rest'> {
  const messages: ObservedMessage[] = [];
  let finals = 0;
  for (const [id, stream] of [...streams].sort(([a], [b]) => a - b)) {
    if (stream.ended || stream.reset !== null) finals++;
    const last = stream.heads.length - 1;
    for (const [i, { status, fields }] of stream.heads.entries())
      messages.push({ line: `stream ${id}: ${status}`, headers: fields, body: i === last ? stream.text : '' });
    if (last < 0) messages.push({ line: `stream ${id}: no head`, headers: [], body: stream.text });
  }
  messages.push({ line: 'connection', headers: [], body: connection.join(', ') });
  return { messages, finals };
}
