// What captured traffic needs, and the one sentence where it lacks.

import t from 'tap';
import type { ListenerModel } from '../../proxy/config/model/listener.ts';
import type { ListenerFilterModel } from '../../proxy/config/model/listener-filter.ts';
import { checkCapture } from '../../proxy/net/capture-check.ts';
import { SystemCallError, type SystemCalls } from '../../proxy/net/sockopt.ts';
import { clusterModel } from '../fixtures/upstream.ts';

function listener(listenerFilters: readonly ListenerFilterModel[], useOriginalDst = false): ListenerModel {
  return { listenerFilters, useOriginalDst } as ListenerModel;
}

const SOURCE = { kind: 'original_src', bindPort: false, mark: 1337, disabled: null } as const;
const bind = { sources: [], freebind: true, socketOptions: [] };

/** A kernel that lacks everything. */
const POOR = {
  socket: () => 7,
  close: () => {},
  setInt: () => {
    throw new SystemCallError('setsockopt', 1);
  },
  tracksConnections: () => false,
} as unknown as SystemCalls;
const RICH = { ...POOR, setInt: () => {}, tracksConnections: () => true } as SystemCalls;

t.test('nothing is asked where nothing is configured', async (t) => {
  t.same(checkCapture([listener([])], [clusterModel([1])], null), []);
  t.same(checkCapture([listener([])], [clusterModel([1])], POOR), []);
});

t.test('warnings', async (t) => {
  t.same(checkCapture([listener([SOURCE], true)], [], RICH), []);
  t.match(checkCapture([listener([SOURCE], true)], [], POOR), [
    /^original destinations: /,
    /^original_src: .*NET_ADMIN/,
  ]);
  t.match(checkCapture([listener([{ kind: 'original_dst', disabled: null }])], [], POOR), [/nf_conntrack/]);
});

t.test('without foreign functions it is refused', async (t) => {
  t.throws(() => checkCapture([listener([], true)], [], null), /original destinations need node:ffi/);
  t.throws(() => checkCapture([listener([SOURCE])], [], null), /original sources need node:ffi/);
  t.throws(() => checkCapture([], [clusterModel([1], { bind })], null), /freebind and socket_options/);
  const source = { address: '127.0.0.6', port: 0, socketOptions: [] };
  const plain = { sources: [source], freebind: false, socketOptions: [] };
  t.same(checkCapture([], [clusterModel([1], { bind: plain })], null), [], 'an address alone Node can bind');
});
