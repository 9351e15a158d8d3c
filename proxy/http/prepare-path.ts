// Path and host as the connection manager wants them before routing
// (Envoy: docs configuration/http/http_conn_man, "normalize_path", "strip_any_host_port").

import type { HttpConnectionManagerModel } from '../config/model/http.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import { normalizeHost, normalizePath } from './path.ts';

/** `redirect`: `info.path` holds the place to go. */
export type PathVerdict = 'ok' | 'reject' | 'redirect';

/** Rewrites `info.path` and `info.authority` in place. */
export function preparePath(info: StreamInfo, model: HttpConnectionManagerModel): PathVerdict {
  const result = normalizePath(info.path, model);
  info.path = result.path;
  if (result.kind === 'reject') return 'reject';
  if (result.kind === 'redirect') return 'redirect';
  if (model.stripHostPort !== 'no' || model.stripTrailingHostDot) {
    const there = info.authority !== '';
    info.authority = normalizeHost(info.authority, model, info.connection.localPort);
    if (there && info.authority === '') info.authorityIsEmpty = true;
  }
  return 'ok';
}
