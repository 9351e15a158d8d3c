// Answers for the fault filter (Envoy: extensions.filters.http.fault).

import { type FieldTable, fields, honoured } from './answer.ts';

const TEST = 'lower-fault';

export const FAULT_FIELDS: FieldTable = {
  'envoy.extensions.filters.http.fault.v3.HTTPFault': fields(
    honoured(
      TEST,
      'delay abort upstream_cluster headers downstream_nodes max_active_faults response_rate_limit delay_percent_runtime abort_percent_runtime delay_duration_runtime abort_http_status_runtime max_active_faults_runtime response_rate_limit_percent_runtime abort_grpc_status_runtime disable_downstream_cluster_stats filter_metadata',
    ),
  ),
  'envoy.extensions.filters.http.fault.v3.FaultAbort': fields(
    honoured(TEST, 'http_status grpc_status header_abort percentage response_body'),
  ),
  'envoy.extensions.filters.http.fault.v3.FaultAbort.HeaderAbort': fields(),
  'envoy.extensions.filters.common.fault.v3.FaultDelay': fields(honoured(TEST, 'fixed_delay header_delay percentage')),
  'envoy.extensions.filters.common.fault.v3.FaultDelay.HeaderDelay': fields(),
  'envoy.extensions.filters.common.fault.v3.FaultRateLimit': fields(
    honoured(TEST, 'fixed_limit header_limit percentage'),
  ),
  'envoy.extensions.filters.common.fault.v3.FaultRateLimit.FixedLimit': fields(honoured(TEST, 'limit_kbps')),
  'envoy.extensions.filters.common.fault.v3.FaultRateLimit.HeaderLimit': fields(),
};
