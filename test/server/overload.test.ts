// The overload manager: what a pressure does to actions, and connections that wait until it has gone.

import { once } from 'node:events';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { connect as connectHttp2, constants } from 'node:http2';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type {
  MonitorModel,
  OverloadActionModel,
  OverloadActionName,
  OverloadModel,
} from '../../proxy/config/model/overload.ts';
import { resetLoaded } from '../../proxy/http/loaded-streams.ts';
import { TimerScale } from '../../proxy/http/timer-scale.ts';
import { OverloadManager } from '../../proxy/server/overload-manager.ts';
import { measureOf } from '../../proxy/server/resource-monitors.ts';
import {
  DISABLE_KEEPALIVE,
  OverloadState,
  REDUCE_CONNECTION_IDLE,
  REDUCE_STREAM_IDLE,
  STOP_CONNECTIONS,
  STOP_REQUESTS,
} from '../../proxy/util/overload.ts';
import type { Runtime } from '../../proxy/util/runtime.ts';
import { fileLog, hcmFilter } from '../fixtures/lower.ts';
import { ADMIN, startProxy } from '../fixtures/proxy.ts';
import { FakeStats } from '../fixtures/upstream.ts';

const directory = mkdtempSync(join(tmpdir(), 'overload-'));
const file = join(directory, 'pressure');
const setPressure = (text: string): void => writeFileSync(file, text);
const dice = (value: number): Runtime => ({ nowMs: () => 0, random: () => value, after: () => () => {} });

const on = (scalingThreshold: number, saturationThreshold = scalingThreshold) => [
  { monitor: 'file', scalingThreshold, saturationThreshold },
];
const act = (
  action: OverloadActionName,
  triggers: OverloadActionModel['triggers'],
  timers: OverloadActionModel['timers'] = [],
): OverloadActionModel => ({ name: `envoy.overload_actions.${action}`, action, timers, triggers });
const MODEL: OverloadModel = {
  refreshIntervalMs: 100,
  monitors: [{ name: 'file', kind: 'injected', path: file }],
  actions: [
    act('stop_accepting_requests', on(0.5)),
    act('disable_http_keepalive', on(0.2, 0.6)),
    act('stop_accepting_connections', on(0.8)),
    act('shrink_heap', on(0.9)),
    act('reset_high_memory_stream', on(0.2, 0.6)),
    act('reduce_timeouts', on(0, 0.5), ['connection_idle']),
    { ...act('reduce_timeouts', on(0, 1), ['stream_idle']), name: 'my.timers' },
  ],
  shedPoints: [],
  leastStreamBytes: 1024,
  scaledTimers: { connection_idle: { kind: 'ms', ms: 100 }, stream_idle: { kind: 'share', share: 0.1 } },
};

t.test('actions follow the pressure', async (t) => {
  const stats = new FakeStats();
  const state = new OverloadState(OverloadState.allocate());
  let now = 0;
  let next = (): void => {};
  let looks = 0;
  let shrinks = 0;
  let scalings = 0;
  const resets: (readonly number[])[] = [];
  const runtime: Runtime = {
    nowMs: () => now,
    random: () => 0,
    after: (ms, fn) => {
      next = () => {
        now += ms;
        fn();
      };
      return () => {};
    },
  };
  const gauges = (action: string): (number | undefined)[] =>
    ['active', 'scale_percent'].map((name) => stats.cell(`overload.envoy.overload_actions.${action}.${name}`)[0]);
  const manager = new OverloadManager(MODEL, {
    runtime,
    stats,
    state,
    connections: () => 0,
    onAccepting: () => looks++,
    onTimeLimits: () => scalings++,
    shrinkHeap: () => shrinks++,
    resetStreams: (...what) => resets.push(what),
  });
  t.equal(stats.cell('overload.file.failed_updates')[0], 1, 'there is no file yet');
  for (const nonsense of ['', 'x', '1.5', '-1']) {
    setPressure(nonsense);
    next();
  }
  t.equal(stats.cell('overload.file.failed_updates')[0], 5);
  t.same(gauges('stop_accepting_requests'), [0, 0]);

  setPressure('0.35\n');
  next();
  t.equal(stats.cell('overload.file.pressure')[0], 35);
  t.same(gauges('stop_accepting_requests'), [0, 0]);
  t.same(gauges('disable_http_keepalive'), [0, 37], 'a share of what lies between the thresholds');
  t.notOk(state.applies(STOP_REQUESTS, dice(0)));
  t.ok(state.applies(DISABLE_KEEPALIVE, dice(0.37)));
  t.notOk(state.applies(DISABLE_KEEPALIVE, dice(0.38)));

  setPressure('0.5');
  next();
  t.same(gauges('stop_accepting_requests'), [1, 100], 'reached');
  t.ok(state.applies(STOP_REQUESTS, dice(0.99)));
  t.equal(looks, 0);
  t.equal(scalings, 4, 'seven tenths and all of one, a third and half of the other');
  t.same([state.value(REDUCE_CONNECTION_IDLE), state.value(REDUCE_STREAM_IDLE)], [1, 0.5]);
  setPressure('0.95');
  next();
  t.ok(state.isSaturated(STOP_CONNECTIONS));
  t.same([looks, shrinks], [1, 1]);
  for (let i = 0; i < 99; i++) next();
  t.equal(shrinks, 1);
  next();
  t.equal(shrinks, 2, 'every ten seconds');
  setPressure('0');
  next();
  t.same([looks, state.isSaturated(STOP_CONNECTIONS)], [2, false]);
  t.same(gauges('disable_http_keepalive'), [0, 0]);
  t.same(
    resets.map(([pressure, leastBytes]) => [Math.round((pressure ?? 0) * 1000), leastBytes]),
    [
      [375, 1024],
      [750, 1024],
      [1000, 1024],
      [0, 1024],
    ],
    'whenever the pressure changes',
  );
  manager.stop();
});

t.test('gauges show what Envoy shows', async (t) => {
  const stats = new FakeStats();
  const pressures = { connections: 0 };
  let next = (): void => {};
  const runtime: Runtime = {
    nowMs: () => 0,
    random: () => 0,
    after: (_ms, fn) => {
      next = fn;
      return () => {};
    },
  };
  const triggers = [
    { monitor: 'file', scalingThreshold: 0.5, saturationThreshold: 0.5 },
    { monitor: 'cx', scalingThreshold: 0.5, saturationThreshold: 1 },
  ];
  const model: OverloadModel = {
    ...MODEL,
    monitors: [
      { name: 'file', kind: 'injected', path: file },
      { name: 'cx', kind: 'connections', max: 100 },
    ],
    actions: [act('stop_accepting_requests', triggers), act('shrink_heap', on(0, 1))],
    shedPoints: [{ name: 'my.own.place', place: null, triggers }],
  };
  const env = {
    runtime,
    stats,
    state: new OverloadState(OverloadState.allocate()),
    connections: () => pressures.connections,
    onAccepting: () => {},
    onTimeLimits: () => {},
    shrinkHeap: () => {},
    resetStreams: () => {},
  };
  const cell = (name: string): number | undefined => stats.cell(`overload.${name}`)[0];
  const action = 'envoy.overload_actions.stop_accepting_requests';
  const after = (pressure: string, connections: number): (number | undefined)[] => {
    setPressure(pressure);
    pressures.connections = connections;
    next();
    const { state } = env;
    return [
      cell(`${action}.active`),
      cell(`${action}.scale_percent`),
      cell('my.own.place.scale_percent'),
      state.value(STOP_REQUESTS) * 100,
    ];
  };
  setPressure('0');
  const manager = new OverloadManager(model, env);
  t.same(after('0.6', 75), [0, 50, 100, 100], 'the trigger that changed last; a place shows the most');
  t.same(after('0.4', 75), [0, 0, 50, 50], 'another one changed');
  t.same(after('0.4', 20), [0, 0, 0, 0]);
  t.equal(cell('cx.pressure'), 20);
  after('0.29', 20);
  t.equal(cell('envoy.overload_actions.shrink_heap.scale_percent'), 29, 'in single precision');
  t.equal(cell('file.pressure'), 28, 'in double precision');
  after('0.999999999999', 20);
  t.equal(cell('envoy.overload_actions.shrink_heap.active'), 1, 'almost everything is everything');
  manager.stop();
  let looks = 0;
  const alone = { ...model, monitors: model.monitors.slice(1) };
  const never: Runtime = {
    ...runtime,
    after: () => {
      looks++;
      return () => {};
    },
  };
  new OverloadManager(alone, { ...env, runtime: never }).stop();
  t.equal(looks, 0, 'connections alone are not watched');
});

t.test('time limits become shorter', async (t) => {
  const state = new OverloadState(OverloadState.allocate());
  const scale = TimerScale.of(state, MODEL);
  const limits = (value: number): (number | undefined)[] => {
    state.set(REDUCE_CONNECTION_IDLE, value);
    state.set(REDUCE_STREAM_IDLE, value);
    return [
      scale?.scaled('connection_idle', 1_000),
      scale?.scaled('connection_idle', 50),
      scale?.scaled('stream_idle', 1_000),
      scale?.scaled('stream_idle', 0),
    ];
  };
  t.same(limits(0), [1_000, 50, 1_000, 0]);
  t.same(limits(0.5), [550, 50, 550, 0]);
  t.same(limits(1), [100, 50, 100, 0]);
  const { scaledTimers } = MODEL;
  t.equal(TimerScale.of(state, { ...MODEL, actions: [] }), null);
  t.equal(TimerScale.of(state, { ...MODEL, scaledTimers: { connection_idle: null, stream_idle: null } }), null);
  const idle = TimerScale.of(state, { ...MODEL, scaledTimers: { ...scaledTimers, stream_idle: null } });
  t.equal(idle?.scaled('stream_idle', 1_000), 1_000);
});

t.test('what is measured', async (t) => {
  const measure = (monitor: MonitorModel): number => measureOf(monitor, () => 3)();
  const rss = measure({ name: 'h', kind: 'fixed_heap', maxBytes: process.memoryUsage.rss() });
  t.ok(rss > 0.5 && rss < 2, `the memory of this process: ${rss}`);
  t.equal(measure({ name: 'c', kind: 'connections', max: 4 }), 0.75);
  try {
    const pressure = measure({ name: 'g', kind: 'cgroup_memory', maxBytes: 2 ** 50 });
    t.ok(pressure >= 0 && pressure < 1);
  } catch (error) {
    t.match((error as Error).message, 'no control group');
  }
});

const INJECTED = 'type.googleapis.com/envoy.extensions.resource_monitors.injected_resource.v3.InjectedResourceConfig';
const STOP = 'envoy.overload_actions.stop_accepting_connections';

function listener(name: string, extra: object): object {
  const reply = { match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: name } } };
  const route_config = { name: 'r', virtual_hosts: [{ name: 'v', domains: ['*'], routes: [reply] }] };
  return {
    name,
    address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
    filter_chains: [{ filters: [hcmFilter({ route_config, rds: undefined })] }],
    ...extra,
  };
}

function ask(port: number): { readonly socket: Socket; readonly answer: Promise<string>; text: string } {
  const socket = connect(port, '127.0.0.1');
  const { promise: answer, resolve } = Promise.withResolvers<string>();
  const state = { socket, answer, text: '' };
  socket.on('data', (chunk) => {
    state.text += String(chunk);
  });
  socket.on('close', () => resolve(state.text));
  socket.on('error', () => {});
  socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  return state;
}

t.test('connections wait while none are accepted, then are served', async (t) => {
  setPressure('1');
  const proxy = await startProxy({
    admin: ADMIN,
    static_resources: { listeners: [listener('main', {}), listener('other', { bypass_overload_manager: true })] },
    overload_manager: {
      refresh_interval: '0.02s',
      resource_monitors: [{ name: 'file', typed_config: { '@type': INJECTED, filename: file } }],
      actions: [{ name: STOP, triggers: [{ name: 'file', threshold: { value: 0.5 } }] }],
    },
  });
  t.teardown(() => proxy.stop());
  const main = await proxy.portOf('main');
  const waiting = [ask(main), ask(main)];
  // What the worker does next, it does after it has seen those two.
  t.match(await ask(await proxy.portOf('other')).answer, /^HTTP\/1\.1 200 OK.*other$/s, 'it is left alone');
  t.same(
    waiting.map(({ text }) => text),
    ['', ''],
  );
  setPressure('0');
  for (const { answer } of waiting) t.match(await answer, /^HTTP\/1\.1 200 OK.*main$/s);
  t.equal(await proxy.stat(`overload.${STOP}.active`), 0);
  setPressure('1');
  while ((await proxy.stat(`overload.${STOP}.active`)) === 0);
  const late = ask(main);
  t.match(await ask(await proxy.portOf('other')).answer, /other$/);
  t.equal(await proxy.stop(), 0, 'what waits does not keep the process');
  t.equal(await late.answer, '');
});

t.test('which streams are reset', async (t) => {
  const sizes = [1_023, 1_024, 4_000, 2 ** 20, 2 ** 30];
  const given = (pressure: number, least = 1_024): number[] => {
    const gone: number[] = [];
    const streams = sizes.map((bytes) => ({ bytes, giveUp: () => gone.push(bytes) }));
    t.equal(resetLoaded(streams, pressure, least), gone.length);
    return gone;
  };
  t.same(given(1), [2 ** 20, 2 ** 30, 4_000, 1_024], 'all that is watched, by classes');
  t.same(given(0.9), [2 ** 20, 2 ** 30, 4_000, 1_024]);
  t.same(given(0.85), [2 ** 20, 2 ** 30, 4_000], 'but the lightest class');
  t.same(given(0.01), [2 ** 20, 2 ** 30], 'the heaviest class only');
  t.same(given(1, 2 ** 31), []);
  const many = Array.from({ length: 60 }, () => ({ bytes: 5_000, giveUp: () => {} }));
  t.equal(resetLoaded(many, 1, 1_024), 50, 'no more than fifty at once');
});

t.test('a stream whose answer nobody reads is reset', async (t) => {
  setPressure('0');
  const big = createHttpServer((_request, response) => response.end(Buffer.alloc(4 * 2 ** 20)));
  await new Promise<void>((resolve) => big.listen(0, '127.0.0.1', resolve));
  t.teardown(() => big.closeAllConnections());
  t.teardown(() => big.close());
  const address = { socket_address: { address: '127.0.0.1', port_value: (big.address() as AddressInfo).port } };
  const route = { match: { prefix: '/' }, route: { cluster: 'big' } };
  const log = join(directory, 'log');
  const reset = 'envoy.overload_actions.reset_high_memory_stream';
  const text_format_source = { inline_string: '%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n' };
  const proxy = await startProxy({
    admin: ADMIN,
    static_resources: {
      listeners: [
        {
          name: 'main',
          address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
          filter_chains: [
            {
              filters: [
                hcmFilter({
                  route_config: { name: 'r', virtual_hosts: [{ name: 'v', domains: ['*'], routes: [route] }] },
                  access_log: [fileLog(log, { log_format: { text_format_source } })],
                }),
              ],
            },
          ],
        },
      ],
      clusters: [
        {
          name: 'big',
          load_assignment: { cluster_name: 'big', endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
        },
      ],
    },
    overload_manager: {
      refresh_interval: '0.02s',
      buffer_factory_config: { minimum_account_to_track_power_of_two: 20 },
      resource_monitors: [{ name: 'file', typed_config: { '@type': INJECTED, filename: file } }],
      actions: [{ name: reset, triggers: [{ name: 'file', threshold: { value: 0.5 } }] }],
    },
  });
  t.teardown(() => proxy.stop());
  const client = connectHttp2(`http://127.0.0.1:${await proxy.portOf('main')}`);
  const stream = client.request({ ':path': '/' });
  stream.on('error', () => {});
  const closed = new Promise((resolve) => stream.on('close', resolve));
  await once(stream, 'response');
  while ((await proxy.stat('cluster.big.upstream_flow_control_paused_reading_total')) === 0);
  setPressure('1');
  await closed;
  t.equal(stream.rstCode, constants.NGHTTP2_INTERNAL_ERROR);
  t.equal(await proxy.stat(`${reset}.count`), 1);
  client.destroy();
  await proxy.stop();
  t.equal(readFileSync(log, 'utf8'), '200 OM overload\n');
});
