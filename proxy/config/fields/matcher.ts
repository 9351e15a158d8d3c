// Answers for generic matchers (Envoy: xds.type.matcher.v3, extensions.matching).

import { type FieldTable, fields, harmless, honoured, rejected } from './answer.ts';

const TEST = 'lower-matcher';
const MATCHER = 'xds.type.matcher.v3.Matcher';
const NETWORK = 'envoy.extensions.matching.common_inputs.network.v3.';

export const MATCHER_FIELDS: FieldTable = {
  [MATCHER]: fields(honoured(TEST, 'matcher_list matcher_tree on_no_match')),
  [`${MATCHER}.OnMatch`]: fields(honoured(TEST, 'matcher action keep_matching')),
  [`${MATCHER}.MatcherList`]: fields(honoured(TEST, 'matchers')),
  [`${MATCHER}.MatcherList.FieldMatcher`]: fields(honoured(TEST, 'predicate on_match')),
  [`${MATCHER}.MatcherList.Predicate`]: fields(honoured(TEST, 'single_predicate or_matcher and_matcher not_matcher')),
  [`${MATCHER}.MatcherList.Predicate.PredicateList`]: fields(honoured(TEST, 'predicate')),
  [`${MATCHER}.MatcherList.Predicate.SinglePredicate`]: fields(honoured(TEST, 'input value_match custom_match')),
  [`${MATCHER}.MatcherTree`]: fields(honoured(TEST, 'input exact_match_map prefix_match_map custom_match')),
  [`${MATCHER}.MatcherTree.MatchMap`]: fields(honoured(TEST, 'map')),
  'xds.type.matcher.v3.StringMatcher': fields(
    honoured(TEST, 'exact prefix suffix contains safe_regex ignore_case'),
    rejected('custom string matchers are not supported; use safe_regex', 'custom'),
  ),
  'xds.type.matcher.v3.RegexMatcher': fields(
    honoured(TEST, 'regex'),
    harmless('there is one engine', 'xds/type/matcher/v3/regex.proto', 'google_re2'),
  ),
  'xds.type.matcher.v3.IPMatcher': fields(honoured(TEST, 'range_matchers')),
  'xds.type.matcher.v3.IPMatcher.IPRangeMatcher': fields(honoured(TEST, 'ranges on_match exclusive')),
  'xds.type.matcher.v3.ServerNameMatcher': fields(honoured(TEST, 'domain_matchers')),
  'xds.type.matcher.v3.ServerNameMatcher.DomainMatcher': fields(honoured(TEST, 'domains on_match')),
  'xds.core.v3.TypedExtensionConfig': fields(honoured(TEST, 'name typed_config')),
  'envoy.extensions.matching.input_matchers.ip.v3.Ip': fields(
    honoured(TEST, 'cidr_ranges'),
    harmless(
      'it names a counter of inputs that are no address',
      'matching/input_matchers/ip/v3/ip.proto',
      'stat_prefix',
    ),
  ),
  'envoy.extensions.matching.input_matchers.consistent_hashing.v3.ConsistentHashing': fields(
    honoured(TEST, 'threshold modulo seed'),
  ),
  'envoy.type.matcher.v3.HttpRequestHeaderMatchInput': fields(honoured(TEST, 'header_name')),
  'envoy.extensions.matching.common_inputs.environment_variable.v3.Config': fields(honoured(TEST, 'name')),
  [`${NETWORK}DestinationIPInput`]: fields(),
  [`${NETWORK}DestinationPortInput`]: fields(),
  [`${NETWORK}SourceIPInput`]: fields(),
  [`${NETWORK}SourcePortInput`]: fields(),
  [`${NETWORK}DirectSourceIPInput`]: fields(),
  [`${NETWORK}SourceTypeInput`]: fields(),
  [`${NETWORK}ServerNameInput`]: fields(),
  [`${NETWORK}TransportProtocolInput`]: fields(),
  [`${NETWORK}ApplicationProtocolInput`]: fields(),
  [`${NETWORK}NetworkNamespaceInput`]: fields(),
  [`${NETWORK}DynamicMetadataInput`]: fields(
    harmless('refused wherever it stands, as in Envoy', 'parity', 'filter path'),
  ),
  'envoy.extensions.matching.common_inputs.ssl.v3.UriSanInput': fields(),
  'envoy.extensions.matching.common_inputs.ssl.v3.DnsSanInput': fields(),
  'envoy.extensions.matching.common_inputs.ssl.v3.SubjectInput': fields(),
  'envoy.extensions.matching.input_matchers.runtime_fraction.v3.RuntimeFraction': fields(
    honoured(TEST, 'runtime_fraction seed'),
  ),
  'envoy.extensions.matching.input_matchers.metadata.v3.Metadata': fields(
    harmless(
      'no input here is metadata: it never matches, whatever it says',
      'parity group matcher-inputs',
      'value invert',
    ),
  ),
  [`${NETWORK}FilterStateInput`]: fields(honoured(TEST, 'key field')),
  'google.protobuf.StringValue': fields(honoured(TEST, 'value')),
  'envoy.config.route.v3.RouteList': fields(honoured(TEST, 'routes')),
};
