// All groups of scenarios.

import { actionsHttp2 } from './scenarios/actions-http2.ts';
import { autoProtocol } from './scenarios/auto-protocol.ts';
import { bodyLimits } from './scenarios/body-limits.ts';
import { breakers } from './scenarios/breakers.ts';
import { breakersCrowded } from './scenarios/breakers-crowded.ts';
import { bufferFilter } from './scenarios/buffer-filter.ts';
import { capture } from './scenarios/capture.ts';
import { chainMatch } from './scenarios/chain-match.ts';
import { chainTrees } from './scenarios/chain-trees.ts';
import { clusterRetries } from './scenarios/cluster-retries.ts';
import { clusters } from './scenarios/clusters.ts';
import { connectRequests } from './scenarios/connect.ts';
import { connectionData } from './scenarios/connection-data.ts';
import { connectionState } from './scenarios/connection-state.ts';
import { cors } from './scenarios/cors.ts';
import { countedApart } from './scenarios/counted-apart.ts';
import { detection } from './scenarios/detection.ts';
import { directBodies } from './scenarios/direct-bodies.ts';
import { earlyMutations } from './scenarios/early-mutations.ts';
import { edge } from './scenarios/edge.ts';
import { failures } from './scenarios/failures.ts';
import { faults } from './scenarios/fault.ts';
import { faultHttp2 } from './scenarios/fault-http2.ts';
import { filterOrder } from './scenarios/filter-order.ts';
import { filterReplies } from './scenarios/filter-replies.ts';
import { fineClusters } from './scenarios/fine-clusters.ts';
import { fineListeners, noStats, someStats } from './scenarios/fine-listeners.ts';
import { fineRoutes } from './scenarios/fine-routes.ts';
import { flush } from './scenarios/flush.ts';
import { generated } from './scenarios/generated.ts';
import { generatedRoutes } from './scenarios/generated-routes.ts';
import { grpcFilters } from './scenarios/grpc.ts';
import { grpcStreams } from './scenarios/grpc-streams.ts';
import { hashing } from './scenarios/hashing.ts';
import { headMatches } from './scenarios/head-matches.ts';
import { headerLevels } from './scenarios/header-levels.ts';
import { hedgeDuration } from './scenarios/hedge-duration.ts';
import { hedging } from './scenarios/hedging.ts';
import { http1 } from './scenarios/http1.ts';
import { http2 } from './scenarios/http2.ts';
import { http2Ends } from './scenarios/http2-ends.ts';
import { http2More } from './scenarios/http2-more.ts';
import { internalListeners } from './scenarios/internal.ts';
import { internalRedirects } from './scenarios/internal-redirects.ts';
import { limitsShown } from './scenarios/limits-shown.ts';
import { listeners } from './scenarios/listeners.ts';
import { logs } from './scenarios/logs.ts';
import { matcherInputs } from './scenarios/matcher-inputs.ts';
import { matcherTrees } from './scenarios/matcher-trees.ts';
import { metadataFilters } from './scenarios/metadata-filters.ts';
import { mirrors } from './scenarios/mirror.ts';
import { mirrorMore } from './scenarios/mirror-more.ts';
import { mutationFilter } from './scenarios/mutation-filter.ts';
import { names } from './scenarios/names.ts';
import { networkFilters } from './scenarios/network-filters.ts';
import { oddRewrites } from './scenarios/odd-rewrites.ts';
import { oddValues } from './scenarios/odd-values.ts';
import { operators } from './scenarios/operators.ts';
import { options } from './scenarios/options.ts';
import { outlier } from './scenarios/outlier.ts';
import { outlierSweeps } from './scenarios/outlier-sweeps.ts';
import {
  overloadConnections,
  overloadKeepalive,
  overloadRequests,
  overloadShed,
  overloadShedCodecs,
  overloadShedConnections,
  overloadTimeouts,
} from './scenarios/overload.ts';
import {
  overloadFilters,
  overloadHttp1,
  overloadHttp2,
  overloadHttp2Close,
  overloadPools,
} from './scenarios/overload-points.ts';
import { overloadShares, overloadSpared } from './scenarios/overload-shares.ts';
import { panic } from './scenarios/panic.ts';
import { pathTemplates } from './scenarios/path-templates.ts';
import { patience } from './scenarios/patience.ts';
import { proxyFormats } from './scenarios/proxy-formats.ts';
import { proxyUpstream } from './scenarios/proxy-upstream.ts';
import { refreshCluster } from './scenarios/refresh-cluster.ts';
import { regexBytes } from './scenarios/regex-bytes.ts';
import { replies } from './scenarios/replies.ts';
import { replyMapping } from './scenarios/reply-mapping.ts';
import { retries } from './scenarios/retries.ts';
import { retriesAdded } from './scenarios/retries-added.ts';
import { retriesEdge } from './scenarios/retries-edge.ts';
import { retriesHttp2 } from './scenarios/retries-http2.ts';
import { retriesMore } from './scenarios/retries-more.ts';
import { retryBudget } from './scenarios/retry-budget.ts';
import { retryPriorities } from './scenarios/retry-priorities.ts';
import { rewriting } from './scenarios/rewriting.ts';
import { routeFilters } from './scenarios/route-filters.ts';
import { routing } from './scenarios/routing.ts';
import { runtimeKeys, runtimeNoRetries } from './scenarios/runtime-keys.ts';
import { runtimePaths, runtimePathsOff } from './scenarios/runtime-paths.ts';
import { runtimeValues } from './scenarios/runtime-values.ts';
import { scopedRoutes } from './scenarios/scoped-routes.ts';
import { smuggling } from './scenarios/smuggling.ts';
import { staples } from './scenarios/staples.ts';
import { streamMatches } from './scenarios/stream-matches.ts';
import { tcpProxy } from './scenarios/tcp.ts';
import { tcpMore } from './scenarios/tcp-more.ts';
import { timeouts } from './scenarios/timeouts.ts';
import { timeoutsMore } from './scenarios/timeouts-more.ts';
import { tls } from './scenarios/tls.ts';
import { tlsMore } from './scenarios/tls-more.ts';
import { tlsUpstream } from './scenarios/tls-upstream.ts';
import { trustedLimits } from './scenarios/trusted-limits.ts';
import { tunnel } from './scenarios/tunnel.ts';
import { upstreamHttp2 } from './scenarios/upstream-http2.ts';
import { wireFaults } from './scenarios/wire-faults.ts';
import type { Group } from './types.ts';

export const GROUPS: readonly Group[] = [
  routing,
  rewriting,
  earlyMutations,
  edge,
  http1,
  http2,
  http2More,
  http2Ends,
  smuggling,
  timeouts,
  timeoutsMore,
  retries,
  retriesMore,
  retriesHttp2,
  clusterRetries,
  retriesAdded,
  retriesEdge,
  trustedLimits,
  countedApart,
  retryPriorities,
  hedging,
  hedgeDuration,
  failures,
  replies,
  logs,
  oddRewrites,
  oddValues,
  operators,
  options,
  clusters,
  bodyLimits,
  breakers,
  breakersCrowded,
  limitsShown,
  listeners,
  tcpProxy,
  tcpMore,
  detection,
  chainMatch,
  proxyUpstream,
  proxyFormats,
  tls,
  tlsUpstream,
  autoProtocol,
  staples,
  tlsMore,
  fineRoutes,
  regexBytes,
  names,
  routeFilters,
  panic,
  pathTemplates,
  matcherTrees,
  matcherInputs,
  chainTrees,
  scopedRoutes,
  directBodies,
  cors,
  streamMatches,
  faults,
  faultHttp2,
  fineClusters,
  fineListeners,
  someStats,
  noStats,
  capture,
  internalListeners,
  grpcFilters,
  grpcStreams,
  metadataFilters,
  filterOrder,
  filterReplies,
  replyMapping,
  connectionState,
  connectionData,
  bufferFilter,
  mutationFilter,
  networkFilters,
  tunnel,
  connectRequests,
  upstreamHttp2,
  patience,
  mirrors,
  mirrorMore,
  outlier,
  outlierSweeps,
  overloadRequests,
  overloadKeepalive,
  overloadConnections,
  overloadShed,
  overloadShedCodecs,
  overloadShedConnections,
  overloadTimeouts,
  internalRedirects,
  hashing,
  headerLevels,
  headMatches,
  actionsHttp2,
  flush,
  overloadHttp1,
  overloadHttp2,
  overloadHttp2Close,
  overloadFilters,
  overloadPools,
  overloadShares,
  overloadSpared,
  refreshCluster,
  retryBudget,
  runtimeKeys,
  runtimeValues,
  runtimeNoRetries,
  runtimePaths,
  runtimePathsOff,
  generated,
  generatedRoutes,
  wireFaults,
];
