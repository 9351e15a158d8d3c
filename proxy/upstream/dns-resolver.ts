// Name resolution as c-ares does it for Envoy: the hosts file, then DNS with the search list of resolv.conf and TTLs.
//
// `node:dns` asks the servers but knows neither the hosts file nor the search list outside `lookup`, and `lookup`
// knows no TTL; so both files are read here.

import { Resolver } from 'node:dns/promises';
import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';

/** Which addresses are wanted, and in which order (Envoy: `dns_lookup_family`). */
export type LookupFamily = 'auto' | 'v4_only' | 'v6_only' | 'v4_preferred' | 'all';

/** What a name stands for now. An empty list is an answer, too. */
export interface Resolution {
  readonly addresses: readonly string[];
  /** Smallest TTL of the records, seconds; 0 = unknown. */
  readonly ttlSeconds: number;
}

/** Resolves one name. Rejects when no server gave an answer. */
export interface NameResolver {
  resolve(name: string, family: LookupFamily): Promise<Resolution>;
  close(): void;
}

/** Envoy's c-ares defaults. */
const QUERY_TIMEOUT_MS = 5_000;
const QUERY_TRIES = 4;
/** Answers that mean "there is no such record" rather than "the question failed". */
const NO_RECORD: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA']);
/** More search domains are ignored, as in the C library. */
const SEARCH_DOMAINS_MAX = 6;

/** @param servers `host:port` of DNS servers; empty = the system's */
export function createResolver(servers: readonly string[]): NameResolver {
  const resolver = new Resolver({ timeout: QUERY_TIMEOUT_MS, tries: QUERY_TRIES });
  if (servers.length > 0) resolver.setServers(servers);
  const hosts = new CachedFile('/etc/hosts', parseHosts);
  const search = new CachedFile('/etc/resolv.conf', parseResolvConf);
  const lookUp: LookUp = (name, version) => lookUpFamily(resolver, name, version, hosts.read(), search.read());
  return {
    resolve: (name, family) => resolveFamilies(lookUp, name, family),
    close: () => resolver.cancel(),
  };
}

type IpVersion = 4 | 6;
/** Asks for the addresses of one version. */
export type LookUp = (name: string, version: IpVersion) => Promise<Resolution>;

/** Asks for the wanted versions; what one of several has to offer counts, whatever became of the other. */
export async function resolveFamilies(lookUp: LookUp, name: string, family: LookupFamily): Promise<Resolution> {
  if (isIP(name) !== 0) return { addresses: [name], ttlSeconds: 0 };
  switch (family) {
    case 'v4_only':
      return lookUp(name, 4);
    case 'v6_only':
      return lookUp(name, 6);
    case 'auto':
      return firstOf(lookUp, name, 6, 4);
    case 'v4_preferred':
      return firstOf(lookUp, name, 4, 6);
    case 'all': {
      const both = await Promise.allSettled([lookUp(name, 4), lookUp(name, 6)]);
      const answers = both.filter((answer) => answer.status === 'fulfilled').map(({ value }) => value);
      if (answers.length === 0) throw (both[0] as PromiseRejectedResult).reason;
      const ttls = answers.map(({ ttlSeconds }) => ttlSeconds).filter((ttl) => ttl > 0);
      return {
        addresses: answers.flatMap(({ addresses }) => addresses),
        ttlSeconds: ttls.length === 0 ? 0 : Math.min(...ttls),
      };
    }
  }
}

/** The second version is asked only when the first has nothing to offer, whether empty or failed. */
async function firstOf(lookUp: LookUp, name: string, first: IpVersion, second: IpVersion): Promise<Resolution> {
  const preferred = await lookUp(name, first).catch(() => EMPTY);
  return preferred.addresses.length > 0 ? preferred : lookUp(name, second);
}

const EMPTY: Resolution = { addresses: [], ttlSeconds: 0 };

async function lookUpFamily(
  resolver: Resolver,
  name: string,
  version: IpVersion,
  hosts: ReadonlyMap<string, readonly string[]>,
  search: ResolvConf,
): Promise<Resolution> {
  const plain = name.toLowerCase().replace(/\.$/, '');
  const listed = (hosts.get(plain) ?? []).filter((address) => isIP(address) === version);
  if (listed.length > 0) return { addresses: listed, ttlSeconds: 0 };
  // RFC 6761 §6.3: never ask a server for localhost.
  if (plain === 'localhost' || plain.endsWith('.localhost'))
    return { addresses: [version === 4 ? '127.0.0.1' : '::1'], ttlSeconds: 0 };
  let failure: unknown = null;
  for (const candidate of candidates(name, search)) {
    try {
      const records =
        version === 4
          ? await resolver.resolve4(candidate, { ttl: true })
          : await resolver.resolve6(candidate, { ttl: true });
      if (records.length === 0) continue;
      return {
        addresses: records.map((record) => record.address),
        ttlSeconds: Math.min(...records.map((record) => record.ttl)),
      };
    } catch (error) {
      if (!NO_RECORD.has((error as NodeJS.ErrnoException).code ?? '')) failure = error;
    }
  }
  if (failure !== null) throw failure;
  return EMPTY;
}

/** What resolv.conf says about short names. */
export interface ResolvConf {
  readonly search: readonly string[];
  readonly ndots: number;
}

/** The names to ask for, in order: a name with enough dots is tried as it is first, others last. */
export function candidates(name: string, conf: ResolvConf): string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)];
  const expanded = conf.search.map((domain) => `${name}.${domain}`);
  const dots = name.split('.').length - 1;
  return dots >= conf.ndots ? [name, ...expanded] : [...expanded, name];
}

/** Reads `search`, `domain` and `options ndots:`; the last `search` or `domain` line wins. */
export function parseResolvConf(text: string): ResolvConf {
  let search: string[] = [];
  let ndots = 1;
  for (const line of text.split('\n')) {
    const [keyword, ...words] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    if (keyword === 'search' || keyword === 'domain')
      search = words.map((word) => word.replace(/\.$/, '')).filter((word) => word !== '');
    if (keyword !== 'options') continue;
    for (const word of words) {
      const match = /^ndots:(\d+)$/.exec(word);
      if (match !== null) ndots = Math.min(Number(match[1]), 15);
    }
  }
  return { search: search.slice(0, SEARCH_DOMAINS_MAX), ndots };
}

/** Lower-case name → addresses, in the order of the file. */
export function parseHosts(text: string): ReadonlyMap<string, readonly string[]> {
  const table = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (address === undefined || isIP(address) === 0) continue;
    for (const name of names) {
      const key = name.toLowerCase();
      const list = table.get(key);
      if (list === undefined) table.set(key, [address]);
      else if (!list.includes(address)) list.push(address);
    }
  }
  return table;
}

/** A small file that is parsed again when its time stamp changes; a missing one reads as empty. */
class CachedFile<T> {
  private readonly path: string;
  private readonly parse: (text: string) => T;
  private stampMs: number;
  private value: T;

  constructor(path: string, parse: (text: string) => T) {
    this.path = path;
    this.parse = parse;
    this.stampMs = -1;
    this.value = parse('');
  }

  read(): T {
    try {
      const stampMs = statSync(this.path).mtimeMs;
      if (stampMs !== this.stampMs) {
        this.value = this.parse(readFileSync(this.path, 'utf8'));
        this.stampMs = stampMs;
      }
    } catch {
      // Unreadable now: what was read before still holds.
    }
    return this.value;
  }
}
