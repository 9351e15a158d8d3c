// What captured traffic asks of the runtime, the kernel and the process, tried once at start on sockets of our own, so
// that what lacks is one sentence and not a connection that fails later.

import type { ClusterModel } from '../config/model/cluster.ts';
import type { ListenerModel } from '../config/model/listener.ts';
import { unavailable } from './listen.ts';
import * as sys from './sockopt.ts';

/** Kernel or process lacks it: works, but not for the connections in question. */
export type CaptureWarning = string;

/**
 * @param calls as of `systemCalls`
 * @returns sentences for the process log; empty = nothing lacks
 * @throws ConfigError when the runtime cannot do at all what is configured
 */
export function checkCapture(
  listeners: readonly ListenerModel[],
  clusters: readonly ClusterModel[],
  calls: sys.SystemCalls | null,
): CaptureWarning[] {
  const filters = listeners.flatMap(({ listenerFilters }) => listenerFilters);
  const restores = listeners.some((each) => each.useOriginalDst) || filters.some(({ kind }) => kind === 'original_dst');
  const sources = filters.flatMap((filter) => (filter.kind === 'original_src' ? [filter] : []));
  const options = clusters.find(({ bind }) => bind !== null && (bind.freebind || hasOptions(bind)));
  if (calls === null) {
    if (restores) throw unavailable('listeners', 'original destinations');
    if (sources.length > 0) throw unavailable('listeners', 'original sources');
    if (options !== undefined) throw unavailable(options.name, 'freebind and socket_options of upstream_bind_config');
    return [];
  }
  const warnings: CaptureWarning[] = [];
  if (restores && !calls.tracksConnections())
    warnings.push(
      'original destinations: this kernel tracks no connections (nf_conntrack), so that REDIRECT and DNAT cannot be undone; only TPROXY works',
    );
  const marks = sources.some(({ mark }) => mark !== 0);
  if (sources.length > 0 && !canBeForeign(calls, marks))
    warnings.push(
      'original_src: connections from other addresses need the capability NET_ADMIN or NET_RAW, which this process lacks; upstream connections of its listeners will fail',
    );
  return warnings;
}

function hasOptions(bind: NonNullable<ClusterModel['bind']>): boolean {
  return bind.socketOptions.length > 0 || bind.sources.some(({ socketOptions }) => socketOptions.length > 0);
}

function canBeForeign(calls: sys.SystemCalls, marks: boolean): boolean {
  const fd = calls.socket(sys.AF_INET);
  try {
    calls.setInt(fd, sys.IPPROTO_IP, sys.IP_TRANSPARENT, 1);
    if (marks) calls.setInt(fd, sys.SOL_SOCKET, sys.SO_MARK, 1);
    return true;
  } catch (error) {
    if (error instanceof sys.SystemCallError) return false;
    throw error;
  } finally {
    calls.close(fd);
  }
}
