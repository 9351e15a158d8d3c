// Copies of requests, with a mirror that can be slow, absent or late: what is kept, what is given up, what goes on.

import t from 'tap';
import { HeaderMap } from '../../proxy/codec/headers.ts';
import { RETRY_OR_SHADOW_ABANDONED, UPSTREAM_RQ_TIMEOUT } from '../../proxy/observe/catalogue-cluster.ts';
import type { MirrorPolicy } from '../../proxy/route/mirror-policy.ts';
import type { Downstream } from '../../proxy/router/downstream.ts';
import { Mirroring, type Shadows } from '../../proxy/router/shadow.ts';
import type {
  Cluster,
  ClusterManager,
  PickContext,
  UpstreamStream,
  UpstreamStreamHandler,
} from '../../proxy/upstream/upstream.ts';
import type { Runtime } from '../../proxy/util/runtime.ts';
import { TimerWheel } from '../../proxy/util/timer-wheel.ts';
import { clusterModel, FakeStats } from '../fixtures/upstream.ts';

const LIMIT_BYTES = 100;
const TIMEOUT_MS = 50;
const NO_CLUSTERS: ClusterManager = {
  ref: (name) => ({ name, current: null }),
  find: (name) => ({ name, current: null }),
};
const piece = (bytes: number): Uint8Array => Buffer.alloc(bytes, 65);

/** A mirror that does as it is told, and the copy of one request. */
class Rig {
  readonly stats = new FakeStats();
  readonly sent: string[] = [];
  /** Of the request itself. */
  readonly origin: Float64Array;
  readonly mirror: Float64Array;
  canTake = true;
  private handler: UpstreamStreamHandler | null = null;
  private readonly timers: (() => void)[] = [];
  private readonly shadows: Shadows;
  private readonly mirroring: Mirroring;

  constructor(policy: Partial<MirrorPolicy> = {}) {
    const runtime: Runtime = {
      nowMs: () => 0,
      random: () => 0,
      after: (_ms, fire) => {
        this.timers.push(fire);
        return () => this.timers.splice(this.timers.indexOf(fire), 1);
      },
    } as Runtime;
    this.mirroring = new Mirroring({
      runtime,
      wheel: new TimerWheel(runtime),
      stats: this.stats,
      localIp: '10.0.0.9',
      node: { locality: { zone: '' } },
      clusters: NO_CLUSTERS,
      runtimeKeys: {},
    });
    const origin = this.cluster('a');
    const current = this.cluster('m');
    this.origin = origin.stats;
    this.mirror = current.stats;
    const all: MirrorPolicy = {
      target: () => ({ name: 'm', current }),
      applies: null,
      mutate: null,
      host: '',
      hostSuffix: true,
    };
    const headers = new HeaderMap();
    headers.add('x-forwarded-for', '1.2.3.4');
    const down = {
      method: 'POST',
      scheme: 'http',
      path: '/p',
      authority: 'a.example',
      random: 0,
      bufferLimitBytes: LIMIT_BYTES,
    };
    const shadows = this.mirroring.copy(
      [{ ...all, ...policy }],
      down as Downstream,
      headers,
      origin,
      TIMEOUT_MS,
      false,
    );
    if (shadows === null) throw new Error('not copied');
    this.shadows = shadows;
  }

  /** @param endStream the request has no body */
  start(endStream = false): Shadows {
    this.shadows.start(this.mirroring, endStream);
    return this.shadows;
  }

  connect(): UpstreamStreamHandler {
    const { handler } = this;
    if (handler === null) throw new Error('not asked');
    const stream = {
      host: null,
      sendHead: (method: string, _scheme: string, authority: string, path: string, headers: HeaderMap, end: boolean) =>
        this.sent.push(`${method} ${authority}${path} ${headers.get('x-forwarded-for')}${end ? ' end' : ''}`),
      sendData: (chunk: Uint8Array, end: boolean) => {
        this.sent.push(`${chunk.length}${end ? ' end' : ''}`);
        return this.canTake;
      },
      sendTrailers: () => this.sent.push('trailers'),
      reset: () => this.sent.push('reset'),
    };
    handler.onReady(stream as unknown as UpstreamStream);
    return handler;
  }

  elapse(): void {
    for (const fire of this.timers.splice(0)) fire();
  }

  get armed(): number {
    return this.timers.length;
  }

  get abandoned(): number {
    return this.origin[RETRY_OR_SHADOW_ABANDONED] as number;
  }

  private cluster(name: string): Cluster {
    const stats = new Float64Array(200);
    return {
      model: clusterModel([], { name, statName: name }),
      stats,
      startStream: (_context: PickContext, handler: UpstreamStreamHandler) => {
        this.handler = handler;
        return { host: null, cancel: () => this.sent.push('cancelled') };
      },
    } as unknown as Cluster;
  }
}

t.test('what comes before the connection is kept and sent', async (t) => {
  const rig = new Rig();
  const shadows = rig.start();
  shadows.onData(piece(10), false);
  shadows.onData(piece(20), true);
  const handler = rig.connect();
  t.same(rig.sent, ['POST a.example-shadow/p 1.2.3.4,10.0.0.9', '10', '20 end']);
  t.equal(rig.armed, 1);
  shadows.release();
  handler.onHead(200, new HeaderMap(), true);
  t.equal(rig.stats.cell('cluster.m.internal.upstream_rq_200')[0], 1);
  t.equal(rig.armed, 0, 'its time limit is gone');
});

t.test('trailers end a copy, before and after the connection', async (t) => {
  for (const early of [true, false]) {
    const rig = new Rig();
    const shadows = rig.start();
    if (!early) rig.connect();
    shadows.onData(piece(1), false);
    shadows.onTrailers(new HeaderMap());
    if (early) rig.connect();
    t.same(rig.sent.slice(1), ['1', 'trailers']);
  }
});

t.test('a mirror that is not reached in time keeps the limit and the piece that passes it', async (t) => {
  const rig = new Rig();
  const shadows = rig.start();
  shadows.onData(piece(LIMIT_BYTES), false);
  shadows.onData(piece(1), false);
  t.equal(rig.abandoned, 0);
  shadows.onData(piece(1), false);
  t.equal(rig.abandoned, 1);
  t.same(rig.sent, ['cancelled']);
  shadows.onData(piece(1), true);
  t.equal(rig.abandoned, 1, 'once');
  t.equal(rig.armed, 0);
});

t.test('a mirror that reads too slowly is left behind', async (t) => {
  const rig = new Rig();
  const shadows = rig.start();
  const handler = rig.connect();
  rig.canTake = false;
  shadows.onData(piece(1_000), false);
  shadows.onData(piece(LIMIT_BYTES), false);
  handler.onDrain();
  shadows.onData(piece(1_000), false);
  shadows.onData(piece(LIMIT_BYTES), false);
  t.equal(rig.abandoned, 0);
  shadows.onData(piece(1), false);
  t.equal(rig.abandoned, 1);
  t.equal(rig.sent.at(-1), 'reset');
});

t.test('the copy of a request that breaks off breaks off', async (t) => {
  const rig = new Rig();
  const shadows = rig.start();
  rig.connect();
  shadows.onData(piece(1), false);
  shadows.release();
  t.same(rig.sent.slice(1), ['1', 'reset']);
  t.equal(rig.abandoned, 0);
});

t.test('a copy has the time of its route', async (t) => {
  const rig = new Rig();
  rig.start(true);
  rig.connect();
  rig.elapse();
  t.equal(rig.mirror[UPSTREAM_RQ_TIMEOUT], 1);
  t.equal(rig.stats.cell('cluster.m.upstream_rq_504')[0], 1);
  t.equal(rig.sent.at(-1), 'reset');
});

t.test('an answer before the end of the body ends the copy', async (t) => {
  const rig = new Rig();
  const shadows = rig.start();
  const handler = rig.connect();
  handler.onHead(200, new HeaderMap(), true);
  shadows.onData(piece(5), true);
  t.same(rig.sent.slice(1), ['reset']);
});
