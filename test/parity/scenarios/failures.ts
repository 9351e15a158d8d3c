// Upstreams and clients that break off, overflow, lie or are not there, and the flag that each leaves in the log.

import { answer, bootstrap, cluster, get, http, request, routes, STATS, to } from '../config.ts';
import type { Group, Scenario, UpstreamScript } from '../types.ts';

const sends = (name: string, a: UpstreamScript, extra: Partial<Scenario> = {}): Scenario => ({
  name,
  client: [get('/')],
  upstreams: { a },
  ...extra,
});
const bytes = (name: string, text: string, ...more: NonNullable<UpstreamScript['replies']>[number]): Scenario =>
  sends(name, { replies: [[text, ...more]] });

export const failures: Group = {
  name: 'failures',
  listeners: ['main', 'differs'],
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
            to('/none', 'empty'),
            to('/dead', 'dead'),
            to('/full', 'full'),
            to('/queue', 'queue'),
            to('/unhealthy', 'unhealthy'),
            to('/header', 'a', { cluster: undefined, cluster_header: 'x-cluster' }),
            to('/', 'a', { timeout: '0.6s' }),
          ]),
        ),
        http(ports, log, 'differs', routes([to('/', 'differs', { timeout: '0.6s' })])),
      ],
      [
        cluster('differs', [ports['a']]),
        cluster('a', [ports['a']]),
        cluster('empty', []),
        cluster('dead', [ports['dead']]),
        cluster('full', [ports['a']], { circuit_breakers: { thresholds: [{ max_requests: 0 }] } }),
        cluster('queue', [ports['a']], {
          circuit_breakers: { thresholds: [{ max_connections: 1, max_pending_requests: 0 }] },
        }),
        cluster('unhealthy', [], {
          load_assignment: {
            cluster_name: 'unhealthy',
            endpoints: [
              {
                lb_endpoints: [
                  {
                    health_status: 'UNHEALTHY',
                    endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: ports['a'] } } },
                  },
                ],
              },
            ],
          },
          common_lb_config: { healthy_panic_threshold: { value: 0 } },
        }),
      ],
    ),
  stats: STATS,
  scenarios: [
    { name: 'no host in the cluster', client: [get('/none')] },
    { name: 'no healthy host', client: [get('/unhealthy')] },
    { name: 'connection refused', client: [get('/dead')] },
    { name: 'request limit reached', client: [get('/full')] },
    { name: 'pending limit reached', client: [get('/queue')] },
    { name: 'no cluster named', client: [get('/header')] },
    { name: 'unknown cluster named', client: [get('/header', 'x-cluster: nobody')] },
    sends('upstream closes after the request', { replies: [[{ close: 'full' }]] }),
    sends('upstream resets after the request', { replies: [[{ close: 'reset' }]] }),
    bytes('upstream closes within the head', 'HTTP/1.1 200 OK\r\nx-a: ', { waitMs: 20 }, { close: 'full' }),
    bytes(
      'upstream closes within the body',
      'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf',
      { waitMs: 20 },
      { close: 'full' },
    ),
    bytes(
      'upstream resets within the body',
      'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf',
      { waitMs: 20 },
      { close: 'reset' },
    ),
    bytes(
      'upstream closes within chunks',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n',
      { waitMs: 20 },
      { close: 'full' },
    ),
    bytes('body until close', 'HTTP/1.1 200 OK\r\n\r\nall of it', { waitMs: 20 }, { close: 'fin' }),
    bytes('body until close under HTTP/1.0', 'HTTP/1.0 200 OK\r\n\r\nall of it', { waitMs: 20 }, { close: 'fin' }),
    bytes('garbage', 'garbage\r\n\r\n'),
    sends(
      'HTTP/2 answer',
      { replies: [['HTTP/2.0 200 OK\r\n\r\n']] },
      {
        listener: 'differs',
        differs: {
          why: 'an answer of another major version is no HTTP/1 (RFC 9112 §2.3): 502 at once; Envoy relays it and waits for its end',
          ours: 'HTTP/1.1 502 Bad Gateway',
          parts: ['answers', 'end', 'log'],
        },
      },
    ),
    bytes('status 999', 'HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n'),
    bytes('no reason phrase', 'HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok'),
    bytes('reason phrase of its own', 'HTTP/1.1 404 Gone Fishing\r\ncontent-length: 0\r\n\r\n'),
    bytes('bare line feeds', 'HTTP/1.1 200 OK\ncontent-length: 2\n\nok'),
    bytes('header without colon', 'HTTP/1.1 200 OK\r\nbroken\r\ncontent-length: 0\r\n\r\n'),
    bytes('folded header', 'HTTP/1.1 200 OK\r\nx-a: b\r\n c\r\ncontent-length: 0\r\n\r\n'),
    bytes(
      'content-length and chunked',
      'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    ),
    bytes('two content-lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok'),
    bytes('two equal content-lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok'),
    bytes('content-length no number', 'HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\nok'),
    bytes('unknown transfer coding', 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n'),
    bytes('bad chunk size', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'),
    sends(
      'bad chunk end',
      { replies: [['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nokXX0\r\n\r\n']] },
      {
        listener: 'differs',
        differs: {
          why: 'the good chunk before the bad one goes on also when both come in one read, as it does in two; Envoy drops it',
          ours: 'cut off: HTTP/1.1 200 OK',
          parts: ['answers', 'log'],
        },
      },
    ),
    bytes('more than the content-length', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokEXTRA'),
    bytes('two answers to one request', answer('200 OK', [], 'one') + answer('200 OK', [], 'two')),
    bytes('answer says close', answer('200 OK', ['connection: close'], 'bye'), { close: 'fin' }),
    bytes('HEAD answer to GET with 204', 'HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n'),
    bytes('304 with a length', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\netag: "x"\r\n\r\n'),
    bytes(
      'answer head too large',
      `HTTP/1.1 200 OK\r\n${`x-big: ${'v'.repeat(8_000)}\r\n`.repeat(9)}content-length: 0\r\n\r\n`,
    ),
    bytes('answer with too many headers', `HTTP/1.1 200 OK\r\n${'x-h: v\r\n'.repeat(101)}content-length: 0\r\n\r\n`),
    bytes('early hints are relayed', 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n', answer('200 OK', [], 'final')),
    bytes('processing is relayed', 'HTTP/1.1 102 Processing\r\n\r\n', answer('200 OK', [], 'final')),
    bytes(
      'switching protocols unasked',
      'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
    ),
    sends(
      'answer before the request is whole',
      { early: true, replies: [[answer('413 Too Large', [], 'stop')]] },
      { client: [request('POST', '/', ['content-length: 100'], 'part'), { answers: 1 }] },
    ),
    sends(
      'answer before the request is whole, then the rest',
      { early: true, replies: [[answer('200 OK', [], 'early')]] },
      {
        answers: 1,
        client: [request('POST', '/', ['content-length: 8'], 'part'), { answers: 1 }, { waitMs: 20 }, 'rest'],
      },
    ),
    sends(
      'client goes away while waiting',
      { replies: [[{ waitMs: 300 }, answer('200 OK')]] },
      { client: [get('/'), { upstreamSaw: 1 }, { waitMs: 20 }, { close: 'full' }] },
    ),
    sends(
      'client resets while waiting',
      { replies: [[{ waitMs: 300 }, answer('200 OK')]] },
      { client: [get('/'), { upstreamSaw: 1 }, { waitMs: 20 }, { close: 'reset' }] },
    ),
    sends(
      'client goes away within its body',
      {},
      {
        client: [
          request('POST', '/', ['content-length: 100'], 'part'),
          { upstreamSaw: 1 },
          { waitMs: 20 },
          { close: 'full' },
        ],
      },
    ),
    sends(
      'client half-closes after its request',
      { replies: [[{ waitMs: 100 }, answer('200 OK')]] },
      { client: [get('/'), { upstreamSaw: 1 }, { close: 'fin' }] },
    ),
    sends(
      'client half-closes within its head',
      {},
      { answers: 0, client: ['GET / HTTP/1.1\r\nhost: a', { waitMs: 20 }, { close: 'fin' }] },
    ),
    sends(
      'idle upstream connection is found closed',
      { replies: [[answer('200 OK', [], 'one')]] },
      { answers: 2, client: [get('/'), { answers: 1 }, get('/')] },
    ),
  ],
};
