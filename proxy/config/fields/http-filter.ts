// Answers for the fields of HTTP filters between the connection manager and the router.

import { type FieldTable, fields, harmless, honoured } from './answer.ts';

const METADATA_TEST = 'lower-metadata-filters';

const MUTATION_TEST = 'lower-header-mutation';

const BUFFER_TEST = 'lower-metadata-filters';

export const HTTP_FILTER_FIELDS: FieldTable = {
  'envoy.extensions.filters.http.buffer.v3.Buffer': fields(honoured(BUFFER_TEST, 'max_request_bytes')),
  'envoy.extensions.filters.http.buffer.v3.BufferPerRoute': fields(honoured(BUFFER_TEST, 'disabled buffer')),
  'envoy.extensions.filters.http.header_mutation.v3.HeaderMutation': fields(
    honoured(MUTATION_TEST, 'mutations most_specific_header_mutations_wins'),
  ),
  'envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute': fields(
    honoured(MUTATION_TEST, 'mutations'),
  ),
  'envoy.extensions.filters.http.header_mutation.v3.Mutations': fields(
    honoured(
      MUTATION_TEST,
      'request_mutations query_parameter_mutations response_mutations response_trailers_mutations request_trailers_mutations formatters',
    ),
  ),
  'envoy.config.core.v3.KeyValueMutation': fields(honoured(MUTATION_TEST, 'append remove')),
  'envoy.config.core.v3.KeyValueAppend': fields(
    honoured(MUTATION_TEST, 'record action'),
    harmless('Envoy 1.40 takes records only', 'header_mutation.proto', 'entry'),
  ),
  'envoy.config.core.v3.KeyValuePair': fields(honoured(MUTATION_TEST, 'key value')),
  'envoy.extensions.filters.http.header_to_metadata.v3.Config': fields(
    honoured(METADATA_TEST, 'request_rules response_rules stat_prefix'),
  ),
  'envoy.extensions.filters.http.header_to_metadata.v3.Config.Rule': fields(
    honoured(METADATA_TEST, 'header cookie on_header_present on_header_missing remove'),
  ),
  'envoy.extensions.filters.http.header_to_metadata.v3.Config.KeyValuePair': fields(
    honoured(METADATA_TEST, 'metadata_namespace key value regex_value_rewrite type encode'),
  ),
  'envoy.extensions.filters.http.set_metadata.v3.Config': fields(
    honoured(METADATA_TEST, 'metadata_namespace value metadata'),
  ),
  'envoy.extensions.filters.http.set_metadata.v3.Metadata': fields(
    honoured(METADATA_TEST, 'metadata_namespace allow_overwrite value'),
    harmless(
      'no filter here reads typed metadata; what Envoy counts of it is counted',
      'set_metadata.proto',
      'typed_value',
    ),
  ),
  'envoy.extensions.filters.http.set_filter_state.v3.Config': fields(
    honoured(METADATA_TEST, 'on_request_headers clear_route_cache'),
  ),
  'envoy.extensions.filters.network.set_filter_state.v3.Config': fields(
    honoured(METADATA_TEST, 'on_new_connection on_downstream_tls_handshake on_downstream_data'),
  ),
  'envoy.extensions.filters.common.set_filter_state.v3.FilterStateValue': fields(
    honoured(METADATA_TEST, 'object_key factory_key format_string shared_with_upstream skip_if_empty'),
    harmless('Envoy 1.40 lets later values replace it all the same', 'parity group metadata-filters', 'read_only'),
  ),
};
