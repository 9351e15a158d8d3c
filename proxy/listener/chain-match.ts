// Chooses the filter chain of a new connection (Envoy: listener.v3.FilterChainMatch).
//
// The order is fixed: destination port, destination IP, server name, transport protocol, application protocol, directly
// connected source IP, source type, source IP, source port. At each step the most specific entry that matches wins and
// the search never comes back: if nothing below it matches, no chain does. It is compiled to nested maps, so that the
// cost of a match does not grow with the number of chains.

import type { CidrModel } from '../config/model/common.ts';
import type { FilterChainMatchModel } from '../config/model/listener.ts';
import { CidrMap, isLoopback, parseIp } from '../util/ip.ts';

/** What is known of a connection when its chain is chosen. */
export interface MatchInput {
  /** Destination (the original one where it was restored); empty on Unix sockets. */
  readonly localIp: string;
  readonly localPort: number;
  /** The client, after PROXY protocol; empty on Unix sockets. */
  readonly remoteIp: string;
  readonly remotePort: number;
  /** The peer of the socket; empty on Unix sockets. */
  readonly directRemoteIp: string;
  /** Lower-case SNI; empty. */
  readonly serverName: string;
  /** What a listener filter detected; `raw_buffer` when none did. */
  readonly transportProtocol: string;
  readonly applicationProtocols: readonly string[];
}

/** Returns the chain's payload, or `null` when no chain matches. */
export type ChainMatcher<T> = (input: MatchInput) => T | null;

type BySourcePort<T> = Map<number, T>;
type BySourceIp<T> = CidrMap<BySourcePort<T>>;
interface BySourceType<T> {
  any: BySourceIp<T> | null;
  local: BySourceIp<T> | null;
  external: BySourceIp<T> | null;
}
type ByDirectSource<T> = CidrMap<BySourceType<T>>;
type ByApplication<T> = Map<string, ByDirectSource<T>>;
type ByTransport<T> = Map<string, ByApplication<T>>;
/** Keys: exact names, `.suffix` for wildcards, empty for "any name". */
type ByServerName<T> = Map<string, ByTransport<T>>;
type ByDestination<T> = CidrMap<ByServerName<T>>;
/** Key 0: any port. */
type ByPort<T> = Map<number, ByDestination<T>>;

/** Stands for the address of a Unix socket: falls only into the range that holds every address, as in Envoy. */
const NO_ADDRESS = Buffer.from([255, 255, 255, 255]);
const ANY_V4 = Buffer.alloc(4);
const ANY_V6 = Buffer.alloc(16);

/**
 * Compiles the matches of a listener's chains. Two equal matches are refused when the configuration is read; here the
 * first one would win.
 */
export function compileChainMatch<T>(
  chains: readonly { readonly match: FilterChainMatchModel; readonly value: T }[],
  fallback: T | null,
): ChainMatcher<T> {
  if (chains.length === 0) return () => fallback;
  const [only] = chains;
  if (chains.length === 1 && only !== undefined && isUnconditional(only.match)) return () => only.value;
  const ports: ByPort<T> = new Map();
  for (const chain of chains) insert(ports, chain.match, chain.value);
  return (input) => {
    const exact = input.localIp === '' ? undefined : ports.get(input.localPort);
    // An entry for the port excludes the entry for any port, even when nothing below it matches.
    const destinations = exact ?? ports.get(0);
    return (destinations && matchDestination(destinations, input)) ?? fallback;
  };
}

function isUnconditional(match: FilterChainMatchModel): boolean {
  return (
    match.destinationPort === null &&
    match.prefixRanges.length === 0 &&
    match.serverNames.length === 0 &&
    match.transportProtocol === '' &&
    match.applicationProtocols.length === 0 &&
    match.directSourcePrefixRanges.length === 0 &&
    match.sourceType === 'any' &&
    match.sourcePrefixRanges.length === 0 &&
    match.sourcePorts.length === 0
  );
}

// === Building ===

function insert<T>(ports: ByPort<T>, match: FilterChainMatchModel, value: T): void {
  const destinations = getOrAdd(ports, match.destinationPort ?? 0, () => new CidrMap());
  const names = match.serverNames.length === 0 ? [''] : match.serverNames.map(nameKey);
  const protocols = match.applicationProtocols.length === 0 ? [''] : match.applicationProtocols;
  for (const byName of atRanges<ByServerName<T>>(destinations, match.prefixRanges, () => new Map())) {
    for (const name of names) {
      const byTransport = getOrAdd(byName, name, () => new Map());
      const byApplication: ByApplication<T> = getOrAdd(byTransport, match.transportProtocol, () => new Map());
      for (const protocol of protocols) {
        const direct: ByDirectSource<T> = getOrAdd(byApplication, protocol, () => new CidrMap());
        insertSource(direct, match, value);
      }
    }
  }
}

function insertSource<T>(direct: ByDirectSource<T>, match: FilterChainMatchModel, value: T): void {
  const none = (): BySourceType<T> => ({ any: null, local: null, external: null });
  const sourcePorts = match.sourcePorts.length === 0 ? [0] : match.sourcePorts;
  for (const byType of atRanges(direct, match.directSourcePrefixRanges, none)) {
    const sources = sourcesOf(byType, match.sourceType);
    for (const byPort of atRanges<BySourcePort<T>>(sources, match.sourcePrefixRanges, () => new Map())) {
      for (const port of sourcePorts) getOrAdd(byPort, port, () => value);
    }
  }
}

function sourcesOf<T>(byType: BySourceType<T>, type: FilterChainMatchModel['sourceType']): BySourceIp<T> {
  const slot = type === 'any' ? 'any' : type === 'external' ? 'external' : 'local';
  byType[slot] ??= new CidrMap();
  return byType[slot];
}

/** `*.example.com` is kept as `.example.com`. */
function nameKey(name: string): string {
  return name.startsWith('*.') ? name.slice(1) : name;
}

/** Entries of all ranges; no range means every address of both families. */
function atRanges<V>(map: CidrMap<V>, ranges: readonly CidrModel[], create: () => V): V[] {
  if (ranges.length === 0) {
    // One entry under both families: what a chain adds later must be seen by either.
    const shared = map.at(ANY_V4, 0, create);
    return [shared, map.at(ANY_V6, 0, () => shared)].filter((entry, i, all) => all.indexOf(entry) === i);
  }
  return ranges.map((range) => {
    const address = parseIp(range.address);
    if (address === null) throw new Error(`not an IP address: ${range.address}`);
    return map.at(address, range.prefixLength, create);
  });
}

function getOrAdd<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = create();
    map.set(key, value);
  }
  return value;
}

// === Matching ===

function addressOf(ip: string): Buffer {
  return ip === '' ? NO_ADDRESS : (parseIp(ip) ?? NO_ADDRESS);
}

function matchDestination<T>(destinations: ByDestination<T>, input: MatchInput): T | null {
  const names = destinations.find(addressOf(input.localIp));
  if (names === null) return null;
  const transports = findName(names, input.serverName);
  if (transports === undefined) return null;
  const applications = transports.get(input.transportProtocol) ?? transports.get('');
  if (applications === undefined) return null;
  const direct = findApplication(applications, input.applicationProtocols);
  return direct === undefined ? null : matchSource(direct, input);
}

/** Exact name, then wildcards from the longest suffix, then "any name". */
function findName<T>(names: ByServerName<T>, serverName: string): ByTransport<T> | undefined {
  const exact = names.get(serverName);
  if (exact !== undefined) return exact;
  let dot = serverName.indexOf('.', 1);
  while (dot >= 0 && dot < serverName.length - 1) {
    const wildcard = names.get(serverName.slice(dot));
    if (wildcard !== undefined) return wildcard;
    dot = serverName.indexOf('.', dot + 1);
  }
  return names.get('');
}

/** The first protocol, in the client's order, that some chain names. */
function findApplication<T>(applications: ByApplication<T>, offered: readonly string[]): ByDirectSource<T> | undefined {
  for (const protocol of offered) {
    const found = applications.get(protocol);
    if (found !== undefined) return found;
  }
  return applications.get('');
}

function matchSource<T>(direct: ByDirectSource<T>, input: MatchInput): T | null {
  const types = direct.find(addressOf(input.directRemoteIp));
  if (types === null) return null;
  const sources = (isLocal(input) ? types.local : types.external) ?? types.any;
  if (sources === null) return null;
  const ports = sources.find(addressOf(input.remoteIp));
  if (ports === null) return null;
  return ports.get(input.remotePort) ?? ports.get(0) ?? null;
}

/** `SAME_IP_OR_LOOPBACK`: Unix sockets, loopback peers, and peers with the very address they connected to. */
export function isLocal(input: MatchInput): boolean {
  return input.remoteIp === '' || isLoopback(input.remoteIp) || input.remoteIp === input.localIp;
}
