// Lowers filter chain matches and refuses those that could not be told apart.

import { ConfigError } from '../../util/error.ts';
import type { CidrModel } from '../model/common.ts';
import type { FilterChainMatchModel, FilterChainModel } from '../model/listener.ts';
import { has, list, type Msg, num, numbers, str, strings } from '../schema/message.ts';
import { lowerCidr } from './common.ts';

const SOURCE_TYPES = ['any', 'same_ip_or_loopback', 'external'] as const;

/** How many combinations of criteria a listener's chains may spell out. */
const COMBINATIONS_MAX = 1_000_000;

const MATCH_ALL: FilterChainMatchModel = {
  destinationPort: null,
  prefixRanges: [],
  serverNames: [],
  transportProtocol: '',
  applicationProtocols: [],
  directSourcePrefixRanges: [],
  sourceType: 'any',
  sourcePrefixRanges: [],
  sourcePorts: [],
};

/** `FilterChainMatch`. */
export function lowerChainMatch(message: Msg | null, path: string): FilterChainMatchModel {
  if (message === null) return MATCH_ALL;
  return {
    destinationPort: has(message, 'destinationPort') ? num(message, 'destinationPort') : null,
    prefixRanges: lowerRanges(list(message, 'prefixRanges'), `${path}.prefix_ranges`),
    serverNames: strings(message, 'serverNames').map((name) => name.toLowerCase()),
    transportProtocol: str(message, 'transportProtocol'),
    applicationProtocols: strings(message, 'applicationProtocols'),
    directSourcePrefixRanges: lowerRanges(
      list(message, 'directSourcePrefixRanges'),
      `${path}.direct_source_prefix_ranges`,
    ),
    sourceType: SOURCE_TYPES[num(message, 'sourceType')] ?? 'any',
    sourcePrefixRanges: lowerRanges(list(message, 'sourcePrefixRanges'), `${path}.source_prefix_ranges`),
    sourcePorts: numbers(message, 'sourcePorts'),
  };
}

function lowerRanges(ranges: readonly Msg[], path: string): readonly CidrModel[] {
  return ranges.map((range, index) => lowerCidr(range, `${path}[${index}]`));
}

/** Refuses matches that are equal, that overlap, or that Envoy cannot evaluate. */
export function checkChainMatches(chains: readonly FilterChainModel[], addressName: string, path: string): void {
  const seen = new Map<string, FilterChainModel>();
  const combinations = new Set<string>();
  for (const [index, chain] of chains.entries()) {
    const where = `${path}.filter_chains[${index}].filter_chain_match`;
    const refuse = (text: string): never => {
      throw new ConfigError(`error adding listener '${addressName}': ${text}`, where);
    };
    if (chain.match.serverNames.some(isPartialWildcard)) {
      refuse('partial wildcards are not supported in "server_names"');
    }
    const key = JSON.stringify(chain.match);
    const same = seen.get(key);
    if (same !== undefined) {
      refuse(
        `filter chain '${chain.name}' has the same matching rules defined as '${same.name}'. ` +
          `duplicate matcher is: ${matchJson(chain.match)}`,
      );
    }
    seen.set(key, chain);
    for (const combination of expand(chain.match)) {
      if (combinations.size >= COMBINATIONS_MAX) {
        refuse(`filter chains spell out more than ${COMBINATIONS_MAX} combinations`);
      }
      if (combinations.has(combination)) refuse('multiple filter chains with overlapping matching rules are defined');
      combinations.add(combination);
    }
  }
}

function isPartialWildcard(name: string): boolean {
  return name.includes('*') && (!name.startsWith('*.') || name.includes('*', 1));
}

/** Every single combination of criteria that a match stands for. */
function* expand(match: FilterChainMatchModel): Generator<string> {
  const axes: readonly (readonly string[])[] = [
    [match.destinationPort === null ? '' : String(match.destinationPort)],
    orAny(match.prefixRanges.map(rangeText)),
    orAny(match.serverNames),
    [match.transportProtocol],
    orAny(match.applicationProtocols),
    orAny(match.directSourcePrefixRanges.map(rangeText)),
    [match.sourceType],
    orAny(match.sourcePrefixRanges.map(rangeText)),
    orAny(match.sourcePorts.map(String)),
  ];
  yield* product(axes, 0, '');
}

function* product(axes: readonly (readonly string[])[], at: number, prefix: string): Generator<string> {
  const axis = axes[at];
  if (axis === undefined) {
    yield prefix;
    return;
  }
  for (const value of axis) yield* product(axes, at + 1, `${prefix}${value}\n`);
}

function orAny(values: readonly string[]): readonly string[] {
  return values.length === 0 ? [''] : values;
}

function rangeText(range: CidrModel): string {
  return `${range.address}/${range.prefixLength}`;
}

/** The match as configured, for the message. */
function matchJson(match: FilterChainMatchModel): string {
  const out: Record<string, unknown> = {};
  const ranges = (all: readonly CidrModel[]): unknown =>
    all.map((range) => ({ address_prefix: range.address, prefix_len: range.prefixLength }));
  if (match.destinationPort !== null) out['destination_port'] = match.destinationPort;
  if (match.prefixRanges.length > 0) out['prefix_ranges'] = ranges(match.prefixRanges);
  if (match.serverNames.length > 0) out['server_names'] = match.serverNames;
  if (match.transportProtocol !== '') out['transport_protocol'] = match.transportProtocol;
  if (match.applicationProtocols.length > 0) out['application_protocols'] = match.applicationProtocols;
  if (match.directSourcePrefixRanges.length > 0) {
    out['direct_source_prefix_ranges'] = ranges(match.directSourcePrefixRanges);
  }
  if (match.sourceType !== 'any') out['source_type'] = match.sourceType.toUpperCase();
  if (match.sourcePrefixRanges.length > 0) out['source_prefix_ranges'] = ranges(match.sourcePrefixRanges);
  if (match.sourcePorts.length > 0) out['source_ports'] = match.sourcePorts;
  return JSON.stringify(out);
}
