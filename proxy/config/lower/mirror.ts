// Lowers mirror policies and ordered header mutations (Envoy: config.route.v3.RouteAction.RequestMirrorPolicy,
// config.common.mutation_rules.v3.HeaderMutation).

import { ConfigError } from '../../util/error.ts';
import { didYouMean } from '../../util/nearest.ts';
import type { HeaderMutationModel, MirrorModel } from '../model/mirror.ts';
import { bool, list, type Msg, oneof, str, sub } from '../schema/message.ts';
import { asciiLower, lowerRuntimeFraction, lowerStringMatch, wireString } from './common.ts';
import { lowerCheckedHeaderAdd, lowerHeaderRemove } from './header-mutations.ts';

/**
 * The policies of one level.
 * @param clusterNames clusters that may be named; `null` = any
 * @param inherited what holds when this level has none
 */
export function lowerMirrors(
  message: Msg,
  clusterNames: ReadonlySet<string> | null,
  inherited: readonly MirrorModel[],
  path: string,
): readonly MirrorModel[] {
  const policies = list(message, 'requestMirrorPolicies');
  if (policies.length === 0) return inherited;
  return policies.map((policy, index) =>
    lowerMirror(policy, clusterNames, `${path}.request_mirror_policies[${index}]`),
  );
}

function lowerMirror(message: Msg, clusterNames: ReadonlySet<string> | null, path: string): MirrorModel {
  const cluster = str(message, 'cluster');
  const clusterHeader = str(message, 'clusterHeader');
  if (cluster === '' && clusterHeader === '')
    throw new ConfigError(
      'Exactly one of cluster or cluster_header in request mirror policy need to be specified',
      path,
    );
  if (cluster !== '' && clusterHeader !== '') {
    throw new ConfigError(
      `Only one of cluster '${cluster}' or cluster_header '${clusterHeader}' in request mirror policy can be specified`,
      path,
    );
  }
  if (cluster !== '' && clusterNames !== null && !clusterNames.has(cluster)) {
    const sentence = `route: unknown shadow cluster '${cluster}'${didYouMean(cluster, clusterNames)}`;
    throw new ConfigError(sentence, `${path}.cluster`);
  }
  const fraction = sub(message, 'runtimeFraction');
  return {
    cluster,
    clusterHeader: asciiLower(wireString(clusterHeader)),
    fraction: fraction === null ? null : lowerRuntimeFraction(fraction),
    hostSuffix: !bool(message, 'disableShadowHostSuffixAppend'),
    hostRewrite: wireString(str(message, 'hostRewriteLiteral')),
    mutations: lowerMutationSteps(list(message, 'requestHeadersMutations'), `${path}.request_headers_mutations`),
  };
}

/** Header mutations that are made one after the other. */
export function lowerMutationSteps(steps: readonly Msg[], path: string): readonly HeaderMutationModel[] {
  return steps.map((step, index) => lowerMutationStep(step, `${path}[${index}]`));
}

function lowerMutationStep(step: Msg, path: string): HeaderMutationModel {
  const action = oneof(step, 'action');
  if (action === null) throw new ConfigError('action is required', path);
  if (action.case === 'append') {
    return { kind: 'add', add: lowerCheckedHeaderAdd(action.value as Msg, `${path}.append`) };
  }
  if (action.case === 'remove') {
    return { kind: 'remove', name: lowerHeaderRemove(action.value as string, `${path}.remove`) };
  }
  const matcher = sub(action.value as Msg, 'keyMatcher');
  if (matcher === null) throw new ConfigError('key_matcher is required', `${path}.remove_on_match`);
  return { kind: 'remove_matching', match: lowerStringMatch(matcher, `${path}.remove_on_match.key_matcher`) };
}
