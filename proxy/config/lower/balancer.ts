// Which load balancer a cluster uses: `load_balancing_policy` where it is set, otherwise `lb_policy`.

import { ConfigError } from '../../util/error.ts';
import type { DiscoveryModel, HashLbPolicyModel, LbPolicyModel } from '../model/cluster.ts';
import { unpackAny } from '../read/any.ts';
import { bool, list, type Msg, num, oneofCase, str, sub } from '../schema/message.ts';
import { typeNameOf } from '../schema/registry.ts';
import { lowerHashPolicies } from './hash.ts';

const POLICY_NAMES: ReadonlyMap<number, string> = new Map([
  [0, 'ROUND_ROBIN'],
  [1, 'LEAST_REQUEST'],
  [2, 'RING_HASH'],
  [3, 'RANDOM'],
  [5, 'MAGLEV'],
  [6, 'CLUSTER_PROVIDED'],
  [7, 'LOAD_BALANCING_POLICY_CONFIG'],
]);

const TYPED = 'envoy.extensions.load_balancing_policies.';
const RING_HASH = `${TYPED}ring_hash.v3.RingHash`;

export function lowerBalancer(cluster: Msg, discovery: DiscoveryModel, path: string): LbPolicyModel {
  const policy = sub(cluster, 'loadBalancingPolicy');
  const name = POLICY_NAMES.get(num(cluster, 'lbPolicy')) ?? 'ROUND_ROBIN';
  const model = policy === null ? byName(name, cluster, path) : typedPolicy(policy, cluster, path);
  checkHostnames(cluster, discovery, path);
  checkAgainstDiscovery(model, policy === null ? name : 'LOAD_BALANCING_POLICY_CONFIG', discovery, cluster, path);
  return model;
}

function byName(name: string, cluster: Msg, path: string): LbPolicyModel {
  switch (name) {
    case 'ROUND_ROBIN':
      return { kind: 'round_robin' };
    case 'RANDOM':
      return { kind: 'random' };
    case 'LEAST_REQUEST':
      return leastRequest(oneofCase(cluster, 'lbConfig', 'leastRequestLbConfig'));
    case 'RING_HASH': {
      const config = oneofCase(cluster, 'lbConfig', 'ringHashLbConfig');
      return ringHash(config, olderHashing(cluster), `${path}.ring_hash_lb_config`);
    }
    case 'MAGLEV': {
      const config = oneofCase(cluster, 'lbConfig', 'maglevLbConfig');
      return maglev(config, olderHashing(cluster), `${path}.maglev_lb_config`);
    }
    case 'CLUSTER_PROVIDED':
      return { kind: 'cluster_provided' };
    case 'LOAD_BALANCING_POLICY_CONFIG':
      throw new ConfigError('cluster: field load_balancing_policy need to be set', path);
    default:
      throw new ConfigError(
        `LB policy ${name} is not supported; use LEAST_REQUEST, ROUND_ROBIN, RANDOM, RING_HASH or MAGLEV`,
        `${path}.lb_policy`,
      );
  }
}

/** `least_request` in its older and its typed message: both have these two fields. */
function leastRequest(config: Msg | null): LbPolicyModel {
  const bias = config === null ? null : sub(config, 'activeRequestBias');
  return {
    kind: 'least_request',
    choiceCount: config === null ? 2 : num(config, 'choiceCount', 2),
    activeRequestBias: bias === null ? 1 : num(bias, 'defaultValue'),
  };
}

const DEFAULT_MIN_RING_SIZE = 1_024;
const DEFAULT_MAX_RING_SIZE = 8_388_608;
const DEFAULT_TABLE_SIZE = 65_537;

type Hashing = Pick<HashLbPolicyModel, 'useHostname' | 'balancePercent' | 'hashPolicy'>;

/** What older clusters say of consistent hashing in general. */
function olderHashing(cluster: Msg): Hashing {
  const common = sub(cluster, 'commonLbConfig');
  return hashing(common === null ? null : sub(common, 'consistentHashingLbConfig'), []);
}

function hashing(config: Msg | null, hashPolicy: Hashing['hashPolicy']): Hashing {
  return {
    useHostname: config !== null && bool(config, 'useHostnameForHashing'),
    balancePercent: config === null ? 0 : num(config, 'hashBalanceFactor'),
    hashPolicy,
  };
}

/** The typed messages have the settings in a message of their own, and ring hash in itself too, as it once was. */
function typedHashing(message: Msg, older: boolean, path: string): Hashing {
  const config = sub(message, 'consistentHashingLbConfig');
  if (config === null) return hashing(older ? message : null, []);
  const at = `${path}.consistent_hashing_lb_config.hash_policy`;
  return hashing(config, lowerHashPolicies(list(config, 'hashPolicy'), at));
}

/** `ring_hash` in its older and its typed message: `hash_function` alone differs, by a default in front. */
function ringHash(config: Msg | null, common: Hashing, path: string): LbPolicyModel {
  const minRingSize = config === null ? DEFAULT_MIN_RING_SIZE : num(config, 'minimumRingSize', DEFAULT_MIN_RING_SIZE);
  const maxRingSize = config === null ? DEFAULT_MAX_RING_SIZE : num(config, 'maximumRingSize', DEFAULT_MAX_RING_SIZE);
  if (minRingSize > maxRingSize) {
    throw new ConfigError(`ring hash: minimum_ring_size (${minRingSize}) > maximum_ring_size (${maxRingSize})`, path);
  }
  const murmur = config !== null && num(config, 'hashFunction') === (config.$typeName === RING_HASH ? 2 : 1);
  return { kind: 'ring_hash', minRingSize, maxRingSize, hashFunction: murmur ? 'murmur2' : 'xx', ...common };
}

function maglev(config: Msg | null, common: Hashing, path: string): LbPolicyModel {
  const tableSize = config === null ? DEFAULT_TABLE_SIZE : num(config, 'tableSize', DEFAULT_TABLE_SIZE);
  if (!isPrime(tableSize)) throw new ConfigError('The table size of maglev must be prime number', path);
  return { kind: 'maglev', tableSize, ...common };
}

function isPrime(value: number): boolean {
  if (value < 2) return false;
  for (let divisor = 2; divisor * divisor <= value; divisor++) if (value % divisor === 0) return false;
  return true;
}

/** The first policy of the list that is known here, as Envoy takes the first it was built with. */
function typedPolicy(policy: Msg, cluster: Msg, path: string): LbPolicyModel {
  const names: string[] = [];
  for (const [i, item] of list(policy, 'policies').entries()) {
    const extension = sub(item, 'typedExtensionConfig');
    const any = extension === null ? null : sub(extension, 'typedConfig');
    if (extension === null || any === null) continue;
    names.push(str(extension, 'name'));
    const where = `${path}.load_balancing_policy.policies[${i}].typed_extension_config.typed_config`;
    const { typeUrl, message } = unpackAny(any, where);
    const found = typedModel(typeNameOf(typeUrl), message, where);
    if (found !== null) return found;
  }
  throw new ConfigError(
    `cluster: didn't find a registered load balancer factory implementation for cluster: '${str(cluster, 'name')}' with names from [${names.join(', ')}]`,
    `${path}.load_balancing_policy`,
  );
}

function typedModel(typeName: string, message: Msg, path: string): LbPolicyModel | null {
  switch (typeName) {
    case `${TYPED}round_robin.v3.RoundRobin`:
      return { kind: 'round_robin' };
    case `${TYPED}random.v3.Random`:
      return { kind: 'random' };
    case `${TYPED}least_request.v3.LeastRequest`:
      return leastRequest(message);
    case RING_HASH:
      return ringHash(message, typedHashing(message, true, path), path);
    case `${TYPED}maglev.v3.Maglev`:
      return maglev(message, typedHashing(message, false, path), path);
    case `${TYPED}cluster_provided.v3.ClusterProvided`:
      return { kind: 'cluster_provided' };
    default:
      return null;
  }
}

/** Of other clusters Envoy does not know names that are worth hashing; the typed messages are not asked. */
function checkHostnames(cluster: Msg, { kind }: DiscoveryModel, path: string): void {
  if (kind === 'strict_dns' || !olderHashing(cluster).useHostname) return;
  throw new ConfigError(
    `Cannot use hostname for consistent hashing loadbalancing for cluster of type: 'envoy.cluster.${kind}'`,
    `${path}.common_lb_config.consistent_hashing_lb_config.use_hostname_for_hashing`,
  );
}

function checkAgainstDiscovery(
  model: LbPolicyModel,
  name: string,
  discovery: DiscoveryModel,
  cluster: Msg,
  path: string,
): void {
  const provided = model.kind === 'cluster_provided';
  if (discovery.kind === 'original_dst' && !provided) {
    throw new ConfigError(
      `cluster: LB policy ${name} is not valid for Cluster type ORIGINAL_DST. Only 'CLUSTER_PROVIDED' is allowed with cluster type 'ORIGINAL_DST'`,
      path,
    );
  }
  if (discovery.kind !== 'original_dst' && provided) {
    throw new ConfigError(
      `cluster manager: cluster provided LB specified but cluster '${str(cluster, 'name')}' did not provide one. Check cluster documentation.`,
      path,
    );
  }
}
