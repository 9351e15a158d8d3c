// HTTP/2 pools against scripted hosts. Expected counters and connection counts were read off Envoy 1.40 for the same
// upstream behaviour.

import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { HeaderMap } from '../../proxy/codec/headers.ts';
import type { ClusterModel } from '../../proxy/config/model/cluster.ts';
import { HTTP2_CODEC } from '../../proxy/observe/catalogue-http2.ts';
import { setStrict } from '../../proxy/util/error.ts';
import type { sessionOn } from '../fixtures/h2.ts';
import { Http2Host, type Seen } from '../fixtures/h2-host.ts';
import { clusterModel, eventually, PICK, Recorder, Rig, withLimits } from '../fixtures/upstream.ts';

setStrict(true);

const ok = ({ session, stream }: Seen): void => session.respond(stream, 200, new HeaderMap(), true);

interface Test {
  teardown(fn: () => void): void;
}

async function setUp(
  t: Test,
  change: Partial<ClusterModel> | ((model: ClusterModel) => ClusterModel) = {},
  answer: ((seen: Seen) => void) | null = null,
  options: Parameters<typeof sessionOn>[2] = {},
): Promise<{ rig: Rig; host: Http2Host }> {
  const host = await new Http2Host(options, answer).listen();
  const model = clusterModel([host.port], { protocol: 'http2', ...(typeof change === 'function' ? {} : change) });
  const rig = new Rig(typeof change === 'function' ? change(model) : model);
  t.teardown(() => {
    rig.manager.close();
    host.close();
  });
  return { rig, host };
}

/** Options of HTTP/2 changed. */
const withHttp2 =
  (changes: Partial<ClusterModel['http2']>, others: Partial<ClusterModel> = {}) =>
  (model: ClusterModel): ClusterModel => ({ ...model, ...others, http2: { ...model.http2, ...changes } });

/** The codec's counts that are not zero. */
function codecCounts(rig: Rig): Record<string, number> {
  const block = rig.stats.block(HTTP2_CODEC, 'cluster.c.http2.');
  return Object.fromEntries(HTTP2_CODEC.names.map((name, i) => [name, block[i]]).filter(([, value]) => value !== 0));
}

t.test('many requests share one connection', async (t) => {
  const { rig, host } = await setUp(t);
  const waiting = Array.from({ length: 20 }, (_, i) => rig.start('GET', `/${i}`));
  await eventually(() => host.seen.length === 20);
  t.same(host.spread, [20]);
  t.match(rig.counts, { upstream_cx_total: 1, upstream_cx_http2_total: 1, upstream_rq_active: 20 });
  t.match(rig.counts, { upstream_rq_pending_total: 20, upstream_rq_total: 20 });
  t.match(codecCounts(rig), { streams_active: 20, nghttp2_upstream_connections: 1 });
  for (const seen of host.seen) ok(seen);
  await Promise.all(waiting.map(({ ended }) => ended));
  t.same(
    waiting.map(({ log }) => log.join()),
    Array<string>(20).fill('head 200 0 end'),
  );
  t.equal(waiting[0]?.stream?.protocol, 'HTTP/2');
  t.ok((waiting[0]?.stream?.connectStartMs ?? -1) >= 0, 'the first one waited for the connection');
  t.equal(waiting[1]?.stream?.connectStartMs, waiting[0]?.stream?.connectStartMs, 'as the others did');
  t.notOk(rig.counts['upstream_rq_active']);
});

t.test('how many connections', async (t) => {
  t.test('the configured limit counts before the peer has said its own', async (t) => {
    const { rig, host } = await setUp(t, withHttp2({ maxConcurrentStreams: 2 }));
    for (let i = 0; i < 5; i++) rig.start('GET', '/');
    await eventually(() => host.seen.length === 5);
    t.same(host.spread.sort(), [1, 2, 2]);
  });

  t.test('the peer’s limit holds from its settings on, and running streams stay', async (t) => {
    const { rig, host } = await setUp(t, {}, null, { maxConcurrentStreams: 2 });
    for (let i = 0; i < 2; i++) rig.start('GET', '/');
    await eventually(() => host.seen.length === 2);
    for (let i = 0; i < 2; i++) rig.start('GET', '/');
    await eventually(() => host.seen.length === 4);
    t.equal(host.connections, 2);
    ok(host.seen[0] as Seen);
    await eventually(() => rig.counts['upstream_rq_active'] === 3);
    rig.start('GET', '/');
    await eventually(() => host.seen.length === 5);
    t.equal((host.seen[4] as Seen).connection, 0, 'a place that became free is used');
  });

  t.test('max_requests_per_connection', async (t) => {
    const { rig, host } = await setUp(t, { maxRequestsPerConnection: 2 }, ok);
    for (let i = 0; i < 5; i++) await rig.get('/');
    t.same(host.spread, [2, 2, 1]);
    t.match(rig.counts, { upstream_cx_max_requests: 2, upstream_cx_destroy_local: 2, upstream_cx_active: 1 });
  });

  t.test('who waits is served when a stream ends', async (t) => {
    const limits = (model: ClusterModel) =>
      withLimits(withHttp2({ maxConcurrentStreams: 1 })(model), { maxConnections: 1 });
    const { rig, host } = await setUp(t, limits);
    const all = Array.from({ length: 3 }, () => rig.start('GET', '/'));
    for (let i = 0; i < 3; i++) {
      await eventually(() => host.seen.length === i + 1);
      ok(host.seen[i] as Seen);
    }
    await Promise.all(all.map(({ ended }) => ended));
    t.same(host.spread, [3]);
    t.equal(rig.counts['upstream_cx_overflow'], 4, 'asked for again whenever one of them is served');
  });
});

t.test('breakers', async (t) => {
  const first = async (rig: Rig, host: Http2Host): Promise<void> => {
    rig.start('GET', '/');
    await eventually(() => host.seen.length === 1);
  };
  t.test('max_requests counts streams', async (t) => {
    const { rig, host } = await setUp(t, (model) => withLimits(model, { maxRequests: 2 }));
    await first(rig, host);
    rig.start('GET', '/');
    const third = rig.start('GET', '/');
    t.same(third.log, ['pool_failure overflow  host']);
    t.match(rig.counts, { upstream_rq_active_overflow: 1, upstream_rq_active: 2 });
  });
  t.test('max_pending_requests', async (t) => {
    const { rig } = await setUp(t, (model) => withLimits(model, { maxPendingRequests: 2 }));
    const [, , third] = [rig.start('GET', '/'), rig.start('GET', '/'), rig.start('GET', '/')];
    t.same(third.log, ['pool_failure overflow  -']);
    t.match(rig.counts, { upstream_rq_pending_overflow: 1, upstream_rq_pending_total: 2 });
  });
  t.test('max_connections bites the second connection, not the first', async (t) => {
    const model = (model: ClusterModel) =>
      withLimits(withHttp2({ maxConcurrentStreams: 1 })(model), { maxConnections: 0 });
    const { rig, host } = await setUp(t, model);
    await first(rig, host);
    rig.start('GET', '/');
    t.match(rig.counts, { upstream_cx_total: 1, upstream_cx_overflow: 2, upstream_rq_pending_active: 1 });
  });
});

t.test('ends of connections', async (t) => {
  t.test('GOAWAY: what was begun is finished, what was not may be sent anywhere', async (t) => {
    const { rig, host } = await setUp(t);
    const all = Array.from({ length: 3 }, (_, i) => rig.start('POST', `/${i}`));
    await eventually(() => host.seen.length === 3);
    const { socket } = host.seen[0] as Seen;
    socket.write(Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0]));
    await all[2]?.ended;
    t.same(all[2]?.log, ['reset remote_refused_stream replay any']);
    t.same(all[1]?.log, []);
    rig.start('GET', '/after');
    await eventually(() => host.seen.length === 4);
    t.equal((host.seen[3] as Seen).connection, 1, 'nothing new goes to a peer that is leaving');
    ok(host.seen[0] as Seen);
    ok(host.seen[1] as Seen);
    await Promise.all([all[0]?.ended, all[1]?.ended]);
    t.same(all[1]?.log, ['head 200 0 end']);
    await eventually(() => rig.counts['upstream_cx_active'] === 1);
    t.match(rig.counts, { upstream_cx_close_notify: 1, upstream_cx_destroy_local: 1 });
    t.notOk(rig.counts['upstream_cx_destroy_with_active_rq']);
  });

  t.test('a connection that had answered dies: what had no answer is stale', async (t) => {
    const { rig, host } = await setUp(t, {}, (seen) => {
      if (seen.path === '/ok') ok(seen);
    });
    await rig.get('/ok');
    const [one, two] = [rig.start('GET', '/1'), rig.start('GET', '/2')];
    await eventually(() => host.seen.length === 3);
    (host.seen[2] as Seen).session.respond((host.seen[2] as Seen).stream, 200, new HeaderMap(), false);
    await two.logged('head');
    (host.seen[0] as Seen).socket.destroy();
    await Promise.all([one.ended, two.ended]);
    t.same(one.log, ['reset connection_termination replay idempotent']);
    t.same(two.log, ['head 200 0', 'reset connection_termination']);
    t.match(rig.counts, { upstream_cx_destroy_remote_with_active_rq: 1, upstream_rq_pending_failure_eject: 2 });
  });

  t.test('a new connection that dies is no stale one', async (t) => {
    const { rig } = await setUp(t, {}, ({ socket }) => socket.destroy());
    const { log } = await rig.get('/');
    t.same(log, ['reset connection_termination']);
  });

  t.test('drained: idle ones close, busy ones finish', async (t) => {
    const { rig, host } = await setUp(t);
    const one = rig.start('GET', '/');
    await eventually(() => host.seen.length === 1);
    rig.manager.apply([], ['c']);
    ok(host.seen[0] as Seen);
    await one.ended;
    t.same(one.log, ['head 200 0 end']);
    await eventually(() => host.sockets.size === 0);
  });

  t.test('idle time-out, and not while streams run', async (t) => {
    const { rig, host } = await setUp(t, { idleTimeoutMs: 60 });
    const one = rig.start('GET', '/');
    await eventually(() => host.seen.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 120));
    t.notOk(rig.counts['upstream_cx_idle_timeout']);
    ok(host.seen[0] as Seen);
    await one.ended;
    await eventually(() => rig.counts['upstream_cx_idle_timeout'] === 1);
    t.match(rig.counts, { upstream_cx_destroy_local: 1 });
  });

  t.test('max_connection_duration', async (t) => {
    const { rig, host } = await setUp(t, { maxConnectionDurationMs: 50 });
    const one = rig.start('GET', '/');
    await eventually(() => rig.counts['upstream_cx_max_duration_reached'] === 1);
    rig.start('GET', '/');
    await eventually(() => host.connections === 2);
    ok(host.seen[0] as Seen);
    await one.ended;
    t.same(one.log, ['head 200 0 end']);
    await eventually(() => rig.counts['upstream_cx_active'] === 1);
  });

  t.test('no answer to a PING', async (t) => {
    const keepalive = { intervalMs: 20, timeoutMs: 20, jitterPercent: 0, idleIntervalMs: 0 };
    const { rig } = await setUp(t, withHttp2({ keepalive }), ({ socket }) => socket.pause());
    const { log } = await rig.get('/');
    t.same(log, ['reset connection_termination']);
    t.match(codecCounts(rig), { keepalive_timeout: 1 });
    t.match(rig.counts, { upstream_cx_destroy_local_with_active_rq: 1 });
  });

  t.test('a connect that fails, fails everybody', async (t) => {
    const { rig, host } = await setUp(t);
    host.server.close();
    await once(host.server, 'close');
    const all = [rig.start('GET', '/'), rig.start('GET', '/')];
    await Promise.all(all.map(({ ended }) => ended));
    for (const { log } of all) t.match(log[0], /^pool_failure connect_failure delayed connect error/);
    t.match(rig.counts, { upstream_cx_connect_fail: 1, upstream_rq_pending_failure_eject: 2 });
  });
});

t.test('bodies against node:http2, both ways, through small windows', async (t) => {
  const BODY = Buffer.alloc(300_000, 'x');
  const server = http2.createServer({ settings: { initialWindowSize: 20_000 } });
  server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    stream.on('end', () => {
      stream.respond(
        { ':status': 200, 'x-bytes': String(bytes), 'x-te': String(headers['te']) },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-end': '1' }));
      stream.end(BODY);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const changed = withHttp2(
    { initialStreamWindowBytes: 65_535, initialConnectionWindowBytes: 65_535 },
    { protocol: 'http2' },
  );
  const rig = new Rig(changed(clusterModel([(server.address() as AddressInfo).port])));
  t.teardown(() => {
    rig.manager.close();
    server.close();
  });
  const recorder = new Recorder();
  let sent = 0;
  const send = (): void => {
    const { stream } = recorder;
    while (stream !== null && sent < BODY.length) {
      sent += 10_000;
      if (!stream.sendData(BODY.subarray(sent - 10_000, sent), sent >= BODY.length)) return;
    }
  };
  recorder.onReadyDo = (stream) => {
    const headers = new HeaderMap();
    headers.add('te', 'trailers');
    stream.sendHead('POST', 'http', 'h', '/', headers, false);
    queueMicrotask(send);
  };
  const onDrain = recorder.onDrain.bind(recorder);
  recorder.onDrain = (): void => {
    onDrain();
    send();
  };
  let holding = 0;
  recorder.onDataDo = () => {
    const { stream } = recorder;
    if (stream === null || holding++ % 5 !== 0) return;
    stream.hold();
    setTimeout(() => stream.release(), 1);
  };
  rig.cluster.startStream(PICK, recorder);
  await recorder.ended;
  t.equal(recorder.bytes, BODY.length);
  t.equal(recorder.log.at(-1), 'trailers x-end');
  t.match(recorder.log[0], /^head 200|^drain/);
  t.ok((recorder.stream?.wireBytesSent ?? 0) > BODY.length);
  const { counts } = rig;
  t.equal(counts['upstream_flow_control_paused_reading_total'], counts['upstream_flow_control_resumed_reading_total']);
});

t.test('a held stream takes no more than its window, and holds up no other', async (t) => {
  let answered = 0;
  const { rig, host } = await setUp(t, withHttp2({ initialStreamWindowBytes: 65_535 }), (seen) => {
    seen.session.respond(seen.stream, 200, new HeaderMap(), false);
    const big = seen.path === '/big';
    seen.session.sendData(seen.stream, Buffer.alloc(big ? 200_000 : 10, 'y'), true);
    answered++;
  });
  const big = rig.start('GET', '/big');
  big.onHeadDo = () => big.stream?.hold();
  await eventually(() => answered === 1);
  const { body } = await rig.get('/small');
  t.equal(body.length, 10);
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal(big.bytes, 0);
  t.ok((big.stream?.wireBytesReceived ?? 0) <= 66_000, 'no more than a window is on its way');
  big.stream?.release();
  await big.ended;
  t.equal(big.bytes, 200_000);
  t.equal(host.connections, 1);
});

t.test('abandoned', async (t) => {
  const { rig, host } = await setUp(t);
  const one = rig.start('GET', '/1');
  const two = rig.start('GET', '/2');
  await eventually(() => host.seen.length === 2);
  one.stream?.reset();
  await eventually(() => (host.seen[0] as Seen).stream.over);
  t.same(one.log, []);
  ok(host.seen[1] as Seen);
  await two.ended;
  t.same(two.log, ['head 200 0 end'], 'the others do not notice');
  t.match(rig.counts, { upstream_rq_tx_reset: 1, upstream_cx_active: 1 });
  t.match(codecCounts(rig), { tx_reset: 1 });
});

t.test('which protocol', async (t) => {
  const info = (protocol: string) => ({ ...PICK, info: { protocol, connection: {} } as typeof PICK.info });
  const { rig, host } = await setUp(t, { protocol: 'downstream' }, ok);
  const recorder = new Recorder();
  recorder.onReadyDo = (stream) => stream.sendHead('GET', 'http', 'h', '/', new HeaderMap(), true);
  rig.cluster.startStream(info('HTTP/2'), recorder);
  await recorder.ended;
  t.equal(recorder.stream?.protocol, 'HTTP/2');
  const older = new Recorder();
  rig.cluster.startStream(info('HTTP/1.0'), older);
  await eventually(() => older.stream !== null);
  t.equal(older.stream?.protocol, 'HTTP/1.1');
  t.equal(host.connections, 2);
});
