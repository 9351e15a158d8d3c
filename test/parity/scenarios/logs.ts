// What access logs count, and when they are written: bytes of heads and of the wire, records at the start of a request
// and at intervals.

import {
  address,
  answer,
  bootstrap,
  cluster,
  fileLog,
  get,
  http,
  httpOptions,
  request,
  router,
  routes,
  to,
} from '../config.ts';
import type { Action, Group, Scenario } from '../types.ts';

const BYTES = {
  downHeaders: '%DOWNSTREAM_HEADER_BYTES_RECEIVED% %DOWNSTREAM_HEADER_BYTES_SENT%',
  downPlain: '%DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED% %DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT%',
  downWire: '%DOWNSTREAM_WIRE_BYTES_RECEIVED% %DOWNSTREAM_WIRE_BYTES_SENT%',
  upHeaders: '%UPSTREAM_HEADER_BYTES_RECEIVED% %UPSTREAM_HEADER_BYTES_SENT%',
  upPlain: '%UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT%',
  upWire: '%UPSTREAM_WIRE_BYTES_RECEIVED% %UPSTREAM_WIRE_BYTES_SENT%',
  maps: '%REQUEST_HEADERS_BYTES% %RESPONSE_HEADERS_BYTES% %RESPONSE_TRAILERS_BYTES%',
};
const MOMENT = {
  type: '%ACCESS_LOG_TYPE%',
  path: '%REQ(:PATH)%',
  stream: '%STREAM_ID%',
  wire: '%DOWNSTREAM_WIRE_BYTES_RECEIVED% %UPSTREAM_WIRE_BYTES_SENT%',
};
/** Listener → its `access_log_options`. */
const MOMENTS: Readonly<Record<string, object>> = {
  start: { flush_access_log_on_new_request: true },
  interval: { access_log_flush_interval: '0.5s' },
  both: { flush_access_log_on_new_request: true, access_log_flush_interval: '0.5s' },
};
const METADATA = {
  listener: '%METADATA(LISTENER:com.test:k)%',
  chain: '%METADATA(LISTENER_FILTER_CHAIN:com.test)%',
  route: '%METADATA(ROUTE:com.test:k:deep)%',
  virtualHost: '%METADATA(VIRTUAL_HOST:com.test:k)%',
  cluster: '%CLUSTER_METADATA(com.test:k)%',
  endpoint: '%UPSTREAM_METADATA(com.test:k)% %METADATA(UPSTREAM_HOST:com.test:none)%',
  names: '%LISTENER_NAME% %FILTER_CHAIN_NAME% %VIRTUAL_CLUSTER_NAME%',
};
const metadata = (k: unknown): object => ({ metadata: { filter_metadata: { 'com.test': { k } } } });
const CHUNKS = 'transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-trailer: 1\r\n\r\n';

const counted = (name: string, client: string, ...replies: Action[][]): Scenario => ({
  name: `bytes: ${name}`,
  client: [client],
  ...(replies.length === 0 ? {} : { upstreams: { a: { replies } } }),
});

/** Describes the only chain of a listener. */
function withMetadata(listener: object): object {
  const { filter_chains } = listener as { filter_chains: readonly object[] };
  return { ...listener, filter_chains: [{ ...filter_chains[0], name: 'only', ...metadata({ of: 'chain' }) }] };
}

export const logs: Group = {
  name: 'logs',
  listeners: ['main', ...Object.keys(MOMENTS), 'older', 'metadata'],
  upstreams: ['a'],
  bootstrap: (ports, log) => {
    const list = routes([
      to('/rewrite', 'a', { prefix_rewrite: '/else' }),
      to('/dead', 'dead'),
      to('/retry', 'a', { retry_policy: { retry_on: '5xx', retry_back_off: { base_interval: '0.01s' } } }),
      { match: { path: '/direct' }, direct_response: { status: 200, body: { inline_string: 'x' } } },
      to('/a', 'a'),
    ]);
    const quiet = { http_filters: [router({ suppress_envoy_headers: true })] };
    return bootstrap(
      ports,
      [
        http(ports, log, 'main', list, {
          ...quiet,
          access_log: [fileLog(log, BYTES)],
          http_protocol_options: { enable_trailers: true },
        }),
        ...Object.entries(MOMENTS).map(([name, access_log_options]) =>
          http(ports, log, name, list, { ...quiet, access_log: [fileLog(log, MOMENT)], access_log_options }),
        ),
        http(ports, log, 'older', list, {
          ...quiet,
          access_log: [fileLog(log, MOMENT)],
          flush_access_log_on_new_request: true,
          access_log_flush_interval: '0.5s',
        }),
        withMetadata(
          http(
            ports,
            log,
            'metadata',
            routes([to('/', 'described', {}, metadata({ deep: ['of', 'route'] }))], metadata('of virtual host')),
            { ...quiet, access_log: [fileLog(log, METADATA)] },
            metadata('of listener'),
          ),
        ),
      ],
      [
        cluster('described', [], {
          ...metadata('of cluster'),
          load_assignment: {
            cluster_name: 'described',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(ports['a']) }, ...metadata('of endpoint') }] }],
          },
        }),
        cluster('a', [ports['a']], httpOptions({ enable_trailers: true })),
        cluster('dead', [ports['dead']]),
      ],
    );
  },
  scenarios: [
    counted('an ordinary request', get('/a'), [answer('200 OK', [], 'hello')]),
    counted('white space around values', get('/a', 'x-a:b', 'x-c:   d  '), [
      'HTTP/1.1 204 No Content\r\nx-a:b\r\nx-c:   d  \r\n\r\n',
    ]),
    counted('a rewritten path', get('/rewrite')),
    counted('an answer of the proxy', get('/direct')),
    counted('no route', get('/none')),
    counted('connection refused', get('/dead')),
    counted('a request without fields', 'GET /a HTTP/1.1\r\n\r\n'),
    counted('an answer without fields', get('/a'), ['HTTP/1.1 204 No Content\r\n\r\n']),
    counted('an interim answer', get('/a'), ['HTTP/1.1 103 Early Hints\r\nx-a: b\r\n\r\n', answer('200 OK', [], 'hi')]),
    counted(
      'trailers',
      `POST /a HTTP/1.1\r\nhost: a.example\r\n${CHUNKS}`, //
      [`HTTP/1.1 200 OK\r\n${CHUNKS}`],
    ),
    counted(
      'two attempts',
      request('POST', '/retry', ['content-length: 2'], 'hi'),
      [answer('503 Busy', ['x-a: b'], 'hello')],
      [answer('200 OK')],
    ),
    { name: 'metadata of everything', listener: 'metadata', client: [get('/')] },
    { name: 'start: rewritten later', listener: 'start', client: [get('/rewrite')] },
    { name: 'start: an answer of the proxy', listener: 'start', client: [get('/direct')] },
    { name: 'start: no route', listener: 'start', client: [get('/none')] },
    { name: 'start: no host', listener: 'start', client: ['GET /a HTTP/1.1\r\n\r\n'] },
    { name: 'start: no HTTP', listener: 'start', client: ['GET a\r\n\r\n'] },
    {
      name: 'interval: a slow answer',
      listener: 'interval',
      client: [get('/a')],
      upstreams: { a: { replies: [[{ waitMs: 600 }, answer('200 OK', [], 'hello')]] } },
    },
    {
      name: 'interval: a slow head',
      listener: 'both',
      client: ['GET /a HTTP/1.1\r\n', { waitMs: 600 }, 'host: a\r\n\r\n'],
    },
    {
      name: 'interval: a slow body',
      listener: 'older',
      client: [request('POST', '/a', ['content-length: 4'], 'ab'), { waitMs: 600 }, 'cd'],
    },
  ],
};
