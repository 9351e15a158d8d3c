// Headers that belong to one connection and never travel on (RFC 9110 §7.6.1), removed as Envoy removes them.

import type { HeaderMap } from '../codec/headers.ts';

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
