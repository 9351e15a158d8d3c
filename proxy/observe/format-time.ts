// Time stamps of `%START_TIME(fmt)%` and its relatives: strftime in the C locale, with Envoy's and Abseil's extensions
// (`%f`, `%3f`, `%s`, `%E3S`, `%Ez`, …). Everything coarser than a second is rendered once per second and kept.

import { ConfigError } from '../util/error.ts';

/** Renders milliseconds since the epoch (with a fraction). */
export type TimeFormatter = (epochMs: number) => string;

/** Calendar fields of one second. */
interface Civil {
  readonly year: number;
  /** 0 to 11. */
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  /** 0 = Sunday. */
  readonly weekday: number;
  /** 0-based. */
  readonly yearDay: number;
  readonly offsetMinutes: number;
  readonly local: boolean;
  readonly epochSeconds: number;
}

type Piece = (civil: Civil) => string;

/** A run of the format: text that changes at most once a second, then digits of the fraction (−1 = all that are set). */
interface Segment {
  readonly pieces: readonly Piece[];
  readonly fractionDigits: number;
  /** `%E*S`: the point is written only when a digit follows. */
  readonly optionalPoint: boolean;
}

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];
const NO_FRACTION = 0;
const ALL_DIGITS = -1;
const NANOSECOND_DIGITS = 9;

const two = (n: number): string => (n < 10 ? `0${n}` : `${n}`);
const spaced = (n: number): string => (n < 10 ? ` ${n}` : `${n}`);
const three = (n: number): string => (n < 10 ? `00${n}` : n < 100 ? `0${n}` : `${n}`);
const twelve = (hour: number): number => (hour % 12 === 0 ? 12 : hour % 12);

function offset(civil: Civil, separator: string): string {
  const minutes = Math.abs(civil.offsetMinutes);
  return `${civil.offsetMinutes < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}${separator}${two(minutes % 60)}`;
}

/** Week of the ISO 8601 calendar and the year it belongs to. */
function isoWeek(c: Civil): { readonly year: number; readonly week: number } {
  const weekday = (c.weekday + 6) % 7;
  const week = Math.floor((c.yearDay - weekday + 10) / 7);
  if (week < 1) return { year: c.year - 1, week: weeksIn(c.year - 1) };
  if (week > weeksIn(c.year)) return { year: c.year + 1, week: 1 };
  return { year: c.year, week };
}

function weeksIn(year: number): number {
  const firstDay = new Date(Date.UTC(year, 0, 1)).getUTCDay();
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  return firstDay === 4 || (leap && firstDay === 3) ? 53 : 52;
}

const day = (c: Civil): string => (DAYS[c.weekday] as string).slice(0, 3);
const month = (c: Civil): string => (MONTHS[c.month] as string).slice(0, 3);
const clock = (c: Civil): string => `${two(c.hour)}:${two(c.minute)}:${two(c.second)}`;
const american = (c: Civil): string => `${two(c.month + 1)}/${two(c.day)}/${two(c.year % 100)}`;

/** Specifiers of strftime(3) in the C locale. */
const PIECES: ReadonlyMap<string, Piece> = new Map<string, Piece>([
  ['a', day],
  ['A', (c) => DAYS[c.weekday] as string],
  ['b', month],
  ['h', month],
  ['B', (c) => MONTHS[c.month] as string],
  ['c', (c) => `${day(c)} ${month(c)} ${spaced(c.day)} ${clock(c)} ${c.year}`],
  ['C', (c) => two(Math.floor(c.year / 100))],
  ['d', (c) => two(c.day)],
  ['D', american],
  ['e', (c) => spaced(c.day)],
  ['F', (c) => `${c.year}-${two(c.month + 1)}-${two(c.day)}`],
  ['g', (c) => two(isoWeek(c).year % 100)],
  ['G', (c) => `${isoWeek(c).year}`],
  ['H', (c) => two(c.hour)],
  ['I', (c) => two(twelve(c.hour))],
  ['j', (c) => three(c.yearDay + 1)],
  ['k', (c) => spaced(c.hour)],
  ['l', (c) => spaced(twelve(c.hour))],
  ['m', (c) => two(c.month + 1)],
  ['M', (c) => two(c.minute)],
  ['p', (c) => (c.hour < 12 ? 'AM' : 'PM')],
  ['P', (c) => (c.hour < 12 ? 'am' : 'pm')],
  ['r', (c) => `${two(twelve(c.hour))}:${two(c.minute)}:${two(c.second)} ${c.hour < 12 ? 'AM' : 'PM'}`],
  ['R', (c) => `${two(c.hour)}:${two(c.minute)}`],
  ['s', (c) => `${c.epochSeconds}`],
  ['S', (c) => two(c.second)],
  ['t', () => '\t'],
  ['T', clock],
  ['u', (c) => `${c.weekday === 0 ? 7 : c.weekday}`],
  ['U', (c) => two(Math.floor((c.yearDay + 7 - c.weekday) / 7))],
  ['V', (c) => two(isoWeek(c).week)],
  ['w', (c) => `${c.weekday}`],
  ['W', (c) => two(Math.floor((c.yearDay + 7 - ((c.weekday + 6) % 7)) / 7))],
  ['x', american],
  ['X', clock],
  ['y', (c) => two(c.year % 100)],
  ['Y', (c) => `${c.year}`],
  ['z', (c) => offset(c, '')],
  ['Z', (c) => (c.local ? localZone(c.epochSeconds) : 'UTC')],
  ['%', () => '%'],
  ['Ez', (c) => offset(c, ':')],
  ['E*z', (c) => `${offset(c, ':')}:00`],
  ['E4Y', (c) => `${c.year}`.padStart(4, '0')],
  ['ET', () => 'T'],
]);

/** Envoy's and Abseil's specifiers: fraction, seconds with a fraction, zone with colons, year of four digits, `T`. */
const EXTENDED = /%(?:([1-9])?f|E(\*|[0-9]{1,2})([Sf])|(E(?:\*z|z|4Y|T)))/y;
/** strftime's: a glibc flag, a width, a modifier that the C locale ignores, a letter. */
const SPECIFIER = /%([-_0^]?)([0-9]{0,2})((?:E(?=[cCxXyY])|O(?=[deHImMSuUVwWy]))?)([A-Za-z%])/y;

/** Gathers pieces of one segment; literal characters are merged. */
class Run {
  readonly pieces: Piece[] = [];
  private literal = '';

  text(characters: string): void {
    this.literal += characters;
  }

  piece(piece: Piece): void {
    this.flush();
    this.pieces.push(piece);
  }

  flush(): void {
    if (this.literal === '') return;
    const text = this.literal;
    this.literal = '';
    this.pieces.push(() => text);
  }
}

function split(format: string): Segment[] {
  const segments: Segment[] = [];
  let run = new Run();
  const close = (fractionDigits: number, optionalPoint: boolean): void => {
    run.flush();
    segments.push({ pieces: run.pieces, fractionDigits, optionalPoint });
    run = new Run();
  };
  for (let at = 0; at < format.length; ) {
    EXTENDED.lastIndex = at;
    const extended = EXTENDED.exec(format);
    if (extended !== null) {
      at += extended[0].length;
      const [, width, precision, kind, named] = extended;
      if (named !== undefined) {
        run.piece(PIECES.get(named) as Piece);
        continue;
      }
      const digits = precision === '*' ? ALL_DIGITS : Number(precision ?? width ?? NANOSECOND_DIGITS);
      if (kind === 'S') run.piece((c) => two(c.second));
      if (kind === 'S' && digits > 0) run.text('.');
      close(digits, kind === 'S' && digits === ALL_DIGITS);
      continue;
    }
    SPECIFIER.lastIndex = at;
    const found = SPECIFIER.exec(format);
    if (found === null) {
      run.text(format[at++] as string);
      continue;
    }
    at += found[0].length;
    const [whole, flag = '', width = '', , letter = ''] = found;
    const piece = PIECES.get(letter);
    // An unknown specifier is written as it stands, as strftime of glibc does.
    if (piece === undefined) run.text(whole.padStart(Number(width)));
    else run.piece(flag === '' && width === '' ? piece : adjusted(piece, flag, Number(width)));
  }
  close(NO_FRACTION, false);
  return segments;
}

/** glibc's flags: `-` no padding, `_` spaces, `0` zeros, `^` upper case; and a least width. */
function adjusted(piece: Piece, flag: string, width: number): Piece {
  return (civil) => {
    const text = piece(civil);
    const number = /^[ 0]*([0-9]+)$/.exec(text);
    if (number === null) return (flag === '^' ? text.toUpperCase() : text).padStart(width, flag === '0' ? '0' : ' ');
    const bare = text.replace(/^[ 0]+(?=[0-9])/, '');
    if (flag === '-') return bare.padStart(width);
    const fill = flag === '_' || (flag !== '0' && text.startsWith(' ')) ? ' ' : '0';
    return bare.padStart(Math.max(width, text.length), fill);
  };
}

function civilOf(epochSeconds: number, local: boolean): Civil {
  const date = new Date(epochSeconds * 1000);
  const offsetMinutes = local ? -date.getTimezoneOffset() : 0;
  const shifted = local ? new Date((epochSeconds + offsetMinutes * 60) * 1000) : date;
  const year = shifted.getUTCFullYear();
  const dayMs = 86_400_000;
  return {
    year,
    month: shifted.getUTCMonth(),
    day: shifted.getUTCDate(),
    hour: shifted.getUTCHours(),
    minute: shifted.getUTCMinutes(),
    second: shifted.getUTCSeconds(),
    weekday: shifted.getUTCDay(),
    yearDay: Math.floor((shifted.getTime() - Date.UTC(year, 0, 1)) / dayMs),
    offsetMinutes,
    local,
    epochSeconds,
  };
}

/** Only `%Z` pays for this: loading the zone names takes tens of milliseconds. */
function localZone(epochSeconds: number): string {
  const date = new Date(epochSeconds * 1000);
  const parts = new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' }).formatToParts(date);
  return parts.find((part) => part.type === 'timeZoneName')?.value ?? '';
}

function fraction(epochMs: number, seconds: number, segment: Segment): string {
  // A double holds today's time to a quarter of a microsecond, so microseconds are as fine as it gets; Envoy's clock too.
  const micros = Math.min(999_999, Math.round((epochMs - seconds * 1000) * 1e3));
  const all = `${micros}000`.padStart(NANOSECOND_DIGITS, '0');
  if (segment.fractionDigits !== ALL_DIGITS)
    return all.slice(0, segment.fractionDigits).padEnd(segment.fractionDigits, '0');
  const trimmed = all.replace(/0+$/, '');
  return segment.optionalPoint && trimmed !== '' ? `.${trimmed}` : trimmed;
}

/**
 * Compiles a strftime format.
 * @param format as in `%START_TIME(format)%`; empty = `%Y-%m-%dT%H:%M:%E3SZ` (in local time `%z` instead of `Z`)
 * @param local the process's time zone instead of UTC
 * @throws ConfigError when the text would span lines
 */
export function compileTime(format: string, local: boolean): TimeFormatter {
  if (format === '' && !local) return formatIsoMs;
  if (/%E?[0-9]*n|\n/.test(format)) {
    throw new ConfigError('Invalid header configuration. Format string contains newline.');
  }
  const segments = split(format === '' ? '%Y-%m-%dT%H:%M:%E3S%z' : format);
  const rendered: string[] = segments.map(() => '');
  let current = Number.NaN;
  return (epochMs) => {
    const seconds = Math.floor(epochMs / 1000);
    if (seconds !== current) {
      current = seconds;
      const civil = civilOf(seconds, local);
      for (let i = 0; i < segments.length; i++) {
        let text = '';
        for (const piece of (segments[i] as Segment).pieces) text += piece(civil);
        rendered[i] = text;
      }
    }
    let out = '';
    for (let i = 0; i < segments.length; i++) {
      const segment = segments[i] as Segment;
      out += rendered[i];
      if (segment.fractionDigits !== NO_FRACTION) out += fraction(epochMs, seconds, segment);
    }
    return out;
  };
}

let isoSecond = Number.NaN;
let isoText = '';

/** `2026-01-02T03:04:05.678Z`, Envoy's default time stamp; the part up to the second is kept between calls. */
export function formatIsoMs(epochMs: number): string {
  const seconds = Math.floor(epochMs / 1000);
  if (seconds !== isoSecond) {
    isoSecond = seconds;
    isoText = new Date(seconds * 1000).toISOString().slice(0, 20);
  }
  return `${isoText}${three(Math.floor(epochMs) - seconds * 1000)}Z`;
}
