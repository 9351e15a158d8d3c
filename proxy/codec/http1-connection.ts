// The `connection` header of a request: persistence, upgrades, and the headers it nominates for removal
// (RFC 9110 §7.6.1; limits as in Envoy's codec).
import type { HeaderMap } from './headers.ts';

/** Tokens of one `connection` header; Envoy refuses this many. */
const NOMINATED_MAX = 10;
/** Bytes of a nominated `te` value; Envoy refuses this many. */
const TE_BYTES_MAX = 256;

/** Whether a comma-separated list has the token, case-insensitively. */
export function hasToken(list: string, token: string): boolean {
  const lower = list.toLowerCase();
  if (lower === token) return true;
  for (let at = lower.indexOf(token); at >= 0; at = lower.indexOf(token, at + 1)) {
    if (isEdge(lower, at - 1, -1) && isEdge(lower, at + token.length, 1)) return true;
  }
  return false;
}

function isEdge(list: string, from: number, step: 1 | -1): boolean {
  for (let i = from; i >= 0 && i < list.length; i += step) {
    const code = list.charCodeAt(i);
    if (code === 44) return true;
    if (code !== 32 && code !== 9) return false;
  }
  return true;
}

/**
 * Removes the headers that `connection` nominates; `te: trailers` stays. The body's framing was read before; a body
 * whose length is nominated travels on in chunks.
 * @returns false when the nomination is one Envoy refuses: too many, or a header whose removal would hide the client
 */
export function removeNominated(connection: string, headers: HeaderMap): boolean {
  const tokens = connection.split(',');
  if (tokens.length >= NOMINATED_MAX) return false;
  for (const token of tokens) {
    const name = token.trim().toLowerCase();
    if (name === '' || name === 'close' || name === 'keep-alive' || name === 'upgrade' || name === 'connection')
      continue;
    if (name === 'x-forwarded-for' || name === 'x-forwarded-host' || name === 'x-forwarded-proto') return false;
    if (name.startsWith(':')) return false;
    if (name !== 'te') headers.remove(name);
    else {
      if ((headers.get('te')?.length ?? 0) >= TE_BYTES_MAX) return false;
      keepTrailersOnly(headers, true);
    }
  }
  return true;
}

/**
 * What is left of `te` on its way upstream: the bare token `trailers`, or nothing (RFC 9113 §8.2.2; Envoy does so on
 * HTTP/1, too).
 * @param nominated `connection` names it: then, as in Envoy, the token may have any case and an empty `te` goes
 */
export function keepTrailersOnly(headers: HeaderMap, nominated: boolean): void {
  const te = headers.getJoined('te');
  if (te === null || (te === '' && !nominated)) return;
  for (const part of te.split(',')) {
    const token = part.trim();
    if ((nominated ? token.toLowerCase() : token) === 'trailers') {
      headers.set('te', 'trailers');
      return;
    }
  }
  headers.remove('te');
}

/** Takes the given tokens out of `connection`; removes the header when none is left. */
export function dropConnectionTokens(headers: HeaderMap, dropped: readonly string[]): void {
  const connection = headers.get('connection');
  if (connection === null) return;
  const left = connection.split(',').filter((token) => !dropped.includes(token.trim().toLowerCase()));
  if (left.length === 0) headers.remove('connection');
  else headers.set('connection', left.map((token) => token.trim()).join(','));
}
