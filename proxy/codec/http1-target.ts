// The request target (RFC 9112 §3.2) in its four forms, as strict as Envoy's parser and URL utility.

// What Envoy takes in a path or query: visible ASCII. The path itself is looked at by `http/path.ts`.
const ORIGIN_FORM = /^[/*][\x21-\x7e]*$/;
const ABSOLUTE_FORM = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([A-Za-z0-9!$%&'()*+,\-.:;=@[\]_~]*)([/?][\x21-\x7e]*)?$/;
// What the URL utility makes of the authority of one, user information aside.
const URL_AUTHORITY = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::([0-9]+))?$/;
// A CONNECT's target as the parser of the line takes it, and then as the URL utility does.
const CONNECT_LINE = /^(?!.*@@)[A-Za-z0-9!$%&'()*+,\-.:;=@[\]_~]*(?:[/?][\x21-\x7e]*)?$/;
const AUTHORITY_FORM = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9!$%&'()*+,\-.;=_~]+):([0-9]{1,5})$/;
// The same characters as in a target's authority; what is outside of them is `http.invalid_authority`.
const AUTHORITY = /^[A-Za-z0-9!$%&'()*+,\-.:;=@[\]_~]*$/;
const PORT_MAX = 65_535;

/** Whether the value of `host` has only characters Envoy takes. */
export function isAuthority(host: string): boolean {
  if (host === lastGood) return true;
  if (!AUTHORITY.test(host)) return false;
  lastGood = host;
  return true;
}

/** A connection's requests mostly name one host. */
let lastGood = '';

/** Whether the target is origin-form or begins with `*`. */
export function isOriginForm(target: string): boolean {
  return ORIGIN_FORM.test(target);
}

/** Whether a CONNECT target has the characters of one. */
export function isAuthorityForm(target: string): boolean {
  return CONNECT_LINE.test(target);
}

/** Whether a CONNECT target is `host:port`. */
export function isConnectTarget(target: string): boolean {
  const match = AUTHORITY_FORM.exec(target);
  return match !== null && Number(match[1]) <= PORT_MAX;
}

export interface AbsoluteTarget {
  /** Lower case; any scheme. */
  readonly scheme: string;
  /** Without user information; empty = not usable. */
  readonly authority: string;
  /** `/` when the target has none; may begin with `?`. */
  readonly path: string;
}

function usableAuthority(authority: string): string {
  const match = URL_AUTHORITY.exec(authority);
  return match === null || Number(match[1] ?? 0) > PORT_MAX ? '' : authority;
}

/** Splits an absolute-form target; `null` = not one. */
export function parseAbsoluteForm(target: string): AbsoluteTarget | null {
  const match = ABSOLUTE_FORM.exec(target);
  if (match === null) return null;
  const host = match[2] as string;
  if (host.includes('@@')) return null;
  return {
    scheme: (match[1] as string).toLowerCase(),
    authority: usableAuthority(host.slice(host.indexOf('@') + 1)),
    path: match[3] ?? '/',
  };
}
