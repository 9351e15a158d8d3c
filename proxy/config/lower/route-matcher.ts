// Lowers the matcher of a virtual host: it sees request headers, and leads to routes.

import { ConfigError } from '../../util/error.ts';
import type { MatcherModel, MatchInputModel } from '../model/matcher.ts';
import type { RouteModel } from '../model/route.ts';
import { list, type Msg, str } from '../schema/message.ts';
import { asciiLower, wireString } from './common.ts';
import { lowerMatcher, type MatcherPlace } from './matcher.ts';

const REQUEST_HEADER = 'envoy.type.matcher.v3.HttpRequestHeaderMatchInput';
const ROUTE = 'envoy.config.route.v3.Route';
const ROUTE_LIST = 'envoy.config.route.v3.RouteList';

/** Inputs that Envoy knows of requests and refuses in routes. */
const OTHER_INPUTS: ReadonlySet<string> = new Set([
  'envoy.type.matcher.v3.HttpRequestTrailerMatchInput',
  'envoy.type.matcher.v3.HttpResponseHeaderMatchInput',
  'envoy.type.matcher.v3.HttpResponseTrailerMatchInput',
  'envoy.type.matcher.v3.HttpRequestQueryParamMatchInput',
  'envoy.type.matcher.v3.HttpResponseStatusCodeMatchInput',
  'envoy.type.matcher.v3.HttpResponseLocalReplyMatchInput',
  ...['DestinationIP', 'DestinationPort', 'SourceIP', 'SourcePort', 'DirectSourceIP', 'SourceType', 'ServerName'].map(
    (name) => `envoy.extensions.matching.common_inputs.network.v3.${name}Input`,
  ),
  'envoy.extensions.matching.common_inputs.network.v3.NetworkNamespaceInput',
  'envoy.extensions.matching.common_inputs.network.v3.DynamicMetadataInput',
  'envoy.extensions.matching.common_inputs.ssl.v3.UriSanInput',
  'envoy.extensions.matching.common_inputs.ssl.v3.DnsSanInput',
  'envoy.extensions.matching.common_inputs.ssl.v3.SubjectInput',
]);

/** `VirtualHost.matcher`. @param lowerRoute reads a route; clusters that it names are not looked for, as in Envoy */
export function lowerRouteMatcher(
  message: Msg,
  lowerRoute: (route: Msg, path: string) => RouteModel,
  path: string,
): MatcherModel<readonly RouteModel[]> {
  const place: MatcherPlace<readonly RouteModel[]> = {
    input: lowerInput,
    action: (config, at) => {
      if (config.$typeName === ROUTE) return [lowerRoute(config, at)];
      if (config.$typeName !== ROUTE_LIST) return null;
      return list(config, 'routes').map((route, index) => lowerRoute(route, `${at}.routes[${index}]`));
    },
    mayKeepMatching: false,
  };
  return lowerMatcher(message, place, path);
}

function lowerInput(config: Msg, path: string): MatchInputModel | null {
  const { $typeName } = config;
  if ($typeName === REQUEST_HEADER) {
    return { kind: 'header', name: asciiLower(wireString(str(config, 'headerName'))) };
  }
  if (!OTHER_INPUTS.has($typeName)) return null;
  throw new ConfigError(
    `requirement violation while creating route match tree: INVALID_ARGUMENT: Route table can only match on request headers, saw type.googleapis.com/${$typeName}`,
    path,
  );
}
