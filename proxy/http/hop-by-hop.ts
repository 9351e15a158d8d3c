// Headers that belong to one connection and never travel on (RFC 9110 §7.6.1), removed as Envoy removes them.

import type { HeaderMap } from '../codec/headers.ts';

/** Names that a `connection` header may not nominate: removing them would hide where a request came from. */
const NOT_NOMINABLE = new Set(['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'host']);

/**
 * Removes what `connection` nominates.
 * @returns false when it nominates a name it must not: the request is refused with 400
 */
export function removeNominated(headers: HeaderMap): boolean {
  const connection = headers.getJoined('connection');
  if (connection === null) return true;
  for (const part of connection.split(',')) {
    const token = part.trim().toLowerCase();
    if (token === '' || token === 'close' || token === 'keep-alive' || token === 'upgrade') continue;
    if (NOT_NOMINABLE.has(token) || token.startsWith(':')) return false;
    if (token === 'te') {
      keepTrailersOnly(headers);
      continue;
    }
    headers.remove(token);
  }
  return true;
}

/** `te` upstream says `trailers` or nothing (RFC 9113 §8.2.2; Envoy sanitises HTTP/1 alike). */
export function keepTrailersOnly(headers: HeaderMap): void {
  const te = headers.getJoined('te');
  if (te === null) return;
  for (const part of te.split(',')) {
    const semicolon = part.indexOf(';');
    if ((semicolon < 0 ? part : part.slice(0, semicolon)).trim().toLowerCase() === 'trailers') {
      headers.set('te', 'trailers');
      return;
    }
  }
  headers.remove('te');
}
