// Ends of HTTP/2 streams seen from both sides: answers that come before the rest of their request, and peers that leave
// while the end of an answer waits for their window.

import { bootstrap, cluster, http, routes, STATS, to } from '../config.ts';
import { ask, data, headers, preface, reset, windowUpdate } from '../frames.ts';
import type { ClientStep, Group, Scenario, UpstreamScript } from '../types.ts';

const WINDOW = 4;
/** Long enough for what must not happen, and for both to have read what was sent. */
const PAUSE_MS = 80;
const CANCEL = 8;
const NO_ERROR = 0;

const BODY = '0123456789'.repeat(4);
const DIRECT = { status: 200, body: { inline_string: BODY } };
const ROUTES = routes([
  { match: { prefix: '/direct' }, direct_response: DIRECT },
  { match: { prefix: '/empty' }, direct_response: { status: 204 } },
  to('/', 'a'),
]);
const WHOLE: UpstreamScript = { replies: [[`HTTP/1.1 200 OK\r\ncontent-length: ${BODY.length}\r\n\r\n${BODY}`]] };
const PART: UpstreamScript = { replies: [[`HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n${BODY}`]] };
const EARLY: UpstreamScript = { ...WHOLE, early: true };

const post = (path: string): string => ask(1, path, [], 'POST', false);
const OPEN = preface();
const SMALL = preface([WINDOW, 10]);
const early = (name: string, ...client: ClientStep[]): Scenario => ({
  name,
  http2: 'polite',
  answers: 1,
  client,
  upstreams: { a: EARLY },
});

const LEAVINGS: readonly (readonly [name: string, step: ClientStep])[] = [
  ['says that it is done', { close: 'fin' }],
  ['closes', { close: 'full' }],
  ['breaks off', { close: 'reset' }],
  ['cancels', reset(1, CANCEL)],
  ['resets without error', reset(1, NO_ERROR)],
];
const leaving = (what: string, path: string, script: UpstreamScript): readonly Scenario[] =>
  LEAVINGS.map(([name, step]) => ({
    name: `${what}, the client ${name}`,
    http2: 'polite',
    answers: 0,
    client: [SMALL + ask(1, path), { waitMs: PAUSE_MS }, step, { waitMs: PAUSE_MS }, { close: 'fin' }],
    upstreams: { a: script },
  }));

export const http2Ends: Group = {
  name: 'http2-ends',
  listeners: ['main'],
  upstreams: ['a'],
  bootstrap: (ports, log) => bootstrap(ports, [http(ports, log, 'main', ROUTES)], [cluster('a', [ports['a']])]),
  stats: STATS,
  scenarios: [
    early('answer and body in one read', OPEN + post('/direct') + data(1, 'x', true)),
    early('answer without body, and body in one read', OPEN + post('/empty') + data(1, 'x', true)),
    early('answer and trailers in one read', OPEN + post('/direct') + data(1, 'x') + headers(1, ['x-t: 1'])),
    early('answer, and the body in two frames', OPEN + post('/direct') + data(1, 'x') + data(1, 'y', true)),
    early('answer, and some of the body', OPEN + post('/direct') + data(1, 'x'), { waitMs: PAUSE_MS }),
    early('answer, and the body later', OPEN + post('/direct'), { waitMs: PAUSE_MS }, data(1, 'x', true)),
    early('two answers in one read', OPEN + post('/direct') + ask(3, '/direct') + data(1, 'x', true), { answers: 2 }),
    early(
      'answer that waits for a window, and body',
      SMALL + post('/direct') + data(1, 'x', true),
      windowUpdate(1, 99),
    ),
    early('an early answer of the upstream', OPEN + post('/') + data(1, 'x'), { waitMs: PAUSE_MS }),
    ...leaving('whole answer', '/', WHOLE),
    ...leaving('whole local answer', '/direct', WHOLE),
    ...leaving('part of an answer', '/', PART),
  ],
};
