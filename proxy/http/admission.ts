// What a request must be before it is served: what is not, is answered here.

import type { HeaderMap } from '../codec/headers.ts';
import { KNOWN_CONTENT_TYPE, type RequestHead } from '../codec/http1.ts';
import {
  HTTP_DOWNSTREAM_CX_UPGRADES_ACTIVE,
  HTTP_DOWNSTREAM_CX_UPGRADES_TOTAL,
  HTTP_DOWNSTREAM_RQ_FAILED_PATH_NORMALIZATION,
  HTTP_DOWNSTREAM_RQ_NON_RELATIVE_PATH,
  HTTP_DOWNSTREAM_RQ_REDIRECTED_WITH_NORMALIZED_PATH,
  HTTP_DOWNSTREAM_RQ_WS_ON_NON_WS_ROUTE,
} from '../observe/catalogue-http.ts';
import type { ManagedStream } from './managed-stream.ts';
import { type PathVerdict, preparePath } from './prepare-path.ts';

const SLASH = 0x2f;
const SAY_OVERLOADED = (reply: HeaderMap): void => reply.set('x-envoy-local-overloaded', 'true');

/** Normalises path and host, too. @returns false when the request was answered */
export function admitHead(stream: ManagedStream, head: RequestHead): boolean {
  const { manager } = stream;
  if (manager.overload !== null && manager.shedsRequest()) {
    stream.localReply(503, 'envoy overloaded', 'overload', manager.model.appendLocalOverload ? SAY_OVERLOADED : null);
    return false;
  }
  if (!head.hasAuthority) {
    stream.localReply(400, '', 'missing_host_header', null);
    return false;
  }
  if (!admitPath(stream)) return false;
  if (head.method === 'QUERY' && (head.known & KNOWN_CONTENT_TYPE) === 0) {
    stream.localReply(400, '', 'query_missing_content_type', null);
    return false;
  }
  return true;
}

/** Normalises path and host. @returns false when the request was answered */
export function admitPath(stream: ManagedStream): boolean {
  const { manager } = stream;
  if (stream.method === 'CONNECT') return true;
  if (stream.path.charCodeAt(0) !== SLASH) {
    manager.count(HTTP_DOWNSTREAM_RQ_NON_RELATIVE_PATH);
    stream.localReply(404, '', 'absolute_path_rejected', null);
    return false;
  }
  const verdict: PathVerdict = preparePath(stream, manager.model);
  // A gRPC client follows no redirects.
  if (verdict === 'reject' || (verdict === 'redirect' && stream.isGrpc)) {
    manager.count(HTTP_DOWNSTREAM_RQ_FAILED_PATH_NORMALIZATION);
    stream.localReply(400, '', 'path_normalization_failed', null);
    return false;
  }
  if (verdict === 'redirect') {
    manager.count(HTTP_DOWNSTREAM_RQ_REDIRECTED_WITH_NORMALIZED_PATH);
    const { path } = stream;
    stream.localReply(307, '', 'path_normalization_failed', (reply) => reply.set('location', path));
    return false;
  }
  return true;
}

/** @returns false when the upgrade was refused */
export function admitUpgrade(stream: ManagedStream, headers: HeaderMap): boolean {
  const { manager, route } = stream;
  if (route === null) return true;
  const token = stream.method === 'CONNECT' ? 'connect' : (headers.get('upgrade') ?? '').toLowerCase();
  if (manager.allowsUpgrade(token, route)) {
    stream.upgrade = token;
    manager.count(HTTP_DOWNSTREAM_CX_UPGRADES_TOTAL);
    manager.count(HTTP_DOWNSTREAM_CX_UPGRADES_ACTIVE);
    return true;
  }
  manager.count(HTTP_DOWNSTREAM_RQ_WS_ON_NON_WS_ROUTE);
  stream.localReply(403, '', 'upgrade_failed', null);
  return false;
}
