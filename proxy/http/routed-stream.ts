// The route of a request: found before it is served, again when filters or redirects have changed it, and for the record of
// one that is answered before.

import type { HeaderMap } from '../codec/headers.ts';
import { type ConnectionInfo, StreamInfo } from '../observe/stream-info.ts';
import type { RouteRules } from '../route/route.ts';
import type { CompiledTarget } from '../route/target.ts';
import type { HttpManager } from './manager.ts';

/** The part of an `HttpStream` that knows no bytes. */
export class RoutedStream extends StreamInfo {
  readonly manager: HttpManager;
  /** See `Downstream`. */
  random: number;
  route: RouteRules | null;
  target: CompiledTarget | null;
  /** `x-forwarded-proto` is empty or gone: as in Envoy no route is for such a request. */
  lacksProto: boolean;
  /** A plain request whose virtual host requires TLS. */
  protected redirectsToTls: boolean;

  constructor(manager: HttpManager, connection: ConnectionInfo) {
    super(connection, Date.now(), manager.runtime.nowMs());
    this.manager = manager;
    this.random = 0;
    this.route = null;
    this.target = null;
    this.lacksProto = false;
    this.redirectsToTls = false;
  }

  get replayLimitBytes(): number {
    const limit = this.route === null ? null : this.route.requestBodyBufferLimitBytes;
    return limit === null ? this.manager.bufferLimitBytes : limit;
  }

  /** A route can only allow more than the connection. */
  get bufferLimitBytes(): number {
    return Math.max(this.manager.bufferLimitBytes, this.replayLimitBytes);
  }

  /** @returns `null` = there is none, or the request must come by TLS */
  protected chooseRoute(headers: HeaderMap): RouteRules | null {
    this.redirectsToTls = this.manager.routes.needsTls(this, headers);
    if (!this.redirectsToTls) return this.findRoute(headers);
    this.noteNoRoute(headers);
    return null;
  }

  /** The record of a request that is redirected names the cluster that it is sent to. */
  matchAgain(): string | null {
    const headers = this.requestHeaders as HeaderMap;
    this.upstreamCluster = '';
    this.routeName = '';
    if (this.manager.routes.needsTls(this, headers)) {
      this.noteNoRoute(headers);
      return '';
    }
    if (this.findRoute(headers) === null) return null;
    this.nameCluster();
    return this.routeName;
  }

  private findRoute(headers: HeaderMap): RouteRules | null {
    const found = this.lacksProto ? null : this.manager.routes.match(this, headers, this.random);
    if (found === null) {
      this.noteNoRoute(headers);
      return null;
    }
    this.routeResolutions++;
    const { rules } = found;
    const { pickTarget } = rules;
    this.route = rules;
    this.target = pickTarget === null ? found.target : pickTarget(this, headers, this.random);
    this.routeName = found.name;
    this.routeMetadata = found.metadata;
    this.virtualHostMetadata = found.virtualHostMetadata;
    return rules;
  }

  private noteNoRoute(headers: HeaderMap): void {
    this.routeResolutions++;
    this.route = null;
    this.target = null;
    this.routeName = '';
    this.routeMetadata = null;
    this.virtualHostMetadata = this.manager.routes.virtualHostMetadata(this, headers);
  }

  /**
   * A request that is answered before it was routed still shapes the answer and its record as its route says. Envoy finds
   * none where nothing says how the request came, which the manager adds later on.
   */
  protected routeForReply(headers: HeaderMap): void {
    const { routes } = this.manager;
    const routable = (headers.get('x-forwarded-proto') ?? '') !== '' && !routes.needsTls(this, headers);
    if (routable) this.findRoute(headers);
    else this.noteNoRoute(headers);
  }

  /** As Envoy sees it, a request belongs to the cluster that its route points to before it goes there. */
  protected nameCluster(): void {
    const cluster = this.target === null ? null : this.target.cluster.current;
    if (cluster !== null) this.upstreamCluster = cluster.model.statName;
  }
}
