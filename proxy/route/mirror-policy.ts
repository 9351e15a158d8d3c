// Which requests are copied, and where to (Envoy: config.route.v3.RouteAction.RequestMirrorPolicy).

import type { HeaderMap } from '../codec/headers.ts';
import type { MirrorModel } from '../config/model/mirror.ts';
import type { RuntimeKeys } from '../config/model/runtime.ts';
import { compileFirstRead, type RequestLine } from '../match/head.ts';
import type { ClusterManager, ClusterRef } from '../upstream/upstream.ts';
import { compileFraction, type InFraction } from './match.ts';
import { compileMutationSteps, type Mutate } from './mutations.ts';

/** A compiled policy. */
export interface MirrorPolicy {
  /** `null` = the request names none. */
  readonly target: (line: RequestLine, headers: HeaderMap) => ClusterRef | null;
  /** `null` = every request. */
  readonly applies: InFraction | null;
  readonly mutate: Mutate | null;
  /** Empty = the request's, which gets a suffix under `hostSuffix`. */
  readonly host: string;
  readonly hostSuffix: boolean;
}

/** @returns `null` when nothing is mirrored */
export function compileMirrors(
  models: readonly MirrorModel[],
  clusters: ClusterManager,
  runtime: RuntimeKeys,
): readonly MirrorPolicy[] | null {
  if (models.length === 0) return null;
  return models.map((model) => ({
    target: compileMirrorTarget(model, clusters),
    applies: model.fraction === null ? null : compileFraction(model.fraction, runtime),
    mutate: compileMutationSteps(model.mutations, 'request'),
    host: model.hostRewrite,
    hostSuffix: model.hostSuffix,
  }));
}

function compileMirrorTarget(
  { cluster, clusterHeader }: MirrorModel,
  clusters: ClusterManager,
): MirrorPolicy['target'] {
  if (cluster !== '') {
    const ref = clusters.ref(cluster);
    return () => ref;
  }
  const read = compileFirstRead(clusterHeader);
  return (line, headers) => {
    const name = read(line, headers);
    return name === null || name === '' ? null : clusters.find(name);
  };
}
