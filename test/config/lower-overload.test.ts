// The overload manager: every field, and Envoy's refusals.

import t from 'tap';
import { LowerContext } from '../../proxy/config/lower/common.ts';
import { lowerOverload } from '../../proxy/config/lower/overload.ts';
import { runtimeEntries } from '../../proxy/config/lower/runtime.ts';
import type { OverloadModel } from '../../proxy/config/model/overload.ts';
import { decode, refusal, TYPE } from '../fixtures/lower.ts';

const MONITORS = `${TYPE}envoy.extensions.resource_monitors.`;
const CONNECTIONS = 'envoy.resource_monitors.global_downstream_max_connections';
const HEAP = {
  name: 'heap',
  typed_config: { '@type': `${MONITORS}fixed_heap.v3.FixedHeapConfig`, max_heap_size_bytes: 9 },
};

function lower(json: object, ctx = new LowerContext()): OverloadModel | null {
  return lowerOverload(decode('envoy.config.overload.v3.OverloadManager', json), ctx);
}

const action = (name: string, ...triggers: object[]): object => ({ name: `envoy.overload_actions.${name}`, triggers });
const at = (value: number, name = 'heap'): object => ({ name, threshold: { value } });

t.test('nothing, and defaults', async (t) => {
  t.equal(lowerOverload(null, new LowerContext()), null);
  t.same(lower({ resource_monitors: [HEAP] }), {
    refreshIntervalMs: 1000,
    monitors: [{ name: 'heap', kind: 'fixed_heap', maxBytes: 9 }],
    actions: [],
    shedPoints: [],
    leastStreamBytes: 0,
    scaledTimers: { connection_idle: null, stream_idle: null },
  });
});

t.test('every field', async (t) => {
  const ctx = new LowerContext();
  ctx.runtime = runtimeEntries({ 'heap.max': 77 });
  const fromRuntime = {
    '@type': `${MONITORS}fixed_heap.v3.FixedHeapConfig`,
    max_heap_size_bytes_runtime: { default_value: 5, runtime_key: 'heap.max' },
  };
  const model = lower(
    {
      refresh_interval: '0.25s',
      buffer_factory_config: { minimum_account_to_track_power_of_two: 20 },
      resource_monitors: [
        HEAP,
        { name: 'runtime', typed_config: fromRuntime },
        {
          name: 'group',
          typed_config: { '@type': `${MONITORS}cgroup_memory.v3.CgroupMemoryConfig`, max_memory_bytes: 3 },
        },
        {
          name: 'cpu',
          typed_config: { '@type': `${MONITORS}cpu_utilization.v3.CpuUtilizationConfig`, mode: 'CONTAINER' },
        },
        {
          name: 'file',
          typed_config: { '@type': `${MONITORS}injected_resource.v3.InjectedResourceConfig`, filename: '/f' },
        },
        {
          name: CONNECTIONS,
          typed_config: {
            '@type': `${MONITORS}downstream_connections.v3.DownstreamConnectionsConfig`,
            max_active_downstream_connections: 8,
          },
        },
      ],
      actions: [
        action('stop_accepting_requests', at(0.5), {
          name: 'file',
          scaled: { scaling_threshold: 0.25, saturation_threshold: 0.75 },
        }),
        {
          ...action('shrink_heap', at(1)),
          typed_config: { '@type': `${TYPE}envoy.config.overload.v3.ShrinkHeapConfig` },
        },
        {
          ...action('reduce_timeouts', at(0.5)),
          typed_config: {
            '@type': `${TYPE}envoy.config.overload.v3.ScaleTimersOverloadActionConfig`,
            timer_scale_factors: [
              { timer: 'HTTP_DOWNSTREAM_CONNECTION_IDLE', min_timeout: '0.2s' },
              { timer: 'HTTP_DOWNSTREAM_STREAM_IDLE', min_scale: { value: 50 } },
            ],
          },
        },
      ],
      loadshed_points: [{ name: 'envoy.load_shed_points.tcp_listener_accept', triggers: [at(0.9)] }],
    },
    ctx,
  );
  t.same(model, {
    refreshIntervalMs: 250,
    monitors: [
      { name: 'heap', kind: 'fixed_heap', maxBytes: 9 },
      { name: 'runtime', kind: 'fixed_heap', maxBytes: 77 },
      { name: 'group', kind: 'cgroup_memory', maxBytes: 3 },
      { name: 'cpu', kind: 'cpu', mode: 'container' },
      { name: 'file', kind: 'injected', path: '/f' },
      { name: CONNECTIONS, kind: 'connections', max: 8 },
    ],
    actions: [
      {
        name: 'envoy.overload_actions.stop_accepting_requests',
        action: 'stop_accepting_requests',
        timers: [],
        triggers: [
          { monitor: 'heap', scalingThreshold: 0.5, saturationThreshold: 0.5 },
          { monitor: 'file', scalingThreshold: 0.25, saturationThreshold: 0.75 },
        ],
      },
      {
        name: 'envoy.overload_actions.shrink_heap',
        action: 'shrink_heap',
        timers: [],
        triggers: [{ monitor: 'heap', scalingThreshold: 1, saturationThreshold: 1 }],
      },
      {
        name: 'envoy.overload_actions.reduce_timeouts',
        action: 'reduce_timeouts',
        timers: ['connection_idle', 'stream_idle'],
        triggers: [{ monitor: 'heap', scalingThreshold: 0.5, saturationThreshold: 0.5 }],
      },
    ],
    shedPoints: [
      {
        name: 'envoy.load_shed_points.tcp_listener_accept',
        place: 'tcp_listener_accept',
        triggers: [{ monitor: 'heap', scalingThreshold: 0.9, saturationThreshold: 0.9 }],
      },
    ],
    leastStreamBytes: 524_288,
    scaledTimers: { connection_idle: { kind: 'ms', ms: 200 }, stream_idle: { kind: 'share', share: 0.5 } },
  });
});

t.test('what is not done is said', async (t) => {
  const ctx = new LowerContext();
  const model = lower(
    {
      resource_monitors: [HEAP],
      actions: [action('close_idle_http_connections', at(0.5))],
      loadshed_points: [{ name: 'envoy.load_shed_points.of_tomorrow', triggers: [at(0.5)] }],
    },
    ctx,
  );
  t.same(ctx.unsupportedFields, ['overload_manager.actions[0]']);
  const triggers = [{ monitor: 'heap', scalingThreshold: 0.5, saturationThreshold: 0.5 }];
  const untaken = { name: 'envoy.overload_actions.close_idle_http_connections', action: null, timers: [], triggers };
  t.same(model?.actions, [untaken], 'its stats tell when it would be');
  const point = { name: 'envoy.load_shed_points.of_tomorrow', place: null, triggers };
  t.same(model?.shedPoints, [point], 'a place that nobody knows has stats');
});

t.test('refusals', async (t) => {
  const refused = (actions: object[], monitors: object[] = [HEAP]): string =>
    refusal(() => lower({ resource_monitors: monitors, actions })).replace(/^[^:]*: /, '');
  t.equal(refused([], [HEAP, HEAP]), 'Duplicate resource monitor heap');
  t.match(
    refused([], [{ ...HEAP, typed_config: { '@type': `${MONITORS}fixed_heap.v3.FixedHeapConfig` } }]),
    'fixed_heap: max heap size must be greater than 0',
  );
  t.equal(refused([action('nonsense', at(0.5))]), 'Unknown Overload Manager Action envoy.overload_actions.nonsense');
  const name = 'stop_accepting_requests';
  t.equal(
    refused([action(name, at(0.5)), action(name, at(0.5))]),
    `Duplicate overload action envoy.overload_actions.${name}`,
  );
  t.equal(
    refused([action(name, at(0.5, 'x'))]),
    `Unknown trigger resource x for overload action envoy.overload_actions.${name}`,
  );
  t.equal(
    refused([action(name, at(0.5), at(0.6))]),
    `Duplicate trigger resource for overload action envoy.overload_actions.${name}`,
  );
  t.equal(
    refused([action(name, { name: 'heap', scaled: { scaling_threshold: 0.5, saturation_threshold: 0.5 } })]),
    'scaling_threshold must be less than saturation_threshold',
  );
  t.equal(
    refused([action('reduce_timeouts', at(0.5))]),
    'Overload action "envoy.overload_actions.reduce_timeouts" requires typed_config',
  );
  t.equal(
    refused([
      { ...action(name, at(0.5)), typed_config: { '@type': `${TYPE}envoy.config.overload.v3.ShrinkHeapConfig` } },
    ]),
    `Overload action "envoy.overload_actions.${name}" has an unexpected value for the typed_config field`,
  );
  const points = ['a', 'a'].map((point) => ({ name: point, triggers: [at(0.5)] }));
  t.match(
    refusal(() => lower({ resource_monitors: [HEAP], loadshed_points: points })),
    'Duplicate loadshed point a',
  );
  const connections = {
    '@type': `${MONITORS}downstream_connections.v3.DownstreamConnectionsConfig`,
    max_active_downstream_connections: 8,
  };
  t.match(
    refused([], [{ name: 'c', typed_config: connections }]),
    "Didn't find a registered implementation for 'c' with type URL",
  );
});
