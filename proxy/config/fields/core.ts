// Answers for messages that occur everywhere (Envoy: config.core.v3, type.v3, type.matcher.v3).

import { type FieldTable, fields, harmless, honoured, rejected, warned } from './answer.ts';

const BASE = 'core.v3 base.proto';

export const CORE_FIELDS: FieldTable = {
  'envoy.config.core.v3.Address': fields(
    honoured('lower-listener', 'socket_address pipe'),
    honoured('lower-cluster', 'envoy_internal_address'),
  ),
  'envoy.config.core.v3.EnvoyInternalAddress': fields(honoured('lower-cluster', 'server_listener_name endpoint_id')),
  'envoy.config.core.v3.SocketAddress': fields(
    honoured('lower-listener', 'protocol address port_value ipv4_compat'),
    rejected('named ports are not supported; use port_value', 'named_port'),
    rejected('custom resolvers are not supported; give an IP address', 'resolver_name'),
    rejected(
      'network namespaces are not supported; start the proxy inside the namespace',
      'network_namespace_filepath',
    ),
  ),
  'envoy.config.core.v3.Pipe': fields(honoured('lower-listener', 'path mode')),
  'xds.core.v3.CidrRange': fields(honoured('lower-value-match', 'address_prefix prefix_len')),
  'envoy.config.core.v3.CidrRange': fields(honoured('lower-listener', 'address_prefix prefix_len')),
  'envoy.config.core.v3.TcpKeepalive': fields(
    honoured('lower-listener', 'keepalive_probes keepalive_time keepalive_interval'),
  ),
  'envoy.config.core.v3.SocketOption': fields(
    honoured('lower-listener', 'level name int_value buf_value state'),
    warned('the option is set on every kind of socket', 'type ip_version'),
    harmless('a label', 'core.v3 socket_option.proto', 'description'),
  ),
  'envoy.config.core.v3.SocketOptionsOverride': fields(honoured('lower-listener', 'socket_options')),
  'envoy.config.core.v3.BindConfig': fields(
    honoured('lower-bind', 'source_address extra_source_addresses additional_source_addresses freebind socket_options'),
    rejected('local address selectors are not supported; use source_address', 'local_address_selector'),
    harmless('network namespaces are refused', 'core.v3 address.proto', 'validate_network_namespaces'),
  ),
  'envoy.config.core.v3.ExtraSourceAddress': fields(honoured('lower-bind', 'address socket_options')),
  'envoy.config.core.v3.DataSource': fields(
    honoured('lower-access-log', 'filename inline_bytes inline_string environment_variable'),
    warned('files are read once, at start', 'watched_directory'),
  ),
  'envoy.config.core.v3.Metadata': fields(
    honoured('lower-route', 'filter_metadata'),
    harmless('read by extensions only, and none of them is supported', BASE, 'typed_filter_metadata'),
  ),
  'envoy.config.core.v3.HeaderValueOption': fields(
    honoured('lower-route', 'header append append_action keep_empty_value'),
  ),
  'envoy.config.core.v3.HeaderValue': fields(
    honoured('lower-route', 'key value'),
    harmless('Envoy reads it from external processors only; value is the header', BASE, 'raw_value'),
  ),
  'envoy.config.core.v3.TypedExtensionConfig': fields(honoured('lower-hcm', 'name typed_config')),
  'envoy.config.core.v3.TransportSocket': fields(honoured('lower-listener', 'name typed_config')),
  'envoy.config.core.v3.HttpProtocolOptions': fields(
    honoured(
      'lower-hcm',
      'idle_timeout max_connection_duration max_headers_count max_stream_duration headers_with_underscores_action max_requests_per_connection',
    ),
    honoured('lower-cluster', 'max_response_headers_kb'),
    warned('connections live for exactly max_connection_duration', 'max_connection_duration_jitter'),
  ),
  'envoy.config.core.v3.Http1ProtocolOptions': fields(
    honoured(
      'lower-hcm',
      'allow_absolute_url accept_http_10 default_host_for_http_10 header_key_format enable_trailers allow_chunked_length override_stream_error_on_invalid_http_message allow_custom_methods ignore_http_11_upgrade',
    ),
    harmless('there is one parser, and it is as strict as Envoy', 'core.v3 protocol.proto', 'use_balsa_parser'),
    rejected('requests to upstreams carry the path alone; remove it', 'send_fully_qualified_url'),
  ),
  'envoy.config.core.v3.Http1ProtocolOptions.HeaderKeyFormat': fields(
    honoured('lower-hcm', 'proper_case_words stateful_formatter'),
  ),
  'envoy.config.core.v3.Http1ProtocolOptions.HeaderKeyFormat.ProperCaseWords': fields(),
  'envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig': fields(
    warned('the reason phrase is the standard one', 'forward_reason_phrase'),
    warned('headers that the proxy adds are written in lower case', 'formatter_type_on_envoy_headers'),
  ),
  'envoy.config.core.v3.Http2ProtocolOptions': fields(
    honoured(
      'lower-http2',
      'hpack_table_size max_concurrent_streams initial_stream_window_size initial_connection_window_size allow_connect max_outbound_frames max_outbound_control_frames max_consecutive_inbound_frames_with_empty_payload max_inbound_priority_frames_per_stream max_inbound_window_update_frames_per_data_frame_sent stream_error_on_invalid_http_messaging override_stream_error_on_invalid_http_message custom_settings_parameters connection_keepalive stream_reset_burst stream_reset_rate max_header_field_size_kb',
    ),
    harmless('there is one codec', 'core.v3 protocol.proto', 'use_oghttp2_codec'),
    harmless(
      'how the own header blocks are written; every peer reads both',
      'core.v3 protocol.proto',
      'enable_huffman_encoding',
    ),
    warned('METADATA frames are dropped', 'allow_metadata max_metadata_size'),
    harmless(
      'values with bytes above 0x7f pass, whatever it says (seen on 1.40)',
      'core.v3 protocol.proto',
      'disallow_obs_text',
    ),
  ),
  'envoy.config.core.v3.Http2ProtocolOptions.SettingsParameter': fields(honoured('lower-http2', 'identifier value')),
  'envoy.config.core.v3.KeepaliveSettings': fields(
    honoured('lower-http2', 'interval timeout interval_jitter connection_idle_interval'),
  ),
  'envoy.config.core.v3.SchemeHeaderTransformation': fields(
    honoured('lower-hcm', 'scheme_to_overwrite match_upstream'),
  ),
  'envoy.config.core.v3.SubstitutionFormatString': fields(
    honoured(
      'lower-access-log',
      'text_format json_format text_format_source omit_empty_values content_type formatters json_format_options',
    ),
  ),
  'envoy.config.core.v3.JsonFormatOptions': fields(
    harmless(
      'properties are always sorted, as Envoy 1.40 does',
      'core.v3 substitution_format_string.proto',
      'sort_properties',
    ),
  ),
  'envoy.config.core.v3.RuntimeFractionalPercent': fields(honoured('lower-route', 'default_value runtime_key')),
  'envoy.config.core.v3.RuntimeUInt32': fields(honoured('lower-access-log', 'default_value runtime_key')),
  'envoy.config.core.v3.RuntimeDouble': fields(
    honoured('lower-cluster', 'default_value'),
    warned('the runtime does not change it; set default_value', 'runtime_key'),
  ),
  'envoy.type.v3.FractionalPercent': fields(honoured('lower-route', 'numerator denominator')),
  'envoy.config.core.v3.BackoffStrategy': fields(honoured('lower-listener', 'base_interval max_interval')),
  'envoy.type.v3.Percent': fields(honoured('lower-cluster', 'value')),
  'envoy.type.v3.Int64Range': fields(honoured('lower-route', 'start end')),
  'envoy.type.v3.DoubleRange': fields(honoured('lower-access-log', 'start end')),
  'envoy.type.matcher.v3.StringMatcher': fields(
    honoured('lower-route', 'exact prefix suffix safe_regex contains ignore_case'),
    rejected('custom string matchers are not supported; use one of the others', 'custom'),
  ),
  'envoy.type.matcher.v3.ListStringMatcher': fields(honoured('lower-bootstrap', 'patterns')),
  'envoy.type.matcher.v3.RegexMatcher': fields(
    honoured('lower-route', 'regex'),
    harmless('RE2 is the only engine; its program size limit is deprecated', 'matcher.v3 regex.proto', 'google_re2'),
  ),
  'envoy.type.matcher.v3.RegexMatchAndSubstitute': fields(honoured('lower-route', 'pattern substitution')),
  'envoy.type.matcher.v3.MetadataMatcher': fields(honoured('lower-access-log', 'filter path value invert')),
  'envoy.type.matcher.v3.MetadataMatcher.PathSegment': fields(honoured('lower-access-log', 'key')),
  'envoy.type.matcher.v3.ValueMatcher': fields(
    honoured('lower-access-log', 'null_match double_match string_match bool_match present_match'),
    honoured('lower-value-match', 'list_match or_match'),
  ),
  'envoy.type.matcher.v3.ValueMatcher.NullMatch': fields(),
  'envoy.type.matcher.v3.ListMatcher': fields(honoured('lower-value-match', 'one_of')),
  'envoy.type.matcher.v3.OrMatcher': fields(honoured('lower-value-match', 'value_matchers')),
  'envoy.type.matcher.v3.FilterStateMatcher': fields(honoured('lower-value-match', 'key string_match address_match')),
  'envoy.type.matcher.v3.AddressMatcher': fields(honoured('lower-value-match', 'ranges invert_match')),
  'envoy.type.matcher.v3.DoubleMatcher': fields(honoured('lower-access-log', 'range exact')),
};
