// What the connection manager does to a response's headers on their way down, in Envoy's order
// (Envoy: docs configuration/http/http_conn_man/headers; source of the order: observed on Envoy 1.40).

import type { HeaderMap } from '../codec/headers.ts';
import type { ManagedStream } from './managed-stream.ts';
import { appendVia } from './prepare-request.ts';

/** Prepares the headers in place; decides whether the connection ends with this response. */
export function prepareResponse(stream: ManagedStream, headers: HeaderMap): void {
  const { manager } = stream;
  const { model } = manager;
  if (stream.upgrade === '') headers.remove('connection');
  headers.remove('transfer-encoding');
  headers.remove('proxy-connection');
  if (stream.upgrade === '') headers.remove('upgrade');
  if (model.via !== '') appendVia(headers, model.via);
  if (model.alwaysSetRequestIdInResponse) repeatRequestId(stream, headers);
  if (!headers.has('date')) headers.add('date', manager.clock.httpDate());
  if (model.serverHeader === 'overwrite') headers.set('server', model.serverName);
  else if (model.serverHeader === 'append_if_absent') headers.addIfAbsent('server', model.serverName);
}

/** What the request has now: filters may have changed it, and one that is answered early has what its sender wrote. */
function repeatRequestId({ requestHeaders }: ManagedStream, headers: HeaderMap): void {
  const id = requestHeaders === null ? null : requestHeaders.get('x-request-id');
  if (id !== null) headers.set('x-request-id', id);
}
