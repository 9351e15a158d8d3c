// `x-request-id` as Envoy's UUID extension makes it (Envoy: extensions.request_id.uuid.v3).
// The character at index 14 packs why a trace was taken; a fresh version-4 UUID has `4` there: not traced.

import type { HeaderMap } from '../codec/headers.ts';
import { randomUuid } from '../util/uuid.ts';

/**
 * Makes sure a request carries an id.
 * @param force replace what the sender wrote (an edge request that need not be believed)
 * @returns the id as it will be sent upstream
 */
export function ensureRequestId(headers: HeaderMap, force: boolean): string {
  const present = headers.get('x-request-id');
  if (present !== null && present !== '' && !force) return present;
  const id = randomUuid();
  headers.set('x-request-id', id);
  return id;
}
