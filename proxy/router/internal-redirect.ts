// Redirects that the proxy follows itself: the answer of an upstream becomes the head of another request, which is
// routed like a new one (Envoy: docs intro/arch_overview/http/http_connection_management, "Internal redirects").

import type { HeaderMap } from '../codec/headers.ts';
import {
  ROUTER_PASSTHROUGH_INTERNAL_REDIRECT_BAD_LOCATION,
  ROUTER_PASSTHROUGH_INTERNAL_REDIRECT_NO_ROUTE,
  ROUTER_PASSTHROUGH_INTERNAL_REDIRECT_PREDICATE,
  ROUTER_PASSTHROUGH_INTERNAL_REDIRECT_TOO_MANY_REDIRECTS,
  ROUTER_PASSTHROUGH_INTERNAL_REDIRECT_UNSAFE_SCHEME,
} from '../observe/catalogue-http.ts';
import { type InternalRedirect, RedirectState, type Step } from '../route/redirect-policy.ts';
import type { Downstream } from './downstream.ts';

const SEE_OTHER = 303;

/**
 * What a `location` must be, as Envoy's parser has it: scheme, perhaps user, host and port, path and query, and behind
 * these a fragment. Bytes beyond ASCII have no place in it, nor has `_` in a host.
 */
const ABSOLUTE_URL =
  /^([a-z]+):\/\/(?:[\w\-.!~*'()%;:&=+$,]*@)?((?:\[[\da-f:.]+\]|[\da-z.-]+)(?::(\d{1,5}))?)(?:([/?][^\0-\x20#\x7f-\xff]*)(?:#[^\0-\x20\x7f-\xff]*)?)?$/i;
const PORT_MAX = 65_535;

/**
 * Makes the request that a redirect asks for out of the one that was redirected; when it may not be, the request is as
 * it was.
 * @param answer head of the redirect
 * @param router counts in the router's catalogue
 */
export function followRedirect(
  policy: InternalRedirect,
  down: Downstream,
  headers: HeaderMap,
  status: number,
  answer: HeaderMap,
  router: { count(index: number): void },
): boolean {
  const location = answer.get('location');
  if (location === null) return false;
  const url = ABSOLUTE_URL.exec(location);
  if (url === null || Number(url[3] ?? 0) > PORT_MAX) {
    router.count(ROUTER_PASSTHROUGH_INTERNAL_REDIRECT_BAD_LOCATION);
    return false;
  }
  const [, scheme = '', host = '', , path = ''] = url;
  // Whatever a request says that it was forwarded as: what came in clear text is http.
  const fromHttp = down.scheme === 'http' || down.connection.tls === null;
  const toHttp = scheme.toLowerCase() === 'http';
  if (!policy.allowCrossScheme && fromHttp !== toHttp) {
    router.count(ROUTER_PASSTHROUGH_INTERNAL_REDIRECT_UNSAFE_SCHEME);
    return false;
  }
  down.redirects ??= new RedirectState();
  const state = down.redirects;
  if (state.count >= policy.maxRedirects) {
    router.count(ROUTER_PASSTHROUGH_INTERNAL_REDIRECT_TOO_MANY_REDIRECTS);
    return false;
  }
  const before = new Saved(down, headers);
  for (const name of policy.headersToCopy) copyHeader(name, answer, headers);
  down.scheme = scheme.toLowerCase();
  down.authority = host;
  down.path = path === '' ? '/' : path;
  const toRoute = down.matchAgain();
  if (toRoute === null) {
    router.count(ROUTER_PASSTHROUGH_INTERNAL_REDIRECT_NO_ROUTE);
    before.restore(down, headers);
    return false;
  }
  const step: Step = { state, fromRoute: before.routeName, toRoute, fromHttp, toHttp };
  if (!policy.predicates.every((holds) => holds(step))) {
    router.count(ROUTER_PASSTHROUGH_INTERNAL_REDIRECT_PREDICATE);
    before.restore(down, headers);
    return false;
  }
  if (status === SEE_OTHER && down.method !== 'GET' && down.method !== 'HEAD') {
    down.method = 'GET';
    headers.remove('content-length');
  }
  state.count++;
  headers.set('x-envoy-original-url', `${fromHttp ? 'http' : 'https'}://${before.place}`);
  return true;
}

/** The request as it was redirected. */
class Saved {
  readonly routeName: string;
  private readonly scheme: string;
  private readonly authority: string;
  private readonly path: string;
  private readonly names: string[];
  private readonly values: string[];
  private readonly rawNames: string[] | null;

  constructor(down: Downstream, headers: HeaderMap) {
    this.routeName = down.routeName;
    this.scheme = down.scheme;
    this.authority = down.authority;
    this.path = down.path;
    this.names = headers.names.slice();
    this.values = headers.values.slice();
    this.rawNames = headers.rawNames === null ? null : headers.rawNames.slice();
  }

  /** Host and path. */
  get place(): string {
    return this.authority + this.path;
  }

  restore(down: Downstream, headers: HeaderMap): void {
    down.scheme = this.scheme;
    down.authority = this.authority;
    down.path = this.path;
    headers.names = this.names;
    headers.values = this.values;
    headers.rawNames = this.rawNames;
  }
}

/** Every value of the answer takes the place of what the request has; none takes it away. */
function copyHeader(name: string, from: HeaderMap, to: HeaderMap): void {
  to.remove(name);
  for (let at = from.names.indexOf(name); at >= 0; at = from.names.indexOf(name, at + 1))
    to.add(name, from.values[at] as string);
}
