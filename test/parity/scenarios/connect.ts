// CONNECT that ends here, with and without a PROXY header, and CONNECT that is passed on, over HTTP/1 and HTTP/2.

import { bootstrap, cluster, fileLog, http, routes, to } from '../config.ts';
import { data, headers, preface } from '../frames.ts';
import type { Group, Http2Action, Scenario, UpstreamScript } from '../types.ts';

const OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const HTTP2 = {
  typed_extension_protocol_options: {
    [OPTIONS]: {
      '@type': `type.googleapis.com/${OPTIONS}`,
      explicit_http_config: { http2_protocol_options: { allow_connect: true } },
    },
  },
};

const CONNECT = 'CONNECT a.example:80 HTTP/1.1\r\nhost: a.example:80\r\n\r\n';
const CONNECT2 = preface() + headers(1, [':method: CONNECT', ':authority: a.example:80'], false);
const AGREED = 'HTTP/1.1 200 OK\r\n\r\n';

const ends = (connect_config: object): object => ({
  upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config }],
});
const tunnelTo = (name: string, action: object = {}): readonly object[] => [
  { match: { connect_matcher: {} }, route: { cluster: name, ...action } },
  to('/', name, action),
];

/** Routes by listener. */
const LISTENERS: Readonly<Record<string, readonly object[]>> = {
  main: tunnelTo('a', ends({})),
  v1: tunnelTo('a', ends({ proxy_protocol_config: {} })),
  v2: tunnelTo('a', ends({ proxy_protocol_config: { version: 'V2' } })),
  post: tunnelTo('a', ends({ allow_post: true, proxy_protocol_config: { version: 'V1' } })),
  refused: tunnelTo('dead', ends({})),
  again: tunnelTo('dead', { ...ends({}), retry_policy: { retry_on: 'connect-failure' } }),
  off: tunnelTo('a', { upgrade_configs: [{ upgrade_type: 'CONNECT', connect_config: {}, enabled: false }] }),
  idle: tunnelTo('a', { ...ends({}), idle_timeout: '0.4s' }),
  on1: tunnelTo('a', { upgrade_configs: [{ upgrade_type: 'CONNECT' }] }),
  on2: tunnelTo('b', { upgrade_configs: [{ upgrade_type: 'CONNECT' }] }),
};

const raw = (...steps: NonNullable<UpstreamScript['raw']>): Readonly<Record<string, UpstreamScript>> => ({
  a: { raw: steps },
});
const http2 = (...replies: (readonly Http2Action[])[]): Readonly<Record<string, UpstreamScript>> => ({
  b: { http2: { early: true, replies } },
});
/** The same client over HTTP/2. */
const over2 = (name: string, extra: Partial<Scenario>): Scenario => ({
  name: `HTTP/2: ${name}`,
  http2: 'polite',
  client: [],
  ...extra,
});

const TERMINATED: readonly Scenario[] = [
  {
    name: 'bytes both ways',
    client: [CONNECT, { answers: 1 }, 'ping', { bytes: 80 }, { waitMs: 20 }, { close: 'full' }],
    answers: 0,
    upstreams: raw({ read: 4 }, 'pong'),
  },
  {
    name: 'bytes right behind the request',
    client: [`${CONNECT}ping`, { upstreamSaw: 4 }, { waitMs: 20 }, { close: 'full' }],
    answers: 0,
    upstreams: raw({ read: 4 }, 'pong'),
  },
  { name: 'the host speaks and ends', client: [CONNECT], answers: 0, upstreams: raw('hello', { close: 'full' }) },
  {
    name: 'the host ends and would still read',
    client: [CONNECT, { bytes: 60 }, { waitMs: 20 }, 'late'],
    answers: 0,
    upstreams: raw('hello', { close: 'fin' }),
  },
  {
    name: 'the host resets',
    client: [`${CONNECT}x`],
    answers: 0,
    upstreams: raw({ read: 1 }, { waitMs: 20 }, { close: 'reset' }),
  },
  {
    name: 'the client half-closes',
    client: [`${CONNECT}x`, { upstreamSaw: 1 }, { waitMs: 20 }, { close: 'fin' }],
    answers: 0,
    upstreams: raw({ read: 1 }),
  },
  { name: 'nobody listens', listener: 'refused', client: [CONNECT] },
  { name: 'nobody listens, twice', listener: 'again', client: [CONNECT] },
  { name: 'not enabled', listener: 'off', client: [CONNECT] },
  { name: 'an ordinary request beside it', client: ['GET / HTTP/1.1\r\nhost: a\r\n\r\n'] },
  {
    name: 'a PROXY header',
    listener: 'v1',
    client: [`${CONNECT}ping`, { upstreamSaw: 40 }, { waitMs: 20 }, { close: 'full' }],
    answers: 0,
    upstreams: raw({ read: 100 }),
  },
  {
    name: 'POST',
    listener: 'post',
    client: ['POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nping'],
    answers: 0,
    upstreams: raw({ read: 60 }, 'pong', { close: 'full' }),
  },
  {
    name: 'POST where only CONNECT ends here',
    client: ['POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nping'],
  },
  { name: 'idle', listener: 'idle', client: [`${CONNECT}x`], answers: 0, upstreams: raw({ read: 1 }, 'y') },
  over2('bytes both ways', {
    client: [CONNECT2, { bytes: 60 }, data(1, 'ping'), { upstreamSaw: 4 }, { waitMs: 30 }, { close: 'full' }],
    upstreams: raw({ read: 4 }, 'pong'),
  }),
  over2('the client ends and still reads', {
    client: [CONNECT2, { bytes: 60 }, data(1, 'ping', true)],
    upstreams: raw({ read: 5 }, { waitMs: 30 }, 'pong'),
  }),
  over2('the host ends and would still read', {
    client: [CONNECT2, { bytes: 60 }, { waitMs: 50 }, data(1, 'ping', true)],
    upstreams: raw('hello', { close: 'fin' }),
  }),
  over2('the host resets', {
    client: [CONNECT2, { bytes: 60 }, data(1, 'x')],
    upstreams: raw({ read: 1 }, { close: 'reset' }),
  }),
  over2('nobody listens', { listener: 'refused', client: [CONNECT2] }),
];

const FORWARDED: readonly Scenario[] = [
  {
    name: '1 to 1: bytes both ways',
    listener: 'on1',
    client: [CONNECT, { answers: 1 }, 'ping', { waitMs: 30 }, { close: 'fin' }],
    answers: 0,
    upstreams: raw({ read: 60 }, `${AGREED}hello`, { read: 300 }),
  },
  {
    name: '1 to 1: refused',
    listener: 'on1',
    client: [CONNECT],
    upstreams: raw({ read: 60 }, 'HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno'),
  },
  {
    name: '1 to 1: the host closes',
    listener: 'on1',
    client: [`${CONNECT}x`],
    answers: 0,
    upstreams: raw({ read: 60 }, AGREED, { waitMs: 30 }, { close: 'full' }),
  },
  {
    name: '1 to 2: bytes both ways',
    listener: 'on2',
    client: [CONNECT, { answers: 1 }, 'ping', { waitMs: 30 }, { close: 'fin' }],
    answers: 0,
    upstreams: http2([{ head: [':status: 200', 'x-a: b'] }, { data: 'hello' }]),
  },
  {
    name: '1 to 2: the host ends',
    listener: 'on2',
    client: [CONNECT],
    answers: 0,
    upstreams: http2([{ head: [':status: 200'] }, { data: 'hello', end: true }]),
  },
  {
    name: '1 to 2: refused',
    listener: 'on2',
    client: [CONNECT],
    upstreams: http2([{ head: [':status: 403'] }, { data: 'no', end: true }]),
  },
  over2('to 1: the client ends', {
    listener: 'on1',
    client: [CONNECT2, { bytes: 60 }, data(1, 'ping', true)],
    upstreams: raw({ read: 60 }, AGREED, { waitMs: 300 }),
  }),
  over2('to 2: bytes both ways', {
    listener: 'on2',
    client: [CONNECT2, { bytes: 60 }, data(1, 'ping', true)],
    upstreams: http2([{ head: [':status: 200'] }, { waitFor: 'end' }, { data: 'late', end: true }]),
  }),
  over2('to 2: the host resets', {
    listener: 'on2',
    client: [CONNECT2, { bytes: 60 }, data(1, 'ping')],
    upstreams: http2([{ head: [':status: 200'] }, { waitMs: 30 }, { reset: 10 }]),
  }),
];

export const connectRequests: Group = {
  name: 'connect',
  listeners: Object.keys(LISTENERS),
  upstreams: ['a', 'b'],
  bootstrap: (ports, log) => {
    const told = {
      protocol: '%UPSTREAM_PROTOCOL%',
      wire: '%UPSTREAM_WIRE_BYTES_SENT% %UPSTREAM_WIRE_BYTES_RECEIVED% %UPSTREAM_HEADER_BYTES_SENT% %UPSTREAM_HEADER_BYTES_RECEIVED%',
    };
    const manager = (name: string, more: object): object => ({
      access_log: [fileLog(log, name.startsWith('on') ? {} : more)],
      http2_protocol_options: { allow_connect: true },
      delayed_close_timeout: '0.4s',
    });
    return bootstrap(
      ports,
      Object.entries(LISTENERS).map(([name, list]) => http(ports, log, name, routes(list), manager(name, told))),
      [cluster('a', [ports['a']]), cluster('b', [ports['b']], HTTP2), cluster('dead', [ports['dead']])],
    );
  },
  stats:
    /^(http\.(?!admin)[^.]+\.(?!.*(bytes|active|buffered))(downstream_rq_.*|downstream_cx_upgrades_total|rq_.*)|cluster\.[^.]+\.(?!.*active)(upstream_rq_.*|upstream_cx_(total|http[12]_total|connect_fail|protocol_error|overflow|none_healthy)))$/,
  scenarios: [...TERMINATED, ...FORWARDED],
};
