// Matchers of heads, compiled: pseudo-headers, headers and cookies (Envoy: config.route.v3.HeaderMatcher).

import { HeaderMap } from '../codec/headers.ts';
import type { HeaderMatchModel } from '../config/model/headers.ts';
import type { TextMatch } from './regex.ts';
import { compileStringMatch } from './string.ts';

/** What stands before the headers of a request; empty = it is not there. */
export interface RequestLine {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  /** There is one, without a character. */
  readonly authorityIsEmpty: boolean;
  readonly scheme: string;
}

/** Of heads that are no request's. */
const NO_REQUEST_LINE: RequestLine = Object.freeze({
  method: '',
  path: '',
  authority: '',
  authorityIsEmpty: false,
  scheme: '',
});

/** Reads a header; `null` = it is not there. */
export type HeaderRead = (line: RequestLine, headers: HeaderMap) => string | null;

/** Whether a head is as wanted. */
export type HeadMatch = (line: RequestLine, headers: HeaderMap) => boolean;

/** Reads a header, or the field behind a pseudo-header; values of a repeated one are joined. */
export function compileHeaderRead(name: string): HeaderRead {
  switch (name) {
    case ':method':
      return (line) => (line.method === '' ? null : line.method);
    case ':path':
      return (line) => (line.path === '' ? null : line.path);
    case ':authority':
    case 'host':
      return (line) => (line.authority === '' && !line.authorityIsEmpty ? null : line.authority);
    case ':scheme':
      return (line) => (line.scheme === '' ? null : line.scheme);
    default:
      return (_line, headers) => headers.getJoined(name);
  }
}

/** Reads a header as `compileHeaderRead` does, of a repeated one its first value. */
export function compileFirstRead(name: string): HeaderRead {
  return isPlainName(name) ? (_line, headers) => headers.get(name) : compileHeaderRead(name);
}

/** Compiles one header matcher. */
export function compileHeaderMatch(model: HeaderMatchModel): HeadMatch {
  const read = compileHeaderRead(model.name);
  const { match, invert, treatMissingAsEmpty } = model;
  if (match.kind === 'present') {
    const wanted = match.present !== invert;
    return (line, headers) => {
      const there = treatMissingAsEmpty || read(line, headers) !== null;
      return there === wanted;
    };
  }
  const holds = match.kind === 'range' ? rangeMatch(match.start, match.end) : compileStringMatch(match.string);
  const { name } = model;
  if (!isPlainName(name)) {
    return (line, headers) => {
      const value = read(line, headers) ?? (treatMissingAsEmpty ? '' : null);
      return value !== null && holds(value) !== invert;
    };
  }
  // Of a repeated header each value is tried by itself, never the joined list. An absent one matches nothing: also not
  // the inverse of a value match.
  return (_line, headers) => {
    const { names, values } = headers;
    let at = names.indexOf(name);
    if (at < 0) return treatMissingAsEmpty && holds('') !== invert;
    for (; at >= 0; at = names.indexOf(name, at + 1)) if (holds(values[at] as string)) return !invert;
    return invert;
  };
}

/** A matcher of an answer's head, which has one pseudo-header; that stands beside the others here. */
export function compileAnswerMatch(model: HeaderMatchModel): (status: number, headers: HeaderMap) => boolean {
  if (!model.name.startsWith(':')) {
    const matches = compileHeaderMatch(model);
    return (_status, headers) => matches(NO_REQUEST_LINE, headers);
  }
  const matches = compileHeaderMatch({ ...model, name: model.name.slice(1) });
  const pseudo = new HeaderMap();
  return (status) => {
    pseudo.set('status', `${status}`);
    return matches(NO_REQUEST_LINE, pseudo);
  };
}

function isPlainName(name: string): boolean {
  return name !== 'host' && name.charCodeAt(0) !== COLON;
}

function rangeMatch(start: number, end: number): TextMatch {
  return (text) => {
    if (!/^[+-]?\d+$/.test(text)) return false;
    const value = Number(text);
    return value >= start && value < end;
  };
}

/** The first cookie of the name, without quotes around it; `null` = there is none. */
export function cookieValue(headers: HeaderMap, name: string): string | null {
  const { names, values } = headers;
  for (let at = names.indexOf('cookie'); at >= 0; at = names.indexOf('cookie', at + 1)) {
    for (const part of (values[at] as string).split(';')) {
      const pair = part.trim();
      if (pair.startsWith(name) && pair.charCodeAt(name.length) === EQUALS) return unquote(pair.slice(name.length + 1));
    }
  }
  return null;
}

function unquote(value: string): string {
  const quoted = value.length >= 2 && value.charCodeAt(0) === QUOTE && value.charCodeAt(value.length - 1) === QUOTE;
  return quoted ? value.slice(1, -1) : value;
}

/** Whether a content type is gRPC's: `application/grpc`, alone or with a suffix. Parameters make another one, as in Envoy. */
export function isGrpcContentType(contentType: string | null): boolean {
  if (contentType === null || !contentType.startsWith(GRPC)) return false;
  return contentType.length === GRPC.length || contentType.charCodeAt(GRPC.length) === PLUS;
}

const GRPC = 'application/grpc';
const COLON = 0x3a;
const EQUALS = 0x3d;
const PLUS = 0x2b;
const QUOTE = 0x22;
