// Chooses the filter chain of a new connection by a generic matcher (Envoy: listener.v3.Listener.filter_chain_matcher).

import type { ConnectionFact, MatcherModel, MatchInputModel } from '../config/model/matcher.ts';
import type { RuntimeKeys } from '../config/model/runtime.ts';
import { compileMatcher, type ReadInput } from '../match/matcher.ts';
import { type FilterState, filterStateText } from '../observe/filter-state.ts';
import { type ChainMatcher, isLocal, type MatchInput } from './chain-match.ts';

/** A connection whose listener filters may have kept something with it. */
type Subject = MatchInput & { readonly filterState?: FilterState | null };

/**
 * Compiles a listener's matcher.
 * @param chains by name; a name that is none leads nowhere, not even to `fallback`
 * @param fallback for connections that match nothing
 */
export function compileChainTree<T>(
  model: MatcherModel<string>,
  chains: ReadonlyMap<string, T>,
  fallback: T | null,
  runtimeKeys: RuntimeKeys,
): ChainMatcher<T> {
  // Set while one connection is looked at.
  let unknown = false;
  const find = compileMatcher<string, Subject, { readonly chain: T | null }>(model, {
    runtimeKeys,
    input: (input) =>
      input.kind === 'unknown'
        ? () => {
            unknown = true;
            return null;
          }
        : compileInput(input),
    action: (name) => ({ chain: chains.get(name) ?? null }),
  });
  return (input) => {
    unknown = false;
    const found = find(input);
    return found === null || unknown ? fallback : found.chain;
  };
}

function compileInput(model: MatchInputModel): ReadInput<Subject> {
  switch (model.kind) {
    case 'connection':
      return FACTS[model.fact];
    case 'filter_state':
      return ({ filterState }) => filterStateText(filterState?.get(model.key) ?? null, model.field);
    case 'constant':
      return () => model.value;
    case 'header':
    case 'unknown':
      return () => null;
  }
}

const present = (text: string): string | null => (text === '' ? null : text);
/** Unix sockets have no ports. */
const port = (ip: string, value: number): string | null => (ip === '' ? null : `${value}`);

const FACTS: { readonly [fact in ConnectionFact]: ReadInput<Subject> } = {
  destination_ip: ({ localIp }) => present(localIp),
  destination_port: ({ localIp, localPort }) => port(localIp, localPort),
  source_ip: ({ remoteIp }) => present(remoteIp),
  source_port: ({ remoteIp, remotePort }) => port(remoteIp, remotePort),
  direct_source_ip: ({ directRemoteIp }) => present(directRemoteIp),
  source_type: (input) => (isLocal(input) ? 'local' : null),
  server_name: ({ serverName }) => present(serverName),
  transport_protocol: ({ transportProtocol }) => present(transportProtocol),
  application_protocol: ({ applicationProtocols }) =>
    applicationProtocols.length === 0 ? null : applicationProtocols.map((name) => `'${name}'`).join(','),
};
