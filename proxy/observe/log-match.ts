// Header and string matchers of access-log filters. The data path's matchers live with the routes; a filter of a log is
// rare and reads the stream info, so these favour being small: regular expressions run on `re2js` itself.

import { createRequire } from 'node:module';
import type { HeaderMap } from '../codec/headers.ts';
import type { StringMatchModel } from '../config/model/common.ts';
import type { HeaderMatchModel } from '../config/model/headers.ts';
import { isInlineRequestHeader } from './inline-headers.ts';
import type { StreamInfo } from './stream-info.ts';

type Re2Module = typeof import('re2js');
let re2: Re2Module | null = null;

/** Compiles a string matcher; a regular expression must match in full. */
export function compileStringTest(model: StringMatchModel): (text: string) => boolean {
  const want = model.value;
  if (model.kind === 'regex') {
    re2 ??= createRequire(import.meta.url)('re2js') as Re2Module;
    const pattern = re2.RE2JS.compile(want, model.ignoreCase ? re2.RE2JS.CASE_INSENSITIVE : 0);
    return (text) => pattern.matches(text);
  }
  const test = plainTest(model.kind, want);
  return model.ignoreCase ? (text) => test(lowerAscii(text)) : test;
}

function plainTest(kind: 'exact' | 'prefix' | 'suffix' | 'contains', want: string): (text: string) => boolean {
  switch (kind) {
    case 'exact':
      return (text) => text === want;
    case 'prefix':
      return (text) => text.startsWith(want);
    case 'suffix':
      return (text) => text.endsWith(want);
    case 'contains':
      return (text) => text.includes(want);
  }
}

/** Folds A–Z only: bytes beyond ASCII have no case here. */
function lowerAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** Compiles a matcher on a request header (pseudo-headers from the fields of the stream). */
export function compileHeaderTest(model: HeaderMatchModel): (info: StreamInfo) => boolean {
  const { name, match, invert, treatMissingAsEmpty } = model;
  if (match.kind === 'present') {
    const want = match.present !== invert;
    return (info) => (headerOf(info, name) !== null || treatMissingAsEmpty) === want;
  }
  const test = match.kind === 'range' ? rangeTest(match.start, match.end) : compileStringTest(match.string);
  const single = name[0] === ':' || name === 'host' || isInlineRequestHeader(name);
  return (info) => {
    const value = headerOf(info, name);
    // A missing header matches nothing, inverted or not.
    if (value === null) return treatMissingAsEmpty && test('') !== invert;
    return (single ? test(value) : anyValue(info, name, test)) !== invert;
  };
}

/** A repeated header matches when one of its values does. */
function anyValue(info: StreamInfo, name: string, test: (text: string) => boolean): boolean {
  const headers = info.requestHeaders as HeaderMap;
  for (let i = headers.names.indexOf(name); i >= 0; i = headers.names.indexOf(name, i + 1)) {
    if (test(headers.values[i] as string)) return true;
  }
  return false;
}

function rangeTest(start: number, end: number): (text: string) => boolean {
  return (text) => {
    if (!/^[+-]?[0-9]{1,19}$/.test(text)) return false;
    const value = Number(text);
    return value >= start && value < end;
  };
}

function headerOf(info: StreamInfo, name: string): string | null {
  switch (name) {
    case ':method':
      return info.method === '' ? null : info.method;
    case ':path':
      return info.path === '' ? null : info.path;
    case ':authority':
    case 'host':
      return info.authority === '' && !info.authorityIsEmpty ? null : info.authority;
    case ':scheme':
      return info.scheme === '' ? null : info.scheme;
    default:
      return info.requestHeaders === null ? null : info.requestHeaders.getJoined(name);
  }
}
