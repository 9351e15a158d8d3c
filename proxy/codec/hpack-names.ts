// Names as HTTP/2 has them: pseudo-headers beside the interned names of `known-headers.ts`, and HPACK's static table
// (RFC 7541, appendix A).

import { HeaderName, headerName } from './known-headers.ts';

// Kinds of names that only HTTP/2 has; those of `known-headers.ts` are lower.
export const KIND_METHOD = 16;
export const KIND_SCHEME = 17;
export const KIND_AUTHORITY = 18;
export const KIND_PATH = 19;
export const KIND_PROTOCOL = 20;
export const KIND_STATUS = 21;
/** No name at all: empty, with capitals, not a token, or a pseudo-header nobody knows. */
export const KIND_INVALID = 22;

function pseudo(name: string, kind: number): HeaderName {
  return new HeaderName(name, 0, kind, -1, -1);
}

const PSEUDO: ReadonlyMap<string, HeaderName> = new Map(
  [
    pseudo(':method', KIND_METHOD),
    pseudo(':scheme', KIND_SCHEME),
    pseudo(':authority', KIND_AUTHORITY),
    pseudo(':path', KIND_PATH),
    pseudo(':protocol', KIND_PROTOCOL),
    pseudo(':status', KIND_STATUS),
  ].map((name) => [name.name, name]),
);

/** Stands for every invalid name. */
export const INVALID_NAME: HeaderName = new HeaderName('', 0, KIND_INVALID, -1, -1);

/** The entry of a name as received. */
export function fieldName(raw: string): HeaderName {
  const name = headerName(raw);
  if (name === null) return PSEUDO.get(raw) ?? INVALID_NAME;
  return name.name === raw ? name : INVALID_NAME;
}

// Rows of the static table from index 1 on; a name alone has the empty value.
const STATIC_ROWS =
  `:authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|:scheme https|:status 200
|:status 204|:status 206|:status 304|:status 400|:status 404|:status 500|accept-charset|accept-encoding gzip, deflate
|accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control
|content-disposition|content-encoding|content-language|content-length|content-location|content-range|content-type
|cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since
|last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after
|server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate`
    .replaceAll('\n', '')
    .split('|');

/** Entries of the static table; dynamic entries follow it. */
export const STATIC_ENTRIES = 61;
/** Names by index; place 0 is unused. */
export const STATIC_NAMES: readonly HeaderName[] = [INVALID_NAME, ...STATIC_ROWS.map((row) => fieldName(nameOf(row)))];
/** Values by index. */
export const STATIC_VALUES: readonly string[] = ['', ...STATIC_ROWS.map((row) => row.slice(nameOf(row).length + 1))];

function nameOf(row: string): string {
  return row.split(' ', 1)[0] as string;
}
