// Clusters whose protocol the host chooses by ALPN (`auto_config`), towards hosts with real TLS.

import { file, upstreamTls } from '../../fixtures/tls.ts';
import { bootstrap, cluster, fileLog, get, http, httpOptions, request, routes, STATS, to } from '../config.ts';
import type { Group, Ports, Scenario, ServerTls } from '../types.ts';

const AUTO = {
  auto_config: {
    http_protocol_options: { header_key_format: { proper_case_words: {} } },
    http2_protocol_options: { max_concurrent_streams: 2, allow_connect: true },
  },
};

/** `common_tls_context` by listener and cluster; `a` is the host of all. */
const PARTS: Readonly<Record<string, object>> = {
  free: {},
  older: { alpn_protocols: ['http/1.1'] },
  newer: { alpn_protocols: ['h2'] },
  strangers: { alpn_protocols: ['istio', 'h2'] },
};

function clusterOf(ports: Ports, name: string): object {
  const common = { validation_context: { trusted_ca: file('ca.pem') }, ...PARTS[name] };
  const { typed_extension_protocol_options: options } = httpOptions({}) as {
    typed_extension_protocol_options: Record<string, object>;
  };
  const [[key, { '@type': type }]] = Object.entries(options) as [[string, { '@type': string }]];
  return cluster(name, [ports['a']], {
    typed_extension_protocol_options: { [key]: { '@type': type, ...AUTO } },
    transport_socket: upstreamTls(common, { sni: 'a.example' }),
  });
}

const logged = { protocol: '%UPSTREAM_PROTOCOL%', tls: '%UPSTREAM_TLS_VERSION%' };

/** A host with these protocols, which answers in whatever was agreed on. */
function host(...alpn: readonly string[]): { tls: ServerTls } {
  return { tls: { certificate: 'server', ...(alpn.length === 0 ? {} : { alpn }) } };
}

function asks(name: string, listener: string, tls: { tls: ServerTls }, http2 = true): Scenario {
  return { name, listener, client: [get('/')], upstreams: { a: { ...tls, ...(http2 ? { http2: {} } : {}) } } };
}

export const autoProtocol: Group = {
  name: 'auto-protocol',
  listeners: Object.keys(PARTS),
  upstreams: ['a'],
  bootstrap: (ports, logPath) =>
    bootstrap(
      ports,
      Object.keys(PARTS).map((name) =>
        http(ports, logPath, name, routes([to('/', name)]), { access_log: [fileLog(logPath, logged)] }),
      ),
      Object.keys(PARTS).map((name) => clusterOf(ports, name)),
    ),
  stats: STATS,
  scenarios: [
    asks('the host has both: HTTP/2', 'free', host('h2', 'http/1.1')),
    asks('the host has both, HTTP/1.1 first', 'free', host('http/1.1', 'h2')),
    asks('the host has HTTP/1.1 only', 'free', host('http/1.1')),
    asks('the host has HTTP/2 only', 'free', host('h2')),
    asks('the host names no protocol: HTTP/1.1', 'free', host(), false),
    asks('the host has neither', 'free', host('imap')),
    asks('the context names one: it alone is offered', 'older', host('h2', 'http/1.1')),
    asks('the context names HTTP/2', 'newer', host('h2', 'http/1.1')),
    asks('the context names HTTP/2, the host no protocol', 'newer', host(), false),
    asks('the context names others too', 'strangers', host('istio')),
    {
      ...asks('two requests on one connection', 'free', host('h2')),
      client: [get('/1'), { answers: 1 }, get('/2')],
      answers: 2,
    },
    {
      ...asks('a body and trailers', 'free', host('h2')),
      client: [request('POST', '/', ['content-length: 4'], 'body')],
      upstreams: {
        a: {
          ...host('h2'),
          http2: { replies: [[{ head: [':status: 200'] }, { data: 'ok' }, { head: ['x-end: 1'], end: true }]] },
        },
      },
    },
    {
      ...asks('the host goes away before it answers: the next request asks anew', 'free', host('h2')),
      client: [get('/1'), { answers: 1 }, get('/2')],
      answers: 2,
      upstreams: {
        a: { ...host('h2'), http2: { replies: [[{ close: 'full' }], [{ head: [':status: 200'], end: true }]] } },
      },
    },
    {
      ...asks('the host hangs up in HTTP/1.1', 'free', host('http/1.1')),
      client: [get('/1'), { answers: 1 }, get('/2')],
      answers: 2,
      upstreams: {
        a: {
          ...host('http/1.1'),
          replies: [['HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n']],
        },
      },
    },
    asks('a stranger', 'free', { tls: { certificate: 'client-foreign', alpn: ['h2'] } }),
  ],
};
