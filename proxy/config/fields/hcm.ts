// Answers for the HTTP connection manager and its HTTP filters (Envoy: extensions.filters.{network,http}).

import { type FieldTable, fields, harmless, honoured, honouredExcept, rejected, warned } from './answer.ts';
import { FAULT_FIELDS } from './fault.ts';
import { SCOPED_ROUTES_FIELDS } from './scoped-routes.ts';

const FILTERS_TEST = 'lower-route-filters';
const TEST = 'lower-hcm';
const SCOPED_TEST = 'lower-scoped-routes';
const GRPC_TEST = 'lower-grpc-filters';
const HCM = 'http_connection_manager.proto';

export const HCM_FIELDS: FieldTable = {
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager': fields(
    honouredExcept(TEST, 'codec_type', {
      HTTP3: { how: 'reject', text: 'HTTP/3 codec configured on non-QUIC listener.' },
    }),
    honoured(
      TEST,
      'stat_prefix route_config http_filters add_user_agent common_http_protocol_options http_protocol_options server_name server_header_transformation scheme_header_transformation max_request_headers_kb stream_idle_timeout request_timeout request_headers_timeout delayed_close_timeout access_log use_remote_address xff_num_trusted_hops internal_address_config skip_xff_append via generate_request_id preserve_external_request_id always_set_request_id_in_response forward_client_cert_details proxy_100_continue upgrade_configs normalize_path merge_slashes path_with_escaped_slashes_action request_id_extension local_reply_config strip_matching_host_port strip_any_host_port stream_error_on_invalid_http_message access_log_flush_interval flush_access_log_on_new_request access_log_options drain_timeout stream_flush_timeout http2_protocol_options http1_safe_max_connection_duration strip_trailing_host_dot append_x_forwarded_port',
    ),
    warned('PROXY headers to hosts always name the client', 'add_proxy_protocol_connection_state'),
    honoured(SCOPED_TEST, 'scoped_routes'),
    harmless('HTTP/3 is refused', HCM, 'http3_protocol_options'),
    harmless('Envoy does nothing about it, either', HCM, 'represent_ipv4_remote_address_as_ipv4_mapped_ipv6'),
    rejected('route discovery is not supported yet; write the routes into route_config', 'rds'),
    rejected(
      'original IP detection extensions are not supported yet; use use_remote_address and xff_num_trusted_hops',
      'original_ip_detection_extensions',
    ),
    honoured(TEST, 'early_header_mutation_extensions'),
    rejected(
      'matchers for client certificates are not supported; use forward_client_cert_details',
      'forward_client_cert_matcher',
    ),
    rejected(
      'path transformations are not supported; use normalize_path and merge_slashes',
      'path_normalization_options',
    ),
    rejected('header validation extensions are not supported; remove it', 'typed_header_validation_config'),
    rejected('x-forwarded-proto follows the connection; remove it', 'forward_proto_config'),
    warned('requests are not traced yet', 'tracing'),
    warned('draining takes exactly drain_timeout', 'drain_timeout_jitter'),
    warned('these stats are not kept', 'record_route_resolution_stats'),
    warned('proxy-status is not added', 'proxy_status_config'),
    honoured(TEST, 'set_current_client_cert_details append_local_overload'),
  ),
  'envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation': fields(honoured(TEST, 'mutations')),
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.SetCurrentClientCertDetails':
    fields(
      honoured(TEST, 'subject cert chain dns uri issuer'),
      rejected('there is one format of the header; remove it', 'format'),
    ),
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.InternalAddressConfig': fields(
    honoured(TEST, 'unix_sockets cidr_ranges'),
  ),
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.UpgradeConfig': fields(
    honoured(TEST, 'upgrade_type enabled'),
    rejected('filter chains of upgrades are not supported; the usual chain is used without them', 'filters'),
  ),
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.HcmAccessLogOptions': fields(
    honoured(TEST, 'access_log_flush_interval flush_access_log_on_new_request'),
    warned('a tunnel is logged when it ends', 'flush_log_on_tunnel_successfully_established'),
  ),
  'envoy.extensions.filters.network.http_connection_manager.v3.RequestIDExtension': fields(
    honoured(TEST, 'typed_config'),
  ),
  'envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig': fields(
    harmless(
      'requests are not traced, so none is marked or sampled',
      'uuid.proto',
      'pack_trace_reason use_request_id_for_trace_sampling',
    ),
  ),
  'envoy.extensions.filters.network.http_connection_manager.v3.LocalReplyConfig': fields(
    honoured(TEST, 'mappers body_format'),
  ),
  'envoy.extensions.filters.network.http_connection_manager.v3.ResponseMapper': fields(
    honoured(TEST, 'filter status_code body body_format_override headers_to_add'),
  ),
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter': fields(
    honoured(TEST, 'name typed_config'),
    honoured(FILTERS_TEST, 'disabled is_optional'),
    rejected('extension discovery is not supported; use typed_config', 'config_discovery'),
  ),
  'envoy.extensions.filters.http.router.v3.Router': fields(
    honoured(TEST, 'suppress_envoy_headers dynamic_stats respect_expected_rq_timeout strict_check_headers'),
    harmless('requests are not traced yet', 'router.proto', 'start_child_span'),
    harmless('early data needs TLS', 'router.proto', 'reject_connect_request_early_data'),
    rejected('upstream filters are not supported; use http_filters', 'upstream_http_filters'),
    warned('attempts are logged when they end', 'upstream_log_options'),
    warned('the stats are always kept', 'suppress_grpc_request_failure_code_stats'),
    warned('attempts are not logged; use access_log of the connection manager', 'upstream_log'),
  ),

  'envoy.extensions.filters.http.grpc_stats.v3.FilterConfig': fields(
    honoured(
      GRPC_TEST,
      'emit_filter_state individual_method_stats_allowlist stats_for_all_methods enable_upstream_stats replace_dots_in_grpc_service_name',
    ),
  ),
  'envoy.config.core.v3.GrpcMethodList': fields(honoured(GRPC_TEST, 'services')),
  'envoy.config.core.v3.GrpcMethodList.Service': fields(honoured(GRPC_TEST, 'name method_names')),
  'envoy.extensions.filters.http.grpc_web.v3.GrpcWeb': fields(),
  'envoy.extensions.filters.http.grpc_http1_bridge.v3.Config': fields(
    honoured(GRPC_TEST, 'upgrade_protobuf_to_grpc ignore_query_parameters'),
  ),

  // Filters that do nothing unless a field is set
  'envoy.extensions.filters.http.cors.v3.Cors': fields(),
  'envoy.extensions.filters.http.cors.v3.CorsPolicy': fields(
    honoured(
      'lower-cors',
      'allow_origin_string_match allow_methods allow_headers expose_headers max_age allow_credentials filter_enabled shadow_enabled allow_private_network_access forward_not_matching_preflights',
    ),
  ),
  ...FAULT_FIELDS,
  ...SCOPED_ROUTES_FIELDS,
};
