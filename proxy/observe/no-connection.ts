// A connection of which nothing is known, for records that belong to no client of ours.

import type { ConnectionInfo } from './stream-info.ts';

/** Whoever knows more says so in a copy. */
export const NO_CONNECTION: ConnectionInfo = Object.freeze({
  id: 0,
  localAddress: '',
  remoteAddress: '',
  remoteIp: '',
  remotePort: 0,
  directRemoteAddress: '',
  localIp: '',
  localPort: 0,
  directRemoteIp: '',
  directRemotePort: 0,
  tls: null,
  requestedServerName: '',
  terminationDetails: '',
  transportFailureReason: '',
  listenerName: '',
  filterChainName: '',
  startedMs: 0,
});
