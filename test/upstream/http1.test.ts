// The HTTP/1 exchange and its pool against scripted hosts. Expected counters were read off Envoy 1.40 for the same
// upstream behaviour.

import type { Socket } from 'node:net';
import t from 'tap';
import { HeaderMap } from '../../proxy/codec/headers.ts';
import type { ClusterModel } from '../../proxy/config/model/cluster.ts';
import type { Dial } from '../../proxy/net/dial.ts';
import { setStrict } from '../../proxy/util/error.ts';
import {
  clusterModel,
  endpoint,
  eventually,
  locality,
  PICK,
  Recorder,
  Rig,
  ScriptedHost,
  withLimits,
} from '../fixtures/upstream.ts';

setStrict(true);

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';
/** What one exchange on one new connection always counts. */
const BASE = { membership_change: 1, membership_healthy: 1, membership_total: 1, upstream_cx_total: 1 };
const ONE = { ...BASE, upstream_cx_http1_total: 1, upstream_rq_pending_total: 1, upstream_rq_total: 1 };
const LOCAL = { upstream_cx_destroy: 1, upstream_cx_destroy_local: 1 };
const LOCAL_ACTIVE = { ...LOCAL, upstream_cx_destroy_local_with_active_rq: 1, upstream_cx_destroy_with_active_rq: 1 };
const REMOTE = { upstream_cx_destroy: 1, upstream_cx_destroy_remote: 1 };
const REMOTE_ACTIVE = {
  ...REMOTE,
  upstream_cx_destroy_remote_with_active_rq: 1,
  upstream_cx_destroy_with_active_rq: 1,
};

/** What `rig` needs of a tap test. */
interface Test {
  teardown(fn: () => Promise<void>): void;
}

async function rig(
  t: Test,
  script: (socket: Socket, path: string, connection: number) => void,
  change: (model: ClusterModel) => ClusterModel = (model) => model,
): Promise<{ rig: Rig; host: ScriptedHost }> {
  const host = await ScriptedHost.listen(script);
  const rig = new Rig(change(clusterModel([host.port])));
  t.teardown(async () => {
    rig.manager.close();
    await host.close();
  });
  return { rig, host };
}

interface Case {
  readonly name: string;
  readonly bytes: string;
  readonly after?: 'end' | 'rst' | 'more';
  readonly log: readonly string[];
  readonly body?: string;
  readonly counts: Record<string, number>;
  readonly host?: Record<string, number>;
}

const CASES: readonly Case[] = [
  {
    name: 'content-length',
    bytes: OK,
    log: ['head 200 1', 'end'],
    body: 'ok',
    counts: { ...ONE, upstream_cx_active: 1 },
    host: { cx_active: 1, cx_total: 1, rq_success: 1, rq_total: 1 },
  },
  {
    name: 'no body',
    bytes: 'HTTP/1.1 204 No Content\r\n\r\n',
    log: ['head 204 0 end'],
    counts: { ...ONE, upstream_cx_active: 1 },
  },
  {
    name: 'chunked',
    bytes: 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nt: v\r\n\r\n',
    log: ['head 200 0', 'end'],
    body: 'abcde',
    counts: { ...ONE, upstream_cx_active: 1 },
  },
  {
    name: '1xx before the response',
    bytes: `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n${OK}`,
    log: ['informational 100', 'informational 103', 'head 200 1', 'end'],
    body: 'ok',
    counts: { ...ONE, upstream_cx_active: 1 },
  },
  {
    name: 'a 5xx is an error of the host',
    bytes: 'HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n',
    log: ['head 500 1 end'],
    counts: { ...ONE, upstream_cx_active: 1 },
    host: { cx_active: 1, cx_total: 1, rq_error: 1, rq_total: 1 },
  },
  {
    name: 'connection: close',
    bytes: 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok',
    log: ['head 200 2', 'end'],
    body: 'ok',
    counts: { ...ONE, ...LOCAL, upstream_cx_close_notify: 1 },
  },
  {
    name: 'HTTP/1.0',
    bytes: 'HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok',
    log: ['head 200 1', 'end'],
    body: 'ok',
    counts: { ...ONE, ...LOCAL, upstream_cx_close_notify: 1 },
  },
  {
    name: 'HTTP/1.0 keep-alive',
    bytes: 'HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok',
    log: ['head 200 2', 'end'],
    body: 'ok',
    counts: { ...ONE, upstream_cx_active: 1 },
  },
  {
    name: 'a body up to the end of the connection',
    bytes: 'HTTP/1.1 200 OK\r\n\r\nhello',
    after: 'end',
    log: ['head 200 0', 'end'],
    body: 'hello',
    counts: { ...ONE, ...REMOTE },
  },
  {
    name: 'bytes behind the response, same write',
    bytes: `${OK}EXTRA`,
    log: ['head 200 1', 'end'],
    body: 'ok',
    counts: { ...ONE, ...LOCAL, upstream_cx_protocol_error: 1 },
  },
  {
    name: 'a response that nobody asked for',
    bytes: OK,
    after: 'more',
    log: ['head 200 1', 'end'],
    body: 'ok',
    counts: { ...ONE, ...LOCAL, upstream_cx_protocol_error: 1 },
  },
  {
    name: 'garbage',
    bytes: 'GARBAGE\r\n\r\n',
    log: ['reset protocol_error'],
    counts: { ...ONE, ...LOCAL_ACTIVE, upstream_cx_protocol_error: 1 },
    host: { cx_total: 1, rq_error: 1, rq_total: 1 },
  },
  {
    name: 'a bad chunk',
    bytes: 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n',
    log: ['head 200 0', 'reset protocol_error'],
    body: 'hello',
    counts: { ...ONE, ...LOCAL_ACTIVE, upstream_cx_protocol_error: 1 },
  },
  {
    name: 'the end in the middle of a body',
    bytes: 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nok',
    after: 'end',
    log: ['head 200 1', 'reset protocol_error'],
    body: 'ok',
    counts: { ...ONE, ...REMOTE_ACTIVE, upstream_cx_protocol_error: 1 },
  },
  {
    name: 'the end in the middle of a head',
    bytes: 'HTTP/1.1 200 OK\r\ncontent-le',
    after: 'end',
    log: ['reset protocol_error'],
    counts: { ...ONE, ...REMOTE_ACTIVE, upstream_cx_protocol_error: 1 },
  },
  {
    name: 'the end before any byte',
    bytes: '',
    after: 'end',
    log: ['reset connection_termination'],
    counts: { ...ONE, ...REMOTE_ACTIVE },
    host: { cx_total: 1, rq_error: 1, rq_total: 1 },
  },
  {
    name: 'a reset before any byte',
    bytes: '',
    after: 'rst',
    log: ['reset connection_termination'],
    counts: { ...ONE, ...REMOTE_ACTIVE },
  },
];

for (const mode of ['whole', 'byte by byte'] as const) {
  for (const c of CASES) {
    t.test(`${c.name}, ${mode}`, async (t) => {
      const { rig: r, host } = await rig(t, (socket) => void play(socket, c, mode));
      const recorder = await r.get('/x');
      if (c.after === 'more' || c.name.startsWith('bytes behind'))
        await eventually(() => r.counts['upstream_cx_destroy'] === 1);
      t.strictSame(recorder.log, c.log);
      t.equal(recorder.body, c.body ?? '');
      t.strictSame(r.counts, c.counts);
      if (c.host !== undefined) t.strictSame(r.stats.ofHost('c', `127.0.0.1:${host.port}`), c.host);
    });
  }
}

async function play(socket: Socket, c: Case, mode: 'whole' | 'byte by byte'): Promise<void> {
  if (mode === 'whole') socket.write(c.bytes, 'latin1');
  else
    for (const byte of c.bytes) {
      socket.write(byte, 'latin1');
      await new Promise((resolve) => setImmediate(resolve));
    }
  // The peer must have read everything before a reset throws it away.
  if (c.after !== undefined) await new Promise((resolve) => setTimeout(resolve, 20));
  if (c.after === 'end') socket.end();
  else if (c.after === 'rst') socket.resetAndDestroy();
  else if (c.after === 'more') socket.write(OK);
}

t.test('a connection is used again, the last used first', async (t) => {
  const { rig: r, host } = await rig(t, (socket, path) => {
    if (path !== '/held') socket.write(OK);
  });
  for (let i = 0; i < 5; i++) t.strictSame((await r.get('/x')).log, ['head 200 1', 'end']);
  t.equal(host.connections, 1);
  const held = r.start('GET', '/held');
  await r.get('/y');
  t.equal(host.connections, 2, 'a second one for a second request at the same time');
  const { connectStartMs = -1, connectEndMs = -1 } = held.stream ?? {};
  t.ok(connectStartMs >= 0 && connectEndMs >= connectStartMs, 'an idle connection says when it was made');
  (held.stream as NonNullable<typeof held.stream>).reset();
  await r.get('/z');
  t.match(host.seen[1], /GET \/z/, 'the one that is left');
  t.equal(r.counts['upstream_rq_pending_total'], 2);
  t.equal(r.counts['upstream_cx_destroy_local_with_active_rq'], 1);
  t.equal(r.stats.samples.get('cluster.c.upstream_rq_per_cx')?.[0], 6);
});

t.test('startStream on an idle connection is ready before it returns', async (t) => {
  const { rig: r } = await rig(t, (socket) => socket.write(OK));
  await r.get('/x');
  const second = r.start('GET', '/y');
  t.equal(second.pending, null);
  t.ok(second.stream);
  await second.ended;
});

t.test('a request started from inside the end of another finds its connection', async (t) => {
  const { rig: r, host } = await rig(t, (socket) => socket.write(OK));
  const first = r.start('GET', '/first');
  let second: Recorder | null = null;
  first.onDataDo = () => {
    second = r.start('GET', '/second');
  };
  await first.ended;
  const next = second as Recorder | null;
  await next?.ended;
  t.equal(host.connections, 1);
  t.strictSame(next?.log, ['head 200 1', 'end']);
});

t.test('a stale stream object cannot touch the next request', async (t) => {
  const { rig: r } = await rig(t, (socket, path) => {
    if (path === '/first') socket.write(OK);
    else setTimeout(() => socket.write(OK), 20);
  });
  const first = await r.get('/first');
  const second = r.start('GET', '/second');
  first.stream?.reset();
  first.stream?.hold();
  first.stream?.sendData(Buffer.from('x'), true);
  await second.ended;
  t.strictSame(second.log, ['head 200 1', 'end']);
});

t.test('an idle connection that the host closed is noticed; a race is told as replay idempotent', async (t) => {
  const { rig: r, host } = await rig(t, (socket, path) => {
    if (path === '/die') socket.end();
    else socket.write(OK);
  });
  await r.get('/x');
  for (const socket of host.sockets) socket.end();
  await eventually(() => r.counts['upstream_cx_destroy_remote'] === 1);
  t.strictSame(r.counts['upstream_cx_destroy_with_active_rq'], undefined);
  await r.get('/y');
  t.strictSame((await r.get('/die')).log, ['reset connection_termination replay idempotent']);
  t.strictSame((await r.get('/die')).log, ['reset connection_termination'], 'not on a fresh one');
});

t.test('request bodies: content-length, chunked, trailers', async (t) => {
  const { rig: r, host } = await rig(
    t,
    (socket, path) => {
      if (path === '/empty') socket.write(OK);
    },
    (model) => ({ ...model, http1: { ...model.http1, enableTrailers: true } }),
  );
  const send = async (path: string, length: boolean, act: (stream: NonNullable<Recorder['stream']>) => void) => {
    const headers = new HeaderMap();
    if (length) headers.add('content-length', '5');
    const recorder = r.start('POST', path, false);
    recorder.onReadyDo = (stream) => {
      stream.sendHead('POST', 'http', 'h', path, headers, false);
      act(stream);
    };
    await eventually(() => recorder.stream !== null);
    return recorder;
  };
  const sent = await send('/length', true, (s) => {
    s.sendData(Buffer.from('he'), false);
    s.sendData(Buffer.from('llo'), true);
  });
  await eventually(() => host.seen[0]?.endsWith('hello') === true);
  t.equal(host.seen[0], 'POST /length HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhello');
  t.equal(sent.stream?.wireBytesSent, host.seen[0]?.length);
  const chunked = await send('/chunked', false, (s) => {
    s.sendData(Buffer.from('hello'), false);
    s.sendData(new Uint8Array(0), false);
    s.sendData(Buffer.alloc(20_000, 'x'), false);
    s.sendData(new Uint8Array(0), true);
  });
  const expected = `POST /chunked HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n4e20\r\n${'x'.repeat(20_000)}\r\n0\r\n\r\n`;
  await eventually(() => host.seen[1]?.length === expected.length);
  t.equal(host.seen[1], expected);
  t.equal(chunked.stream?.wireBytesSent, expected.length);
  await send('/trailers', false, (s) => {
    s.sendData(Buffer.from('hello'), false);
    const trailers = new HeaderMap();
    trailers.add('t', 'v');
    s.sendTrailers(trailers);
  });
  await eventually(() => host.seen[2]?.endsWith('t: v\r\n\r\n') === true);
  t.match(host.seen[2], /5\r\nhello\r\n0\r\nt: v\r\n\r\n$/);
});

t.test('a response before the end of the request ends the connection', async (t) => {
  const { rig: r, host } = await rig(t, (socket) => socket.write(OK));
  const recorder = r.start('POST', '/early', false);
  await recorder.ended;
  t.strictSame(recorder.log, ['head 200 1', 'end']);
  t.strictSame(r.counts, { ...ONE, ...LOCAL_ACTIVE });
  t.equal(recorder.stream?.sendData(Buffer.from('late'), true), true);
  await eventually(() => host.sockets.size === 0);
});

t.test('max_requests_per_connection', async (t) => {
  const { rig: r, host } = await rig(
    t,
    (socket) => socket.write(OK),
    (model) => ({ ...model, maxRequestsPerConnection: 3 }),
  );
  for (let i = 0; i < 7; i++) await r.get('/x');
  t.equal(host.connections, 3);
  t.equal(r.counts['upstream_cx_max_requests'], 2);
  t.equal(r.counts['upstream_cx_destroy_local'], 2);
});

t.test('idle timeout and maximum duration', async (t) => {
  const { rig: r } = await rig(
    t,
    (socket, path) => {
      if (path === '/slow') setTimeout(() => socket.write(OK), 150);
      else socket.write(OK);
    },
    (model) => ({ ...model, idleTimeoutMs: 60 }),
  );
  await r.get('/slow');
  t.equal(r.counts['upstream_cx_idle_timeout'], undefined, 'a busy connection is not idle');
  await eventually(() => r.counts['upstream_cx_idle_timeout'] === 1);
  t.equal(r.counts['upstream_cx_destroy_local'], 1);

  const { rig: d, host } = await rig(
    t,
    (socket, path) => {
      if (path === '/slow') setTimeout(() => socket.write(OK), 150);
      else socket.write(OK);
    },
    (model) => ({ ...model, maxConnectionDurationMs: 60 }),
  );
  t.strictSame((await d.get('/slow')).log, ['head 200 1', 'end'], 'a running exchange is finished');
  t.equal(d.counts['upstream_cx_max_duration_reached'], 1);
  await d.get('/x');
  t.equal(host.connections, 2);
});

t.test('connect failures fail everybody who waits', async (t) => {
  const closed = await ScriptedHost.listen(() => {});
  const { port } = closed;
  await closed.close();
  const r = new Rig(clusterModel([port]));
  const recorders = [r.start('GET', '/a'), r.start('GET', '/b')];
  await Promise.all(recorders.map((recorder) => recorder.ended));
  for (const { log } of recorders)
    t.strictSame(log, ['pool_failure connect_failure delayed connect error: Connection refused host']);
  await eventually(() => r.counts['upstream_cx_active'] === undefined);
  t.equal(r.counts['upstream_rq_pending_failure_eject'], 2);
  t.equal(r.counts['upstream_cx_connect_fail'], 2);
  t.equal(r.counts['upstream_cx_destroy_remote'], 2);
  t.equal(r.counts['upstream_rq_total'], undefined);
  t.equal(r.stats.ofHost('c', `127.0.0.1:${port}`)['rq_error'], 2);
});

t.test('a Unix socket that is not there, an address that is not ours', async (t) => {
  const path = '/tmp/outrigger-no-such.sock';
  const pipe = clusterModel([1]);
  const local = pipe.localities[0] as NonNullable<(typeof pipe.localities)[0]>;
  const endpoints = local.endpoints.map((e) => ({ ...e, address: { kind: 'pipe' as const, path, mode: 0 } }));
  const p = new Rig({ ...pipe, localities: [{ ...local, endpoints }] });
  t.strictSame((await p.get('/')).log, [
    `pool_failure connect_failure immediate connect error: No such file or directory|remote address:${path} host`,
  ]);
  const source = { address: '198.51.100.1', port: 0, socketOptions: [] };
  const bind = { sources: [source], freebind: false, socketOptions: [] };
  const b = new Rig(clusterModel([1], { bind }));
  t.strictSame((await b.get('/')).log, [
    'pool_failure local_connect_failure failed to bind to 198.51.100.1:0: Cannot assign requested address host',
  ]);
  t.strictSame(b.counts, {
    ...BASE,
    ...LOCAL,
    bind_errors: 1,
    upstream_cx_connect_fail: 1,
    upstream_cx_http1_total: 1,
    upstream_rq_pending_failure_eject: 1,
    upstream_rq_pending_total: 1,
  });
});

t.test('the other addresses of a host are tried in order', async (t) => {
  const { rig: r, host } = await rig(t, (socket) => socket.write(OK));
  const closed = await ScriptedHost.listen(() => {});
  const refused = {
    kind: 'socket',
    protocol: 'tcp',
    address: '127.0.0.1',
    port: closed.port,
    ipv4Compat: false,
  } as const;
  await closed.close();
  const good = { ...refused, port: host.port };
  const one = endpoint(refused.port, { additionalAddresses: [refused, good] });
  r.manager.updateHosts('c', [locality([one])]);
  t.strictSame((await r.get('/')).log, ['head 200 1', 'end']);
  t.equal(r.counts['upstream_cx_total'], 1, 'one connection in the books');
  t.equal(r.counts['upstream_cx_connect_fail'], undefined);
});

t.test('connect timeout', async (t) => {
  const { rig: r, host } = await rig(t, () => {});
  // A dialler whose connections never become usable, as behind a packet filter.
  const silent: Dial = (target, handler, names) =>
    r.env.dial(
      target,
      {
        onConnect() {},
        onData() {},
        onEnd() {},
        onDrain() {},
        onClose: (error) => handler.onClose(error),
      },
      names,
    );
  const slow = new Rig(clusterModel([host.port], { connectTimeoutMs: 30 }), { dial: silent });
  t.strictSame((await slow.get('/')).log, ['pool_failure connect_timeout  host']);
  t.strictSame(slow.counts, {
    ...BASE,
    ...LOCAL,
    upstream_cx_connect_fail: 1,
    upstream_cx_connect_timeout: 1,
    upstream_cx_http1_total: 1,
    upstream_rq_pending_failure_eject: 1,
    upstream_rq_pending_total: 1,
  });
});

t.test('no host', async (t) => {
  const r = new Rig(clusterModel([]));
  t.strictSame((await r.get('/')).log, ['pool_failure no_healthy_host  -']);
  t.strictSame(r.counts, { upstream_cx_none_healthy: 1, lb_healthy_panic: 1 });
});

t.test('breakers: one connection, one waiting, overflow', async (t) => {
  const { rig: r, host } = await rig(
    t,
    (socket, path) => {
      if (path === '/slow') setTimeout(() => socket.write(OK), 50);
      else socket.write(OK);
    },
    (model) =>
      withLimits(
        { ...model, trackRemaining: { default: true, high: false } },
        { maxConnections: 1, maxPendingRequests: 1 },
      ),
  );
  await r.get('/first');
  t.equal(r.counts['circuit_breakers.default.cx_open'], 1);
  const slow = r.start('GET', '/slow');
  const waiting = r.start('GET', '/waits');
  t.equal(r.counts['circuit_breakers.default.rq_pending_open'], 1);
  const third = r.start('GET', '/third');
  t.strictSame(third.log, ['pool_failure overflow  -'], 'no host is named, as in Envoy');
  t.equal(r.counts['upstream_rq_pending_overflow'], 1);
  t.equal(r.counts['upstream_cx_overflow'], 1);
  await Promise.all([slow.ended, waiting.ended]);
  t.strictSame(waiting.log, ['head 200 1', 'end']);
  t.equal(host.connections, 1);
  t.equal(r.counts['circuit_breakers.default.rq_pending_open'], undefined);
  t.equal(r.counts['upstream_rq_pending_active'], undefined);
  t.equal(r.counts['upstream_rq_active'], undefined);
});

t.test('breakers: max_requests, cancelled waits, the first connection of a pool in spite of the limit', async (t) => {
  const { rig: r } = await rig(
    t,
    (socket, path) => {
      if (path !== '/held') socket.write(OK);
    },
    (model) => withLimits(model, { maxConnections: 0, maxRequests: 1 }),
  );
  const held = r.start('GET', '/held');
  await eventually(() => held.stream !== null);
  const waits = r.start('GET', '/waits');
  waits.pending?.cancel();
  waits.pending?.cancel();
  t.equal(r.counts['upstream_rq_cancelled'], 1);
  t.equal(r.counts['circuit_breakers.default.rq_open'], 1);
  held.stream?.reset();
  t.equal(r.counts['circuit_breakers.default.rq_open'], undefined);
  t.strictSame((await r.get('/next')).log, ['head 200 1', 'end']);
});

t.test('breakers: a request too many is told when it could be sent', async (t) => {
  const { rig: r } = await rig(
    t,
    (socket, path) => {
      if (path !== '/held') socket.write(OK);
    },
    (model) => withLimits(model, { maxRequests: 1 }),
  );
  const held = r.start('GET', '/held');
  await eventually(() => held.stream !== null);
  const second = await r.get('/second');
  t.strictSame(second.log, ['pool_failure overflow  host'], 'when its connection is there');
  const third = r.start('GET', '/third');
  t.strictSame(third.log, ['pool_failure overflow  host'], 'at once on an idle one');
  t.equal(r.counts['upstream_rq_active_overflow'], 2);
  t.equal(r.counts['upstream_rq_pending_overflow'], undefined);
  t.equal(r.counts['upstream_rq_total'], 1);
});

t.test('hold stops reading; nothing is lost and nothing comes meanwhile', async (t) => {
  const size = 8_000_000;
  const { rig: r } = await rig(t, (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`);
    socket.write(Buffer.alloc(size, 'a'));
  });
  const recorder = r.start('GET', '/big');
  recorder.onHeadDo = () => recorder.stream?.hold();
  await recorder.logged('head');
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.equal(recorder.bytes, 0, 'held from the head on');
  t.ok((recorder.stream?.wireBytesReceived ?? 0) < 300_000, 'the rest stays with the kernel');
  let holds = 0;
  recorder.onDataDo = () => {
    if (holds++ % 10 !== 0) return;
    recorder.stream?.hold();
    setImmediate(() => recorder.stream?.release());
  };
  recorder.stream?.release();
  await recorder.ended;
  t.equal(recorder.bytes, size);
  t.equal(
    r.counts['upstream_flow_control_paused_reading_total'],
    r.counts['upstream_flow_control_resumed_reading_total'],
  );
  t.strictSame((await r.get('/big')).log, ['head 200 1', 'end'], 'and the connection is as good as before');
  t.equal(r.counts['upstream_cx_total'], 1);
});

t.test('sendData above the watermark, drain below it', async (t) => {
  const { rig: r, host } = await rig(
    t,
    (socket) => socket.pause(),
    (model) => ({ ...model, perConnectionBufferLimitBytes: 32_768 }),
  );
  const recorder = r.start('POST', '/', false);
  await eventually(() => recorder.stream !== null);
  await eventually(() => (host.seen[0]?.length ?? 0) > 0);
  const chunk = Buffer.alloc(65_536);
  let sent = 0;
  while (recorder.stream?.sendData(chunk, false) && sent < 1_000) sent++;
  t.ok(sent < 1_000, `backed up after ${sent} chunks`);
  t.equal(r.counts['upstream_flow_control_backed_up_total'], 1);
  for (const socket of host.sockets) socket.resume();
  await recorder.logged('drain');
  t.equal(r.counts['upstream_flow_control_drained_total'], 1);
  recorder.stream?.reset();
});

t.test('HEAD, and a body where none may be', async (t) => {
  const { rig: r } = await rig(t, (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n'));
  const recorder = r.start('HEAD', '/');
  await recorder.ended;
  t.strictSame(recorder.log, ['head 200 1 end']);
  t.equal(r.counts['upstream_cx_active'], 1);
});

t.test('replacing hosts: the old ones finish what runs and close', async (t) => {
  const { rig: r, host } = await rig(t, (socket, path) => {
    if (path === '/slow') setTimeout(() => socket.write(OK), 40);
    else socket.write(OK);
  });
  const other = await ScriptedHost.listen((socket) => socket.write(OK));
  t.teardown(() => other.close());
  await r.get('/x');
  const slow = r.start('GET', '/slow');
  r.manager.updateHosts('c', clusterModel([other.port]).localities);
  await r.get('/y');
  t.equal(other.connections, 1);
  await slow.ended;
  t.strictSame(slow.log, ['head 200 1', 'end']);
  await eventually(() => host.sockets.size === 0);
  t.equal(r.counts['membership_change'], 2);
  t.equal(r.counts['membership_total'], 1);
  const ref = r.manager.ref('c');
  r.manager.apply([], ['c']);
  t.equal(ref.current, null);
  await eventually(() => other.sockets.size === 0);
});

t.test('whoever still holds a removed cluster may finish, but keeps no connection', async (t) => {
  const { rig: r, host } = await rig(t, (socket) => socket.write(OK));
  const { cluster } = r;
  r.manager.apply([], ['c']);
  const recorder = new Recorder();
  recorder.onReadyDo = (stream) => stream.sendHead('GET', 'http', 'h', '/', new HeaderMap(), true);
  cluster.startStream(PICK, recorder);
  await recorder.ended;
  t.strictSame(recorder.log, ['head 200 1', 'end']);
  await eventually(() => host.sockets.size === 0);
});
