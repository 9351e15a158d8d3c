// Every command operator against what Envoy 1.40 wrote for the same three streams
// (golden/access-log/operators.json): a gRPC-like request that an upstream answered, one whose upstream refused the
// connection, and a TCP connection.

import { readFileSync } from 'node:fs';
import t from 'tap';
import { HeaderMap } from '../../proxy/codec/headers.ts';
import { FilterState } from '../../proxy/observe/filter-state.ts';
import { FLAG_UF } from '../../proxy/observe/flags.ts';
import { compileFormat, compileText, DEFAULT_TEXT_FORMAT } from '../../proxy/observe/format.ts';
import { operatorNames } from '../../proxy/observe/format-parse.ts';
import { type ConnectionInfo, StreamInfo } from '../../proxy/observe/stream-info.ts';

interface Golden {
  readonly cases: {
    readonly [stream: string]: { readonly [operator: string]: readonly [string, string | null, string] };
  };
  readonly mix: string;
  readonly default: string;
}
const golden = JSON.parse(
  readFileSync(new URL('../golden/access-log/operators.json', import.meta.url), 'utf8'),
) as Golden;

process.env['FOO'] = 'barbaz';
process.env['EMPTY'] = '';
process.env['TZ'] = 'UTC';

const bytes = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

function connection(id: number, port: number, peerPort: number, listener: string, chain: string): ConnectionInfo {
  return {
    id,
    localAddress: `127.0.0.1:${port}`,
    remoteAddress: `127.0.0.1:${peerPort}`,
    remoteIp: '127.0.0.1',
    remotePort: peerPort,
    directRemoteAddress: `127.0.0.1:${peerPort}`,
    localIp: '127.0.0.1',
    localPort: port,
    directRemoteIp: '127.0.0.1',
    directRemotePort: peerPort,
    tls: null,
    requestedServerName: '',
    terminationDetails: '',
    transportFailureReason: '',
    listenerName: listener,
    filterChainName: chain,
    startedMs: 0,
    ...(chain === '' ? {} : { listenerMetadata: { lm: { k: 'lv' } }, filterChainMetadata: { fm: { k: 'fv' } } }),
  };
}

function headers(list: readonly (readonly [string, string])[]): HeaderMap {
  const map = new HeaderMap();
  for (const [name, value] of list) map.add(name, value);
  return map;
}

function numberOf(stream: string, operator: string): number {
  return Number(golden.cases[stream]?.[operator]?.[0]);
}

/** Port, start time and duration are whatever they were when the golden file was made. */
function startMs(stream: string): number {
  const [nanos, , , , , seconds] = (golden.cases[stream]?.[FRACTIONS]?.[0] ?? '').split(' ');
  return Number(seconds) * 1000 + Number(nanos) / 1e6;
}
const FRACTIONS = 'START_TIME(%f %1f %3f %6f %9f %s %3s)';
const SPENT = 'COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)';

const dynamicMetadata = {
  ns: {
    s: 'str ing',
    n: 5,
    f: 1.25,
    b: true,
    l: ['a', 1, null],
    o: { x: 'y' },
    nul: null,
    q: 'qu"ote\n',
    u: 'é€',
  },
};

function filterState(): FilterState {
  const state = new FilterState();
  state.set('fs.str', 'value1', 'transitive');
  state.set('fs.q', bytes('va"lé'));
  return state;
}

function httpStream(): StreamInfo {
  const info = new StreamInfo(
    connection(0, 18991, numberOf('http', 'DOWNSTREAM_DIRECT_REMOTE_PORT'), 'lis', 'fc'),
    startMs('http'),
    1000,
  );
  info.accessLogType = 'DownstreamEnd';
  info.protocol = 'HTTP/1.1';
  info.method = 'POST';
  info.scheme = 'http';
  info.authority = 'ex.com:80';
  info.path = '/p/x?a=1&b=%41%20&c&d=&a=2&e%20f=g';
  info.requestHeaders = headers([
    ['x-a', 'alpha'],
    ['x-empty', ''],
    ['x-multi', 'one'],
    ['x-multi', 'two'],
    ['x-utf8', bytes('é€')],
    ['x-bad', 'a\xff\xc3(\xe2\x82b"'],
    ['x-quote', '"q\\\t/'],
    ['cookie', 'a=1'],
    ['cookie', 'b=2'],
    ['accept', 'x,y'],
    ['content-type', 'application/grpc'],
    ['user-agent', 'ua'],
    ['x-forwarded-for', '9.9.9.9'],
    ['x-request-id', '11111111-2222-4333-8444-555555555555'],
    ['content-length', '3'],
    ['x-forwarded-proto', 'http'],
    ['x-envoy-expected-rq-timeout-ms', '15000'],
  ]);
  info.status = 200;
  info.responseHeaders = headers([
    ['x-up', '1'],
    ['x-envoy-upstream-service-time', '0'],
    ['date', 'Sat, 21 Nov 2026 12:07:38 GMT'],
    ['server', 'envoy'],
  ]);
  info.responseTrailers = headers([['x-t', 'tv']]);
  info.details = 'via_upstream';
  info.requestBodyBytes = 3;
  info.responseBodyBytes = 5;
  info.requestHeaderBytes = 292;
  info.responseHeaderBytes = 123;
  info.downstreamWireBytesReceived = 363;
  info.downstreamWireBytesSent = 157;
  info.upstreamWireBytesSent = 419;
  info.upstreamWireBytesReceived = 80;
  info.upstreamHeaderBytesSent = 364;
  info.upstreamHeaderBytesReceived = 43;
  info.remoteAddress = '9.9.9.9:0';
  info.routeResolutions = 1;
  info.routeName = 'rt';
  info.virtualClusterName = 'vc';
  info.upstreamCluster = 'c_alt';
  info.upstreamClusterRaw = 'c';
  info.upstreamHost = {
    address: '127.0.0.1:18993',
    hostname: 'uphost',
    metadata: { um: { k: 'uv' } },
    zone: '',
    canary: false,
  };
  info.upstreamLocalAddress = golden.cases['http']?.['UPSTREAM_LOCAL_ADDRESS']?.[0] ?? '';
  info.upstreamRemoteAddress = '127.0.0.1:18993';
  info.upstreamProtocol = 'HTTP/1.1';
  info.upstreamConnectionId = 1;
  info.attemptCount = 1;
  info.dynamicMetadata = dynamicMetadata;
  info.filterState = filterState();
  info.routeMetadata = { rm: { k: 'rv' } };
  info.clusterMetadata = { cm: { k: 'cv' } };
  info.virtualHostMetadata = { vm: { k: 'vv' } };
  const spentMs = numberOf('http', SPENT) / 1000 + 1e-6;
  info.requestRxEndMs = 1000.1;
  info.upstreamPoolWaitMs = 0.2;
  info.upstreamConnectStartMs = 1000.2;
  info.upstreamConnectEndMs = 1000.3;
  info.upstreamTxStartMs = 1000.4;
  info.upstreamTxEndMs = 1000.5;
  info.upstreamRxStartMs = 1001.1;
  info.upstreamRxBodyStartMs = 1001.15;
  info.upstreamRxEndMs = 1001.2;
  info.downstreamTxStartMs = 1001.2;
  info.downstreamTxEndMs = 1000 + spentMs;
  info.endMs = 1000 + spentMs;
  return info;
}

function failedStream(): StreamInfo {
  const info = new StreamInfo(
    connection(4, 18991, numberOf('failed', 'DOWNSTREAM_DIRECT_REMOTE_PORT'), 'lis', 'fc'),
    startMs('failed'),
    1000,
  );
  info.accessLogType = 'DownstreamEnd';
  info.protocol = 'HTTP/1.1';
  info.method = 'GET';
  info.scheme = 'http';
  info.authority = 'a';
  info.path = '/dead';
  info.requestHeaders = headers([
    ['x-forwarded-proto', 'http'],
    ['x-request-id', golden.cases['failed']?.['STREAM_ID']?.[0] ?? ''],
    ['x-envoy-expected-rq-timeout-ms', '15000'],
  ]);
  info.status = 503;
  info.flags = FLAG_UF;
  info.responseHeaders = headers([
    ['content-length', '98'],
    ['content-type', 'text/plain'],
    ['date', 'Sat, 21 Nov 2026 12:07:40 GMT'],
    ['server', 'envoy'],
  ]);
  info.details =
    'upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}';
  info.upstreamTransportFailureReason = 'delayed_connect_error:_Connection_refused';
  info.responseBodyBytes = 98;
  info.requestHeaderBytes = 8;
  info.responseHeaderBytes = 98;
  info.downstreamWireBytesReceived = 31;
  info.downstreamWireBytesSent = 232;
  info.remoteAddress = info.connection.directRemoteAddress;
  info.routeResolutions = 1;
  info.routeName = 'bad';
  info.virtualClusterName = 'vc';
  info.upstreamCluster = 'dead';
  info.upstreamHost = { address: '127.0.0.1:18994', hostname: '', metadata: {}, zone: '', canary: false };
  info.attemptCount = 1;
  info.dynamicMetadata = dynamicMetadata;
  info.filterState = filterState();
  info.virtualHostMetadata = { vm: { k: 'vv' } };
  info.requestRxEndMs = 1000.1;
  info.upstreamPoolWaitMs = 0.2;
  const spentMs = numberOf('failed', SPENT) / 1000 + 1e-6;
  info.downstreamTxStartMs = 1000.3;
  info.downstreamTxEndMs = 1000 + spentMs;
  info.endMs = 1000 + spentMs;
  return info;
}

function tcpStream(): StreamInfo {
  const info = new StreamInfo(
    {
      ...connection(8, 18992, numberOf('tcp', 'DOWNSTREAM_DIRECT_REMOTE_PORT'), 'tcp', ''),
      detectedCloseType: 'RemoteReset',
    },
    startMs('tcp'),
    1000,
  );
  info.accessLogType = 'TcpConnectionEnd';
  info.streamId = golden.cases['tcp']?.['STREAM_ID']?.[0] ?? '';
  info.remoteAddress = info.connection.directRemoteAddress;
  info.requestBodyBytes = 27;
  info.responseBodyBytes = 80;
  info.downstreamWireBytesReceived = 27;
  info.downstreamWireBytesSent = 80;
  info.upstreamWireBytesSent = 27;
  info.upstreamWireBytesReceived = 80;
  info.upstreamCluster = 'c_alt';
  info.upstreamClusterRaw = 'c';
  info.upstreamHost = {
    address: '127.0.0.1:18993',
    hostname: 'uphost',
    metadata: { um: { k: 'uv' } },
    zone: '',
    canary: false,
  };
  info.upstreamLocalAddress = golden.cases['tcp']?.['UPSTREAM_LOCAL_ADDRESS']?.[0] ?? '';
  info.upstreamRemoteAddress = '127.0.0.1:18993';
  info.upstreamConnectionId = 9;
  info.attemptCount = 1;
  info.clusterMetadata = { cm: { k: 'cv' } };
  info.upstreamPoolWaitMs = 0.4;
  info.upstreamConnectStartMs = 1000.2;
  info.upstreamConnectEndMs = 1000.3;
  info.endMs = 1000.5 + numberOf('tcp', 'DURATION');
  return info;
}

const STREAMS: { readonly [stream: string]: StreamInfo } = {
  http: httpStream(),
  failed: failedStream(),
  tcp: tcpStream(),
};

/** Envoy counts HTTP/1 trailers in one of its two numbers of header bytes only; here both are what came by the wire. */
const DIFFERENT = new Set(['UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED']);

/** What text shows of the golden line: it was read line by line, so a value is cut at its first line end. */
const firstLine = (text: string): string => text.split('\n')[0] as string;

for (const [stream, info] of Object.entries(STREAMS)) {
  t.test(`operators, ${stream}`, (t) => {
    for (const [operator, [text, omitted, json]] of Object.entries(golden.cases[stream] ?? {})) {
      if (DIFFERENT.has(operator)) continue;
      t.equal(firstLine(compileText(`%${operator}%`, false)(info)), text, `%${operator}%`);
      t.equal(firstLine(compileText(`<%${operator}%>`, false)(info)).replace(/>$/, ''), `<${text}`, `<%${operator}%>`);
      if (omitted !== null)
        t.equal(firstLine(compileText(`%${operator}%`, true)(info)), omitted, `%${operator}%, omit`);
      const line = compileFormat({
        kind: 'json',
        format: { v: `%${operator}%` },
        omitEmptyValues: false,
        sortProperties: false,
      })(info);
      t.equal(line, `{"v":${json}}\n`, `JSON %${operator}%`);
    }
    t.end();
  });
}

t.test('a JSON format of everything', (t) => {
  const format = {
    z: 'a%REQ(x-utf8)%|%REQ(x-bad)%|%REQ(x-none)%',
    lit: 'é"\\\n/',
    num: 3,
    flt: 1.5,
    big: 1e21,
    b: true,
    nul: null,
    arr: ['%PROTOCOL%', 1, { k: '%REQ(x-none)%' }],
    emptyo: {},
    emptya: [],
    a: '%RESPONSE_CODE%%RESPONSE_CODE%',
    pct: '100%%',
    neg: -0.25,
    kéy: 'x',
  };
  const render = compileFormat({ kind: 'json', format, omitEmptyValues: false, sortProperties: false });
  t.equal(render(httpStream()), `${golden.mix}\n`);
  t.end();
});

t.test('the default text format', (t) => {
  t.equal(compileText(DEFAULT_TEXT_FORMAT, false)(httpStream()), `${golden.default}\n`);
  t.end();
});

t.test('every operator is in the golden file or named here', (t) => {
  const covered = new Set(Object.keys(golden.cases['http'] ?? {}).map((operator) => operator.replace(/[(:].*$/s, '')));
  const others = operatorNames().filter((name) => !covered.has(name));
  t.same(others.sort(), [
    'CEL', // refused
    'DOWNSTREAM_CX_RTT', // not readable here
    'EMIT_TIME',
    'EMIT_TIME_LOCAL',
    'HOSTNAME',
    'REQ_WITHOUT_QUERY', // an extension in Envoy
    'RESPONSE_HEADER', // another name of RESP
    'ROUTE_RESOLUTION_TIME_US', // not measured here
    'UNIQUE_ID',
  ]);
  t.end();
});
