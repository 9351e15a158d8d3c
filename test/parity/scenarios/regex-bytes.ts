// Regular expressions work on bytes: no sequence of UTF-8 is one character to them.

import { bootstrap, get, http, routes } from '../config.ts';
import type { Group } from '../types.ts';

const PATTERNS = [
  'caf.',
  'caf..',
  '.*',
  '[^a]',
  '(?i)É',
  '[à-é]',
  'é+',
  '\\W',
  '\\W\\W',
  '\\D',
  '\\S+',
  '.{2}',
  '\\pL',
  '[[:alpha:]]',
  '\\x{e9}',
  '\\bé',
  '[^\\x00-\\x7f]',
  '(?i)straße',
  '(?i)k',
  '(é|ã)',
];
/** As UTF-8; the last ones are none. */
const VALUES = ['café', 'é', 'É', 'éé', '€', 'α', 'aé', 'straße', 'STRASSE', '\u212a', 'k', '\x80'].map((text) =>
  Buffer.from(text).toString('latin1'),
);
const INVALID = ['caf\xe9', '\xe9', '\xc3', 'a\xff', '\xed\xa0\x80', '\xc0\x80', 'a\xc3\xa9\xff'];

export const regexBytes: Group = {
  name: 'regex-bytes',
  listeners: ['main'],
  upstreams: [],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        http(
          ports,
          log,
          'main',
          routes([
            ...PATTERNS.map((regex, i) => ({
              match: { prefix: `/${i}/`, headers: [{ name: 'x-h', string_match: { safe_regex: { regex } } }] },
              direct_response: { status: 200 },
            })),
            { match: { prefix: '/' }, direct_response: { status: 204 } },
          ]),
          { access_log: [] },
        ),
      ],
      [],
    ),
  // Who matched is told by the status.
  scenarios: PATTERNS.map((pattern, i) => ({
    name: pattern,
    client: [...VALUES, ...INVALID].flatMap((value, k) => [get(`/${i}/`, `x-h: ${value}`), { answers: k + 1 }]),
  })),
};
