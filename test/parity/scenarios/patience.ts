// What is read too early, too often or too much: bytes behind an upgrade, interim responses, settings.

import { answer, bootstrap, cluster, get, http, routes, STATS, to } from '../config.ts';
import { ask, data, frame, headers, preface, uint } from '../frames.ts';
import type { Group, Scenario, UpstreamScript } from '../types.ts';

const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n';
const UPGRADE = get('/ws', 'upgrade: websocket', 'connection: upgrade');
const EXTENDED = [':method: CONNECT', ':protocol: websocket', ':scheme: http', ':authority: a.example', ':path: /ws'];
/** An upstream that does not switch could take it for a request. */
const HIDDEN = 'GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n';
/** The head that the upstream gets, whatever came to the proxy. */
const HEAD_BYTES = 194;

const LISTENERS: Readonly<Record<string, object>> = {
  main: {
    delayed_close_timeout: '0.1s',
    upgrade_configs: [{ upgrade_type: 'websocket' }],
    http2_protocol_options: { allow_connect: true },
  },
  continuing: { proxy_100_continue: true },
};

type Steps = NonNullable<UpstreamScript['raw']>;
const http1 = (name: string, steps: Steps): Scenario => ({
  name: `HTTP/1: ${name}`,
  client: [UPGRADE + HIDDEN],
  upstreams: { a: { raw: [{ read: HEAD_BYTES }, { waitMs: 60 }, ...steps] } },
});
const http2 = (name: string, steps: Steps): Scenario => ({
  ...http1(name, steps),
  name: `HTTP/2: ${name}`,
  http2: 'polite',
  client: [preface() + headers(1, EXTENDED, false) + data(1, HIDDEN)],
});

function interims(name: string, listener: string, ...heads: readonly string[]): Scenario[] {
  const replies = [[heads.map((head) => `HTTP/1.1 ${head}\r\n\r\n`).join('') + answer('200 OK', [], 'final')]];
  const scenario = { listener, upstreams: { a: { replies } } };
  return [
    { ...scenario, name: `HTTP/1: ${name}`, client: [get('/')] },
    { ...scenario, name: `HTTP/2: ${name}`, http2: 'polite', client: [preface() + ask(1, '/')] },
  ];
}

const INITIAL_WINDOW_SIZE = 4;
const window = (bytes: number): readonly [number, number] => [INITIAL_WINDOW_SIZE, bytes];
function settings(name: string, first: number, later: number): Scenario {
  const more = frame(INITIAL_WINDOW_SIZE, 0, 0, `${uint(INITIAL_WINDOW_SIZE, 2)}${uint(65_535, 4)}`.repeat(later));
  return {
    name,
    http2: 'polite',
    client: [preface(...Array.from({ length: first }, (_, i) => window(60_000 + i))) + more + ask(1, '/')],
    // Those that are too many end the connection.
    answers: Math.max(first, later) > 32 ? 0 : 1,
  };
}

export const patience: Group = {
  name: 'patience',
  listeners: Object.keys(LISTENERS),
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      Object.entries(LISTENERS).map(([name, manager]) => http(ports, log, name, routes([to('/', 'a')]), manager)),
      [cluster('a', [ports['a']])],
    ),
  stats: STATS,
  scenarios: [
    ...[http1, http2].flatMap((ask) => [
      ask('the upstream never answers the upgrade', [{ close: 'full' }]),
      ask('the upstream answers something else', [answer('200 OK', [], 'no'), { close: 'fin' }]),
      ask('the upstream refuses', [answer('403 Forbidden', [], 'no'), { close: 'fin' }]),
      ask('the upstream hints first', ['HTTP/1.1 103 Early Hints\r\n\r\n', { waitMs: 60 }, { close: 'full' }]),
      ask('the upstream agrees', [SWITCH, { read: HEAD_BYTES + HIDDEN.length }, { close: 'full' }]),
    ]),
    ...interims(
      'two hints: the first is passed on',
      'main',
      '103 Early Hints\r\nlink: a',
      '103 Early Hints\r\nlink: b',
    ),
    ...interims('a hint, then to continue', 'continuing', '103 Early Hints\r\nlink: a', '100 Continue'),
    ...interims('to continue, then a hint', 'continuing', '100 Continue', '103 Early Hints\r\nlink: a'),
    ...interims('processing, then a hint', 'main', '102 Processing', '103 Early Hints\r\nlink: a'),
    ...interims(
      'to continue, which nobody passes on, then a hint',
      'main',
      '100 Continue',
      '103 Early Hints\r\nlink: a',
    ),
    ...['main', 'continuing'].flatMap((listener): Scenario[] => [
      {
        name: `a hint, and the end: ${listener}`,
        listener,
        client: [get('/')],
        upstreams: { a: { replies: [['HTTP/1.1 103 Early Hints\r\n\r\n', { waitMs: 30 }, { close: 'full' }]] } },
      },
      {
        name: `a hint, and something else: ${listener}`,
        listener,
        client: [get('/')],
        upstreams: { a: { replies: [['HTTP/1.1 103 Early Hints\r\n\r\n', { waitMs: 30 }, 'nonsense\r\n']] } },
      },
    ]),
    settings('32 settings in the first frame', 32, 1),
    settings('33 settings in the first frame', 33, 1),
    settings('32 settings in a later frame', 1, 32),
    settings('33 settings in a later frame', 1, 33),
  ],
};
