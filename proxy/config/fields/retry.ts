// Answers for retries (Envoy: config.route.v3.{RetryPolicy,HedgePolicy}, extensions.retry).

import { type FieldTable, fields, harmless, honoured, rejected } from './answer.ts';

const TEST = 'lower-retry';

export const RETRY_FIELDS: FieldTable = {
  'envoy.config.route.v3.RetryPolicy': fields(
    honoured(
      TEST,
      'retry_on num_retries per_try_timeout retry_priority retry_host_predicate host_selection_retry_max_attempts retriable_status_codes retry_back_off rate_limited_retry_back_off retriable_headers retriable_request_headers per_try_idle_timeout refresh_cluster_on_retry',
    ),
    rejected('a stock Envoy has no such extension; remove it', 'retry_options_predicates'),
  ),
  'envoy.config.route.v3.RetryPolicy.RetryPriority': fields(honoured(TEST, 'name typed_config')),
  'envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig': fields(
    honoured(TEST, 'update_frequency'),
  ),
  'envoy.config.route.v3.RetryPolicy.RetryHostPredicate': fields(honoured(TEST, 'name typed_config')),
  'envoy.config.route.v3.RetryPolicy.RetryBackOff': fields(honoured(TEST, 'base_interval max_interval')),
  'envoy.config.route.v3.RetryPolicy.RateLimitedRetryBackOff': fields(honoured(TEST, 'reset_headers max_interval')),
  'envoy.config.route.v3.RetryPolicy.ResetHeader': fields(honoured(TEST, 'name format')),
  'envoy.config.route.v3.HedgePolicy': fields(
    honoured(TEST, 'hedge_on_per_try_timeout'),
    harmless('Envoy does not read it', 'route_components.proto', 'initial_requests additional_request_chance'),
  ),
  'envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate': fields(),
  'envoy.extensions.retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate': fields(),
  'envoy.extensions.retry.host.omit_host_metadata.v3.OmitHostMetadataConfig': fields(honoured(TEST, 'metadata_match')),
};
