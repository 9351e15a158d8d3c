// gRPC-Web, the HTTP/1 bridge and gRPC stats. What is expected was seen on Envoy 1.40.

import t from 'tap';
import type { HeaderMap } from '../../proxy/codec/headers.ts';
import type { GrpcStatsModel } from '../../proxy/config/model/http-filter.ts';
import type { HttpFilter } from '../../proxy/filter/filter.ts';
import { FrameWalk, frame } from '../../proxy/filter/grpc-frames.ts';
import { compileGrpcBridge } from '../../proxy/filter/grpc-http1-bridge.ts';
import { compileGrpcStats } from '../../proxy/filter/grpc-stats.ts';
import { compileGrpcWeb } from '../../proxy/filter/grpc-web.ts';
import { FilterRun } from '../../proxy/filter/run.ts';
import type { FilterStateObject } from '../../proxy/observe/filter-state.ts';
import { WorkerStats } from '../../proxy/observe/stats-store.ts';
import { type FakeStream, fakeStream, headersOf } from '../fixtures/filtered-stream.ts';

const bytes = (value: string): Buffer => Buffer.from(value, 'latin1');
const MESSAGES = Buffer.concat([frame(bytes('one')), frame(bytes('two!'))]);
const GRPC = { 'content-type': 'application/grpc' };

/** Stats that can be looked up by name. */
function countingStats(): { readonly store: WorkerStats; read(name: string): number } {
  const store = new WorkerStats(() => {});
  return { store, read: (name) => store.cell(name, 'c')[0] as number };
}

interface Case {
  readonly stream: FakeStream;
  readonly run: FilterRun;
}

function begin(filter: HttpFilter, init: Parameters<typeof fakeStream>[0]): Case {
  const stream = fakeStream(init);
  const run = new FilterRun([filter], stream);
  run.requestHead(stream.requestHeaders, false);
  return { stream, run };
}

function answer({ run }: Case, head: HeaderMap, body: Uint8Array | null, trailers: HeaderMap | null): void {
  run.responseHead(200, head, body === null);
  if (body === null) return;
  run.responseData(body, trailers === null);
  if (trailers !== null) run.responseTrailers(trailers);
}

t.test('frames are found at every split', async (t) => {
  for (let at = 0; at <= MESSAGES.length; at++) {
    const walk = new FrameWalk();
    walk.walk(MESSAGES.subarray(0, at));
    walk.walk(MESSAGES.subarray(at));
    t.equal(walk.frames, 2);
    t.ok(walk.whole);
  }
  const empty = new FrameWalk();
  empty.walk(frame(bytes('')));
  t.same([empty.frames, empty.whole], [1, true]);
});

t.test('gRPC-Web, binary', async (t) => {
  const { store, read } = countingStats();
  const requestHeaders = headersOf({ 'content-type': 'application/grpc-web', 'content-length': '10' });
  const it = begin(compileGrpcWeb(store), { requestHeaders, cluster: 'up' });
  t.same(requestHeaders.names, ['content-type', 'te', 'grpc-accept-encoding']);
  t.same(requestHeaders.values, ['application/grpc', 'trailers', 'identity']);
  it.run.requestData(frame(bytes('hello')), true);
  const head = headersOf({ ...GRPC, 'content-length': '17' });
  answer(it, head, MESSAGES, headersOf({ 'grpc-status': '0', 'grpc-message': 'm' }));
  t.same([head.names, head.values], [['content-type'], ['application/grpc-web+proto']]);
  t.same(it.stream.log, [
    'route',
    'data .....hello end',
    'head 200',
    'body .....one.....two!',
    'body .....grpc-status:0..grpc-message:m.. end',
  ]);
  t.equal(read('cluster.up.grpc-web.p.Svc.Unary.0'), 1);
  t.equal(read('cluster.up.grpc-web.p.Svc.Unary.success'), 1);
});

t.test('gRPC-Web, text, at every split', async (t) => {
  const filter = compileGrpcWeb(countingStats().store);
  const request = bytes(Buffer.concat([frame(bytes('a')), frame(bytes('bb'))]).toString('base64'));
  for (let at = 0; at <= request.length; at++) {
    const requestHeaders = headersOf({
      'content-type': 'application/grpc-web-text',
      accept: 'application/grpc-web-text+proto',
    });
    const it = begin(filter, { requestHeaders });
    it.run.requestData(request.subarray(0, at), false);
    it.run.requestData(request.subarray(at), true);
    const sent = it.stream.log.slice(1).map((line) => line.replace(/^data | ?end$/g, ''));
    t.equal(sent.join(''), '.....a.....bb');
    const head = headersOf(GRPC);
    it.run.responseHead(200, head, false);
    it.stream.log.length = 0;
    const split = Math.min(at, MESSAGES.length);
    it.run.responseData(MESSAGES.subarray(0, split), false);
    it.run.responseData(MESSAGES.subarray(split), false);
    it.run.responseTrailers(headersOf({ 'grpc-status': '0', 'grpc-message': 'm' }));
    t.equal(head.get('content-type'), 'application/grpc-web-text+proto');
    t.equal(
      it.stream.log.map((line) => line.replace(/^body | end$/g, '')).join(''),
      'AAAAAANvbmU=AAAAAAR0d28hgAAAAB9ncnBjLXN0YXR1czowDQpncnBjLW1lc3NhZ2U6bQ0K',
    );
    t.match(it.stream.log.at(-1), / end$/);
  }
});

t.test('gRPC-Web, bad base64', async (t) => {
  for (const body of ['AAAAAA', '!!!!notbase64', 'AA==AAAA']) {
    const requestHeaders = headersOf({ 'content-type': 'application/grpc-web-text' });
    const it = begin(compileGrpcWeb(countingStats().store), { requestHeaders });
    it.run.requestData(bytes(body), true);
    t.match(it.stream.log.at(-1), /^reply 400 Bad gRPC-web request, invalid base64 data\./);
  }
});

t.test('gRPC-Web, an answer that is not gRPC becomes an error', async (t) => {
  const filter = compileGrpcWeb(countingStats().store);
  const requestHeaders = (): HeaderMap => headersOf({ 'content-type': 'application/grpc-web' });
  const plain = headersOf({ 'content-type': 'text/plain', 'content-length': '10' });
  const it = begin(filter, { requestHeaders: requestHeaders() });
  answer(it, plain, bytes('plain text'), null);
  t.same(it.stream.log, ['route', 'head 200 end']);
  t.equal(plain.get('grpc-message'), 'plain text');
  t.equal(plain.get('grpc-status'), '2');
  t.equal(plain.get('content-length'), '0');
  t.equal(plain.get('content-type'), 'application/grpc-web+proto');
  const large = headersOf({ 'content-type': 'text/plain' });
  answer(begin(filter, { requestHeaders: requestHeaders() }), large, Buffer.alloc(100_000, 'x'), headersOf({}));
  t.equal(large.get('grpc-message')?.length, 16_384, 'no more than this is kept');
});

t.test('bridge', async (t) => {
  const filter = compileGrpcBridge({ kind: 'grpc_http1_bridge', upgradeProtobuf: false, ignoreQueryParameters: false });
  const started = (): Case => begin(filter, { requestHeaders: headersOf(GRPC), path: '/p.Svc/Unary?q=1' });
  const well = started();
  const head = headersOf(GRPC);
  answer(well, head, MESSAGES, headersOf({ 'grpc-status': '0', 'grpc-message': 'm' }));
  t.same(well.stream.log, ['route', 'head 200', 'body .....one.....two! end']);
  t.same(head.names, ['content-type', 'grpc-status', 'grpc-message', 'content-length']);
  t.equal(head.get('content-length'), '17');
  t.equal(well.stream.path, '/p.Svc/Unary?q=1');
  const failed = started();
  answer(failed, headersOf(GRPC), MESSAGES, headersOf({ 'grpc-status': '3' }));
  t.equal(failed.stream.log[1], 'head 503');
  const headOnly = started();
  answer(headOnly, headersOf({ ...GRPC, 'grpc-status': '5' }), null, null);
  t.same(headOnly.stream.log, ['route', 'head 200 end']);
  const large = started();
  answer(large, headersOf(GRPC), Buffer.alloc(1025), null);
  t.equal(large.stream.log[1], 'reply 500 Internal Server Error (response_payload_too_large)');
  const h2 = fakeStream({ requestHeaders: headersOf(GRPC), protocol: 'HTTP/2' });
  t.equal(filter.open(new FilterRun([], h2), 0), null, 'HTTP/2 has trailers');
});

t.test('bridge, bare Protobuf', async (t) => {
  const filter = compileGrpcBridge({ kind: 'grpc_http1_bridge', upgradeProtobuf: true, ignoreQueryParameters: true });
  const requestHeaders = headersOf({ 'content-type': 'application/x-protobuf', 'content-length': '5' });
  const it = begin(filter, { requestHeaders, path: '/p.Svc/Unary?q=2' });
  t.same(it.stream.log, ['route'], 'the body waits, the head does not');
  it.run.requestData(bytes('hel'), false);
  it.run.requestData(bytes('lo'), true);
  t.same(it.stream.log, ['route', 'data .....hello end']);
  t.same([requestHeaders.names, requestHeaders.values], [['content-type'], ['application/grpc']]);
  t.equal(it.stream.path, '/p.Svc/Unary');
  const head = headersOf(GRPC);
  answer(it, head, frame(bytes('one')), headersOf({ 'grpc-status': '0' }));
  t.equal(head.get('content-length'), '3');
  t.equal(it.stream.log.at(-1), 'body one end');
  const large = begin(filter, { requestHeaders: headersOf({ 'content-type': 'application/x-protobuf' }) });
  large.run.requestData(Buffer.alloc(1025), false);
  t.equal(large.stream.log[1], 'reply 413 Payload Too Large (request_payload_too_large)');
});

t.test('stats', async (t) => {
  const base: GrpcStatsModel = {
    kind: 'grpc_stats',
    emitFilterState: true,
    allMethods: false,
    allowlist: null,
    upstreamStats: false,
    replaceDots: false,
  };
  const { store, read } = countingStats();
  const call = (model: Partial<GrpcStatsModel>, path = '/p.Svc/Unary'): FakeStream => {
    const it = begin(compileGrpcStats({ ...base, ...model }, store), {
      requestHeaders: headersOf(GRPC),
      cluster: 'up',
      path,
    });
    it.run.requestData(frame(bytes('x')), true);
    answer(it, headersOf(GRPC), MESSAGES, headersOf({ 'grpc-status': '3' }));
    return it.stream;
  };
  const state = call({}).filterState?.get('envoy.filters.http.grpc_stats') as FilterStateObject;
  t.equal(state.plain(), '1,2');
  t.same(state.typed(), { request_message_count: '1', response_message_count: '2' });
  t.equal(read('cluster.up.grpc.3'), 1);
  t.equal(read('cluster.up.grpc.failure'), 1);
  t.equal(read('cluster.up.grpc.total'), 1);
  t.equal(read('cluster.up.grpc.request_message_count'), 1);
  t.equal(read('cluster.up.grpc.response_message_count'), 2);
  call({ allMethods: true });
  t.equal(read('cluster.up.grpc.p.Svc.Unary.total'), 1);
  call({ allMethods: true, replaceDots: true });
  t.equal(read('cluster.up.grpc.p_Svc.Unary.total'), 1);
  call({ allMethods: true }, '/not-grpc');
  t.equal(read('cluster.up.grpc.total'), 1, 'a path that names no method is not counted');
  const allowlist = [{ service: 'p.Svc', methods: ['Other'] }];
  call({ allowlist });
  t.equal(read('cluster.up.grpc.total'), 2, 'others are counted with the cluster');
  call({ allowlist }, '/p.Svc/Other');
  t.equal(read('cluster.up.grpc.p.Svc.Other.total'), 1);
});

t.test('the bridge collects small pieces whole', async (t) => {
  const filter = compileGrpcBridge({ kind: 'grpc_http1_bridge', upgradeProtobuf: true, ignoreQueryParameters: false });
  const requestHeaders = headersOf({ 'content-type': 'application/x-protobuf' });
  const it = begin(filter, { requestHeaders });
  const text = Array.from({ length: 999 }, (_, i) => i % 10).join('');
  for (let i = 0; i < text.length; i++) it.run.requestData(bytes(text[i] as string), i === text.length - 1);
  t.equal(it.stream.log.filter((line) => line.includes(text)).length, 1);
});
