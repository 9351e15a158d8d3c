// Line formats of the process log: the spdlog pattern language as Envoy knows it (`--log-format`), compiled once.

import type { JsonObject, JsonValue } from '../config/model/common.ts';
import { ConfigError } from '../util/error.ts';
import { compileTime, type TimeFormatter } from './format-time.ts';

/** One message, as a pattern sees it. */
export interface LogRecord {
  readonly timeMs: number;
  readonly component: string;
  /** Full name: `warning`. */
  readonly level: string;
  readonly message: string;
  readonly threadId: number;
  /** `proxy/server/worker.ts`; empty when the pattern asks for no location. */
  readonly file: string;
  readonly line: number;
  readonly functionName: string;
}

/** Renders one line without its end. */
export type LogPattern = ((record: LogRecord) => string) & { readonly needsLocation: boolean };

/** Envoy's default. */
export const DEFAULT_LOG_FORMAT = '[%Y-%m-%d %T.%e][%t][%l][%n] [%g:%#] %v';

type Piece = (record: LogRecord) => string;

const ESCAPES: { readonly [character: string]: string } = {
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\f': '\\f',
  '\b': '\\b',
  '\x07': '\\a',
  '\\': '\\\\',
  "'": "\\'",
  '"': '\\"',
};

/** C escapes of control characters, quotes and backslashes (`--log-format-escaped`). */
function escapeC(text: string): string {
  return text.replace(/[\n\r\t\v\f\b\x07\\'"]/g, (character) => ESCAPES[character] as string);
}

/** `%_`: line ends only. */
function escapeNewlines(text: string): string {
  return text.replaceAll('\n', '\\n');
}

function escapeJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** Flags that strftime has under the same letter, in local time. */
const TIME_FLAGS = 'aAbBhcdDHIMmpRSTXYr';
const LOCATION_FLAGS = 'sg#!@';

const FLAGS: ReadonlyMap<string, Piece> = new Map<string, Piece>([
  // Envoy writes line ends in messages as they are; here a message stays one line.
  ['v', (r) => escapeNewlines(r.message)],
  ['_', (r) => escapeNewlines(r.message)],
  ['j', (r) => escapeJson(r.message)],
  ['+', (r) => escapeNewlines(r.message)],
  // Tags are not written into our messages.
  ['*', () => ''],
  ['l', (r) => r.level],
  ['L', (r) => (r.level[0] as string).toUpperCase()],
  ['n', (r) => r.component],
  ['t', (r) => `${r.threadId}`],
  ['P', () => `${process.pid}`],
  ['s', (r) => r.file.slice(r.file.lastIndexOf('/') + 1)],
  ['g', (r) => r.file],
  ['#', (r) => `${r.line}`],
  ['!', (r) => r.functionName],
  ['@', (r) => `${r.file}:${r.line}`],
  ['%', () => '%'],
  // Colours are for terminals that spdlog knows of; Envoy's are off when written to a file or pipe.
  ['^', () => ''],
  ['$', () => ''],
  // The character behind the percent sign, as spdlog does for `%&`: nothing.
  ['&', () => ''],
  ['C', timePiece('%y')],
  ['e', timePiece('%3f')],
  ['f', timePiece('%6f')],
  ['F', timePiece('%9f')],
  ['E', timePiece('%s')],
  ['z', timePiece('%Ez')],
  ...[...TIME_FLAGS].map((flag): [string, Piece] => [flag, timePiece(`%${flag}`)]),
]);

function timePiece(format: string): Piece {
  let time: TimeFormatter | null = null;
  return (record) => {
    time ??= compileTime(format, true);
    return time(record.timeMs);
  };
}

/** `%-8l`: alignment, width, `!` to cut, flag. */
const FLAG = /%([-=]?)([0-9]{1,2})?(!(?=.))?(.)/suy;
const WIDTH_MAX = 64;

function padded(piece: Piece, align: string, width: number, cutLonger: boolean): Piece {
  return (record) => {
    const text = piece(record);
    if (text.length >= width) return cutLonger ? text.slice(0, width) : text;
    if (align === '-') return text.padEnd(width);
    if (align === '=') return text.padStart(width - Math.ceil((width - text.length) / 2)).padEnd(width);
    return text.padStart(width);
  };
}

/**
 * Compiles a pattern.
 * @param escaped messages are written with C escapes
 */
export function compileLogPattern(pattern: string, escaped: boolean): LogPattern {
  const pieces: Piece[] = [];
  let needsLocation = false;
  let literal = '';
  const flush = (): void => {
    if (literal === '') return;
    const text = literal;
    pieces.push(() => text);
    literal = '';
  };
  for (let at = 0; at < pattern.length; ) {
    FLAG.lastIndex = at;
    const found = FLAG.exec(pattern);
    if (found === null) {
      literal += pattern[at++];
      continue;
    }
    at += found[0].length;
    const [whole, align = '', width, cut, flag = ''] = found;
    const piece = width === undefined && cut !== undefined ? FLAGS.get('!') : FLAGS.get(flag);
    if (width === undefined && cut !== undefined) at -= flag.length;
    if (piece === undefined) {
      // spdlog writes unknown flags as they stand.
      literal += whole;
      continue;
    }
    flush();
    if (LOCATION_FLAGS.includes(flag) || cut !== undefined) needsLocation = true;
    const shown: Piece = flag === 'v' && escaped ? (record) => escapeC(record.message) : piece;
    pieces.push(
      width === undefined ? shown : padded(shown, align, Math.min(Number(width), WIDTH_MAX), cut !== undefined),
    );
  }
  flush();
  const render = (record: LogRecord): string => {
    let line = '';
    for (const piece of pieces) line += piece(record);
    return line;
  };
  return Object.assign(render, { needsLocation });
}

/**
 * Compiles `application_log_config.log_format.json_format`; messages go in as `%j`.
 * @throws ConfigError for flags that would break the JSON
 */
export function compileJsonLogPattern(format: JsonObject): LogPattern {
  for (const flag of ['%v', '%_']) {
    if (strings(format).some((text) => text.replaceAll('%%', '').includes(flag))) {
      throw new ConfigError(
        `setJsonLogFormat error: INVALID_ARGUMENT: Usage of ${flag} is unavailable for JSON log formats`,
      );
    }
  }
  return compileLogPattern(JSON.stringify(format), false);
}

function strings(value: JsonValue): string[] {
  if (typeof value === 'string') return [value];
  if (value === null || typeof value !== 'object') return [];
  return Object.values(value).flatMap(strings);
}
