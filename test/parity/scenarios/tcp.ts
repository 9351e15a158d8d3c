// The simple TCP proxy: bytes both ways, half-close, idle timeout, failures, and what its log says.

import { bootstrap, cluster, fileLog, STATS, tcp } from '../config.ts';
import type { Group, UpstreamScript } from '../types.ts';

const raw = (...steps: NonNullable<UpstreamScript['raw']>): Readonly<Record<string, UpstreamScript>> => ({
  a: { raw: steps },
});

const REASON = { reason: '%DOWNSTREAM_LOCAL_CLOSE_REASON%' };

export const tcpProxy: Group = {
  name: 'tcp',
  listeners: ['main', 'idle', 'dead', 'empty', 'nobody', 'weighted', 'age'],
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      [
        tcp(ports, log, 'main', { cluster: 'a' }),
        tcp(ports, log, 'idle', { cluster: 'a', idle_timeout: '0.4s', access_log: [fileLog(log, REASON)] }),
        tcp(ports, log, 'dead', { cluster: 'dead', max_connect_attempts: 2 }),
        tcp(ports, log, 'empty', { cluster: 'empty' }),
        tcp(ports, log, 'nobody', { cluster: 'nobody' }),
        tcp(ports, log, 'weighted', { weighted_clusters: { clusters: [{ name: 'a', weight: 1 }] } }),
        tcp(ports, log, 'age', {
          cluster: 'a',
          max_downstream_connection_duration: '0.4s',
          access_log: [fileLog(log, REASON)],
        }),
      ],
      [cluster('a', [ports['a']]), cluster('dead', [ports['dead']]), cluster('empty', [])],
    ),
  stats: STATS,
  scenarios: [
    {
      name: 'bytes both ways',
      answers: 0,
      client: ['ping', { bytes: 4 }, { close: 'fin' }],
      upstreams: raw({ read: 4 }, 'pong'),
    },
    {
      name: 'upstream speaks first',
      answers: 0,
      client: [{ bytes: 5 }, 'there', { close: 'fin' }],
      upstreams: raw('hello', { read: 5 }, 'bye'),
    },
    {
      name: 'client half-closes and still reads',
      answers: 0,
      client: ['all', { close: 'fin' }],
      upstreams: raw({ read: 3 }, { waitMs: 80 }, 'late answer'),
    },
    {
      name: 'upstream half-closes and still reads',
      answers: 0,
      client: [{ bytes: 3 }, { waitMs: 50 }, 'late', { close: 'fin' }],
      upstreams: raw('end', { close: 'fin' }, { read: 4 }),
    },
    { name: 'upstream closes', answers: 0, client: ['x'], upstreams: raw({ read: 1 }, { close: 'full' }) },
    { name: 'upstream resets', answers: 0, client: ['x'], upstreams: raw({ read: 1 }, { close: 'reset' }) },
    { name: 'client resets', client: ['x', { upstreamSaw: 1 }, { close: 'reset' }], upstreams: raw({ read: 1 }) },
    { name: 'idle timeout', listener: 'idle', answers: 0, client: ['x'], upstreams: raw({ read: 1 }, 'y') },
    { name: 'connection refused', listener: 'dead', answers: 0, client: [] },
    { name: 'no host', listener: 'empty', answers: 0, client: [] },
    { name: 'unknown cluster', listener: 'nobody', answers: 0, client: [] },
    {
      name: 'weighted clusters',
      listener: 'weighted',
      answers: 0,
      client: ['ping', { bytes: 4 }, { close: 'fin' }],
      upstreams: raw({ read: 4 }, 'pong'),
    },
    { name: 'connection duration', listener: 'age', answers: 0, client: ['x'], upstreams: raw({ read: 1 }) },
  ],
};
