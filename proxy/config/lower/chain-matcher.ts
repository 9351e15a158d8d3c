// Lowers the matcher of a listener: it sees facts of the connection, and leads to the name of a filter chain.

import { ConfigError } from '../../util/error.ts';
import type { FilterChainModel } from '../model/listener.ts';
import type { ConnectionFact, MatcherModel, MatchInputModel } from '../model/matcher.ts';
import { type Msg, str } from '../schema/message.ts';
import { lowerMatcher, type MatcherPlace } from './matcher.ts';

const NETWORK = 'envoy.extensions.matching.common_inputs.network.v3.';

const SSL = 'envoy.extensions.matching.common_inputs.ssl.v3.';

const FACTS: ReadonlyMap<string, ConnectionFact> = new Map([
  [`${NETWORK}DestinationIPInput`, 'destination_ip'],
  [`${NETWORK}DestinationPortInput`, 'destination_port'],
  [`${NETWORK}SourceIPInput`, 'source_ip'],
  [`${NETWORK}SourcePortInput`, 'source_port'],
  [`${NETWORK}DirectSourceIPInput`, 'direct_source_ip'],
  [`${NETWORK}SourceTypeInput`, 'source_type'],
  [`${NETWORK}ServerNameInput`, 'server_name'],
  [`${NETWORK}TransportProtocolInput`, 'transport_protocol'],
  [`${NETWORK}ApplicationProtocolInput`, 'application_protocol'],
]);

/** Namespaces of listeners are refused, so no connection has one. */
const NAMESPACE = `${NETWORK}NetworkNamespaceInput`;
/** There is no certificate before the chain is chosen that asks for one. */
const LATER: ReadonlySet<string> = new Set([`${SSL}UriSanInput`, `${SSL}DnsSanInput`, `${SSL}SubjectInput`]);

const PLACE: MatcherPlace<string> = {
  input: ({ $typeName }): MatchInputModel | null => {
    const fact = FACTS.get($typeName);
    if (fact !== undefined) return { kind: 'connection', fact };
    if (LATER.has($typeName)) return { kind: 'unknown' };
    return $typeName === NAMESPACE ? { kind: 'constant', value: null } : null;
  },
  action: (config) => (config.$typeName === 'google.protobuf.StringValue' ? str(config, 'value') : null),
  mayKeepMatching: true,
};

/** `Listener.filter_chain_matcher`. */
export function lowerChainMatcher(message: Msg, path: string): MatcherModel<string> {
  try {
    return lowerMatcher(message, PLACE, path);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(`cannot create a filter chain matcher: ${error.reason}`, error.where);
  }
}

/** Chains are chosen by their names, so they need some. */
export function checkChainNames(chains: readonly FilterChainModel[], addressName: string, path: string): void {
  const seen = new Set<string>();
  for (const [index, { name }] of chains.entries()) {
    const refuse = (text: string): never => {
      throw new ConfigError(`error adding listener '${addressName}': ${text}`, `${path}.filter_chains[${index}].name`);
    };
    if (name === '') refuse('"name" field is required when using a listener matcher');
    if (seen.has(name)) refuse(`"name" field is duplicated with value '${name}'`);
    seen.add(name);
  }
}
