// Lowers the filters around gRPC (Envoy: extensions.filters.http.grpc_*).

import type { GrpcBridgeModel, GrpcStatsModel } from '../model/http-filter.ts';
import { bool, list, type Msg, oneof, str, strings } from '../schema/message.ts';

/** `grpc_stats.v3.FilterConfig`. */
export function lowerGrpcStats(message: Msg): GrpcStatsModel {
  const specifier = oneof(message, 'perMethodStatSpecifier');
  return {
    kind: 'grpc_stats',
    emitFilterState: bool(message, 'emitFilterState'),
    allMethods: specifier?.case === 'statsForAllMethods' && bool(specifier.value as Msg, 'value'),
    allowlist:
      specifier?.case === 'individualMethodStatsAllowlist'
        ? list(specifier.value as Msg, 'services').map((service) => ({
            service: str(service, 'name'),
            methods: strings(service, 'methodNames'),
          }))
        : null,
    upstreamStats: bool(message, 'enableUpstreamStats'),
    replaceDots: bool(message, 'replaceDotsInGrpcServiceName'),
  };
}

/** `grpc_http1_bridge.v3.Config`. */
export function lowerGrpcBridge(message: Msg): GrpcBridgeModel {
  return {
    kind: 'grpc_http1_bridge',
    upgradeProtobuf: bool(message, 'upgradeProtobufToGrpc'),
    ignoreQueryParameters: bool(message, 'ignoreQueryParameters'),
  };
}
