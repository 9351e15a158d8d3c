// Who the client is: `x-forwarded-for`, trusted hops, internal addresses
// (Envoy: docs configuration/http/http_conn_man/headers, "x-forwarded-for").

import { isIP } from 'node:net';
import type { HeaderMap } from '../codec/headers.ts';
import type { HttpConnectionManagerModel } from '../config/model/http.ts';
import { CidrMap, isLoopback, parseIp } from '../util/ip.ts';

/** Addresses of one `x-forwarded-for` that are looked at, from the right; more hops than this are not configurable. */
const HOPS_MAX = 1024;

/** What `x-forwarded-for` says about the sender. */
export interface ForwardedClient {
  /** A literal IP; empty when the header had none at that place. */
  readonly address: string;
  /** Exactly one address, and nobody skipped: it may be judged internal. */
  readonly single: boolean;
}

const NOBODY: ForwardedClient = { address: '', single: false };

/** The address `skip` places from the right end of `x-forwarded-for`. */
export function lastForwardedFor(headers: HeaderMap, skip: number): ForwardedClient {
  const value = headers.getJoined('x-forwarded-for');
  if (value === null || skip > HOPS_MAX) return NOBODY;
  let end = value.length;
  for (let hop = 0; hop < skip; hop++) {
    end = value.lastIndexOf(',', end - 1);
    if (end < 0) return NOBODY;
  }
  const comma = end === 0 ? -1 : value.lastIndexOf(',', end - 1);
  const address = value.slice(comma + 1, end).trim();
  if (isIP(address) === 0) return NOBODY;
  return { address, single: comma < 0 && skip === 0 };
}

/** Appends an address to `x-forwarded-for`, creating it when absent. */
export function appendForwardedFor(headers: HeaderMap, address: string): void {
  if (address === '') return;
  const present = headers.getJoined('x-forwarded-for');
  headers.set('x-forwarded-for', present === null || present === '' ? address : `${present},${address}`);
}

/**
 * Compiles `internal_address_config`.
 * Since Envoy 1.33 no range is internal unless configured; Unix sockets only when `unix_sockets` is set.
 */
export function compileInternal(model: HttpConnectionManagerModel['internalAddresses']): (ip: string) => boolean {
  const ranges = new CidrMap<true>();
  for (const cidr of model.cidrs) {
    const address = parseIp(cidr.address);
    if (address !== null) ranges.at(address, cidr.prefixLength, () => true);
  }
  const { unixSockets } = model;
  if (model.cidrs.length === 0) return (ip) => ip === '' && unixSockets;
  return (ip) => {
    if (ip === '') return unixSockets;
    const address = parseIp(ip);
    return address !== null && ranges.find(address) !== null;
  };
}

/** Which address stands in `x-forwarded-for` for a peer: a loopback peer is named by this host's own address. */
export function compileForwardedIp(localIp: string): (remoteIp: string) => string {
  return (ip) => (isLoopback(ip) ? localIp : ip);
}
