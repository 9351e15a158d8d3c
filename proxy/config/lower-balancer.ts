// Which load balancer a cluster uses: `load_balancing_policy` where it is set, otherwise `lb_policy`.

import { ConfigError } from '../util/error.ts';
import { unpackAny } from './any.ts';
import { list, type Msg, num, oneofCase, str, sub } from './message.ts';
import type { DiscoveryModel, LbPolicyModel } from './model-cluster.ts';
import { typeNameOf } from './registry.ts';

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

export function lowerBalancer(cluster: Msg, discovery: DiscoveryModel, path: string): LbPolicyModel {
  const policy = sub(cluster, 'loadBalancingPolicy');
  const name = POLICY_NAMES.get(num(cluster, 'lbPolicy')) ?? 'ROUND_ROBIN';
  const model = policy === null ? byName(name, cluster, path) : typedPolicy(policy, cluster, path);
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
    case 'CLUSTER_PROVIDED':
      return { kind: 'cluster_provided' };
    case 'LOAD_BALANCING_POLICY_CONFIG':
      throw new ConfigError('cluster: field load_balancing_policy need to be set', path);
    default:
      throw new ConfigError(
        `LB policy ${name} is not supported; use ROUND_ROBIN, LEAST_REQUEST or RANDOM`,
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
    const found = typedModel(typeNameOf(typeUrl), message);
    if (found !== null) return found;
  }
  throw new ConfigError(
    `cluster: didn't find a registered load balancer factory implementation for cluster: '${str(cluster, 'name')}' with names from [${names.join(', ')}]`,
    `${path}.load_balancing_policy`,
  );
}

function typedModel(typeName: string, message: Msg): LbPolicyModel | null {
  switch (typeName) {
    case `${TYPED}round_robin.v3.RoundRobin`:
      return { kind: 'round_robin' };
    case `${TYPED}random.v3.Random`:
      return { kind: 'random' };
    case `${TYPED}least_request.v3.LeastRequest`:
      return leastRequest(message);
    case `${TYPED}cluster_provided.v3.ClusterProvided`:
      return { kind: 'cluster_provided' };
    default:
      return null;
  }
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
