// Matchers of heads mean the same wherever they stand: in routes and in the filters of logs. And what is gRPC.

import { bootstrap, cluster, fileLog, get, http, routes, STATS } from '../config.ts';
import type { Group } from '../types.ts';

const MATCHERS: Readonly<Record<string, object>> = {
  below: { name: 'x-n', range_match: { start: 0, end: 10 } },
  beyond: { name: 'x-n', range_match: { start: 0, end: 10 }, invert_match: true },
  status: { name: ':status', present_match: true },
  path: { name: ':path', present_match: true },
  pathless: { name: ':path', present_match: false },
  host: { name: 'host', string_match: { exact: 'a.example:80' } },
  repeated: { name: 'x-n', string_match: { exact: '50' } },
  joined: { name: 'accept', string_match: { exact: 'a,b' } },
  dot: { name: 'x-r', string_match: { safe_regex: { regex: 'a.b' } } },
};
const NAMES = Object.keys(MATCHERS);
const direct = (status: number): object => ({ direct_response: { status } });
const named = (name: string, match: object): object => ({
  match: { ...match, headers: [{ name: 'x-which', string_match: { exact: name } }, MATCHERS[name]] },
  ...direct(201),
});

const HEADS: Readonly<Record<string, readonly string[]>> = {
  nothing: [],
  'a number with zeros before it': ['x-n: 00000000000000000000005'],
  'a number of too many digits': ['x-n: 99999999999999999999'],
  'two numbers': ['x-n: 5', 'x-n: 50'],
  'two of a kind that is joined': ['accept: a', 'accept: b'],
  'a byte that is no character': ['x-r: a\x85b'],
};

export const headMatches: Group = {
  name: 'head-matches',
  listeners: ['main', 'grpc'],
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        http(
          ports,
          log,
          'main',
          routes([
            ...['path', 'pathless', 'status'].map((name) => named(name, { connect_matcher: {} })),
            { match: { prefix: '/' }, ...direct(200) },
            { match: { connect_matcher: {} }, ...direct(200) },
          ]),
          {
            upgrade_configs: [{ upgrade_type: 'CONNECT' }],
            access_log: NAMES.map((name) =>
              fileLog(log, { filter: name }, { header_filter: { header: MATCHERS[name] as object } }),
            ),
          },
        ),
        http(
          ports,
          log,
          'grpc',
          routes([
            { match: { prefix: '/', grpc: {} }, ...direct(503) },
            { match: { prefix: '/' }, ...direct(404) },
          ]),
        ),
      ],
      [cluster('a', [ports['a']])],
    ),
  stats: STATS,
  scenarios: [
    ...Object.entries(HEADS).map(([name, lines]) => ({
      name,
      client: [get('/', ...lines)],
    })),
    ...['path', 'pathless', 'status'].map((which) => ({
      name: `a CONNECT, ${which}`,
      client: [`CONNECT a.example:80 HTTP/1.1\r\nhost: a.example:80\r\nx-which: ${which}\r\n\r\n`],
    })),
    ...['application/grpc', 'application/grpc+proto', 'application/grpc;charset=x', 'application/grpcx'].map(
      (type) => ({
        name: `content of the type ${type}`,
        listener: 'grpc',
        client: [get('/', `content-type: ${type}`)],
      }),
    ),
  ],
};
