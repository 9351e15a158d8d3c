// Answers for routes (Envoy: config.route.v3).

import { type FieldTable, fields, harmless, honoured, rejected, warned } from './answer.ts';
import { RETRY_FIELDS } from './retry.ts';

const FILTERS_TEST = 'lower-route-filters';
const TEST = 'lower-route';
const MIRROR_TEST = 'lower-mirror';
const REDIRECT_TEST = 'lower-redirect';
const HASH_TEST = 'lower-hash';
const PATHS = 'lower-path-policy';
const ROUTES = 'route_components.proto';

const RATE_LIMITS = 'read by rate limit filters only, and they are refused';
const SUBSETS = 'it selects among subsets, and clusters with subsets are refused';
const SPECIFIERS = 'route specifiers are not supported; use routes';

const HEADER_MUTATIONS =
  'request_headers_to_add request_headers_to_remove response_headers_to_add response_headers_to_remove';

export const ROUTE_FIELDS: FieldTable = {
  'envoy.config.route.v3.RouteConfiguration': fields(
    honoured(TEST, HEADER_MUTATIONS),
    honoured(
      TEST,
      'name virtual_hosts internal_only_headers most_specific_header_mutations_wins validate_clusters max_direct_response_body_size_bytes ignore_port_in_host_matching vhost_header ignore_path_parameters_in_path_matching typed_per_filter_config metadata',
    ),
    honoured(MIRROR_TEST, 'request_mirror_policies'),
    rejected('virtual host discovery is not supported; write them into virtual_hosts', 'vhds'),
    rejected('cluster specifier plugins are not supported; name the cluster in the route', 'cluster_specifier_plugins'),
    rejected(SPECIFIERS, 'route_specifiers'),
  ),
  'envoy.config.route.v3.VirtualHost': fields(
    honoured(TEST, HEADER_MUTATIONS),
    honoured(
      TEST,
      'name domains routes require_tls virtual_clusters typed_per_filter_config include_request_attempt_count include_attempt_count_in_response include_is_timeout_retry_header retry_policy per_request_buffer_limit_bytes request_body_buffer_limit metadata',
    ),
    honoured(MIRROR_TEST, 'request_mirror_policies'),
    harmless(RATE_LIMITS, ROUTES, 'rate_limits'),
    honoured('lower-matcher', 'matcher'),
    honoured('lower-cors', 'cors'),
    harmless('Envoy does not read it', ROUTES, 'retry_policy_typed_config'),
    rejected(SPECIFIERS, 'route_specifiers'),
    honoured('lower-retry', 'hedge_policy'),
  ),
  'envoy.config.route.v3.VirtualCluster': fields(honoured(TEST, 'headers name')),
  'envoy.config.route.v3.Route': fields(
    honoured(TEST, HEADER_MUTATIONS),
    honoured(
      TEST,
      'name match route redirect direct_response non_forwarding_action metadata decorator typed_per_filter_config per_request_buffer_limit_bytes request_body_buffer_limit stat_prefix',
    ),
    rejected('use route, redirect or direct_response', 'filter_action'),
    rejected(SPECIFIERS, 'route_specifiers'),
    warned('requests are not traced yet', 'tracing'),
  ),
  'envoy.config.route.v3.NonForwardingAction': fields(),
  'envoy.config.route.v3.Decorator': fields(
    harmless('it names spans, and requests are not traced', ROUTES, 'operation propagate'),
  ),
  'envoy.config.route.v3.CorsPolicy': fields(
    honoured(
      'lower-cors',
      'allow_origin_string_match allow_methods allow_headers expose_headers max_age allow_credentials filter_enabled shadow_enabled allow_private_network_access forward_not_matching_preflights',
    ),
  ),
  'envoy.config.route.v3.FilterConfig': fields(honoured(FILTERS_TEST, 'config disabled is_optional')),
  'envoy.config.route.v3.RouteMatch': fields(
    honoured(
      TEST,
      'prefix path safe_regex connect_matcher path_separated_prefix case_sensitive runtime_fraction headers query_parameters cookies grpc tls_context',
    ),
    honoured(PATHS, 'path_match_policy'),
    honoured('lower-value-match', 'dynamic_metadata filter_state'),
  ),
  'envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig': fields(honoured(PATHS, 'path_template')),
  'envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig': fields(
    honoured(PATHS, 'path_template_rewrite'),
  ),
  'envoy.config.route.v3.RouteMatch.ConnectMatcher': fields(),
  'envoy.config.route.v3.RouteMatch.GrpcRouteMatchOptions': fields(),
  'envoy.config.route.v3.RouteMatch.TlsContextMatchOptions': fields(honoured(TEST, 'presented validated')),
  'envoy.config.route.v3.HeaderMatcher': fields(
    honoured(
      TEST,
      'name exact_match safe_regex_match range_match present_match prefix_match suffix_match contains_match string_match invert_match treat_missing_header_as_empty',
    ),
  ),
  'envoy.config.route.v3.QueryParameterMatcher': fields(honoured(TEST, 'name string_match present_match')),
  'envoy.config.route.v3.CookieMatcher': fields(honoured(TEST, 'name string_match invert_match')),
  'envoy.config.route.v3.RouteAction': fields(
    honoured(
      TEST,
      'cluster cluster_header weighted_clusters cluster_not_found_response_code prefix_rewrite regex_rewrite host_rewrite_literal auto_host_rewrite host_rewrite_header host_rewrite_path_regex append_x_forwarded_host timeout idle_timeout retry_policy priority upgrade_configs max_stream_duration max_grpc_timeout grpc_timeout_offset',
    ),
    honoured(MIRROR_TEST, 'request_mirror_policies'),
    honoured(PATHS, 'path_rewrite_policy path_rewrite host_rewrite'),
    harmless(SUBSETS, ROUTES, 'metadata_match'),
    harmless(RATE_LIMITS, ROUTES, 'rate_limits include_vh_rate_limits'),
    honoured(HASH_TEST, 'hash_policy'),
    honoured(TEST, 'flush_timeout'),
    harmless('early data needs TLS', ROUTES, 'early_data_policy'),
    honoured(REDIRECT_TEST, 'internal_redirect_policy internal_redirect_action max_internal_redirects'),
    rejected(
      'cluster specifier plugins are not supported; use cluster',
      'cluster_specifier_plugin inline_cluster_specifier_plugin',
    ),
    harmless('Envoy does not read it', ROUTES, 'retry_policy_typed_config'),
    honoured('lower-cors', 'cors'),
    honoured('lower-retry', 'hedge_policy'),
  ),
  'envoy.config.route.v3.RouteAction.HashPolicy': fields(
    honoured(HASH_TEST, 'header cookie connection_properties query_parameter filter_state terminal'),
  ),
  'envoy.config.route.v3.RouteAction.HashPolicy.Header': fields(honoured(HASH_TEST, 'header_name regex_rewrite')),
  'envoy.config.route.v3.RouteAction.HashPolicy.Cookie': fields(honoured(HASH_TEST, 'name ttl path attributes')),
  'envoy.config.route.v3.RouteAction.HashPolicy.CookieAttribute': fields(honoured(HASH_TEST, 'name value')),
  'envoy.config.route.v3.RouteAction.HashPolicy.ConnectionProperties': fields(honoured(HASH_TEST, 'source_ip')),
  'envoy.config.route.v3.RouteAction.HashPolicy.QueryParameter': fields(honoured(HASH_TEST, 'name')),
  'envoy.config.route.v3.RouteAction.HashPolicy.FilterState': fields(honoured(HASH_TEST, 'key')),
  'envoy.config.route.v3.InternalRedirectPolicy': fields(
    honoured(
      REDIRECT_TEST,
      'max_internal_redirects redirect_response_codes predicates allow_cross_scheme_redirect response_headers_to_copy',
    ),
  ),
  'envoy.extensions.internal_redirect.previous_routes.v3.PreviousRoutesConfig': fields(),
  'envoy.extensions.internal_redirect.safe_cross_scheme.v3.SafeCrossSchemeConfig': fields(),
  'envoy.extensions.internal_redirect.allow_listed_routes.v3.AllowListedRoutesConfig': fields(
    honoured(REDIRECT_TEST, 'allowed_route_names'),
  ),
  'envoy.config.route.v3.RouteAction.RequestMirrorPolicy': fields(
    honoured(
      MIRROR_TEST,
      'cluster cluster_header runtime_fraction disable_shadow_host_suffix_append request_headers_mutations host_rewrite_literal',
    ),
    harmless('requests are not traced', ROUTES, 'trace_sampled'),
  ),
  'envoy.config.common.mutation_rules.v3.HeaderMutation': fields(
    honoured(MIRROR_TEST, 'append remove remove_on_match'),
  ),
  'envoy.config.common.mutation_rules.v3.HeaderMutation.RemoveOnMatch': fields(honoured(MIRROR_TEST, 'key_matcher')),
  'envoy.config.route.v3.RouteAction.UpgradeConfig': fields(honoured(TEST, 'upgrade_type enabled connect_config')),
  'envoy.config.route.v3.RouteAction.UpgradeConfig.ConnectConfig': fields(
    honoured(TEST, 'proxy_protocol_config allow_post'),
  ),
  'envoy.config.route.v3.RouteAction.MaxStreamDuration': fields(
    honoured(TEST, 'max_stream_duration grpc_timeout_header_max grpc_timeout_header_offset'),
  ),
  'envoy.config.route.v3.WeightedCluster': fields(
    honoured(TEST, 'clusters header_name runtime_key_prefix'),
    harmless('the sum of the weights is the total', ROUTES, 'total_weight'),
    honoured(HASH_TEST, 'use_hash_policy'),
  ),
  'envoy.config.route.v3.WeightedCluster.ClusterWeight': fields(
    honoured(TEST, HEADER_MUTATIONS),
    honoured(TEST, 'name cluster_header weight host_rewrite_literal typed_per_filter_config'),
    harmless(SUBSETS, ROUTES, 'metadata_match'),
  ),
  ...RETRY_FIELDS,
  'envoy.config.route.v3.RedirectAction': fields(
    honoured(
      TEST,
      'https_redirect scheme_redirect host_redirect port_redirect path_redirect prefix_rewrite regex_rewrite response_code strip_query',
    ),
    honoured(PATHS, 'path_rewrite'),
  ),
  'envoy.config.route.v3.DirectResponseAction': fields(honoured(TEST, 'status body body_format')),
};
