// Where this proxy differs from Envoy on purpose, or Envoy from itself: such differences of random cases are counted, not
// reported.

import type { Runnable } from './fuzz-run.ts';

export interface Known {
  /** Why, with a source. */
  readonly why: string;
  /** @param lines of one comparison, as `compare.ts` writes them */
  readonly explains: (one: Runnable, request: string, lines: readonly string[]) => boolean;
}

export const KNOWN: readonly Known[] = [
  {
    why: 'a redirect that could not be followed leaves :scheme twice in what Envoy logs, as http,http (docs/differences.md, "Internal redirects")',
    explains: (_one, _request, lines) =>
      lines.every((line) => /^log\.0\.seen: ".* http,https? [^"]*" expected, /.test(line)),
  },
  {
    why: 'HTTP/1.0 has no chunks (RFC 9112 §6.1): refused with 400, which Envoy serves (group http1: HTTP/1.0 and chunked request)',
    explains: (_one, request) => /^[^\r\n]* HTTP\/1\.0\r\n/.test(request) && /\r\ntransfer-encoding:/i.test(request),
  },
  {
    why: 'a header is added whose name is no token (RFC 9110 §5.1): refused, where Envoy writes it as it is (docs/differences.md, "Strict configuration")',
    explains: (_one, _request, [line = '', ...others]) =>
      others.length === 0 && /^refusal: none expected, \S+ invalid header name "[^"]*" seen$/.test(line),
  },
  {
    why: 'Envoy leaves content-length: 0 out of a 426 to a HEAD in HTTP/1.0 alone, not of one to a GET (docs/differences.md, "Early answers")',
    explains: (_one, request, lines) =>
      /^HEAD [^\r\n]* HTTP\/1\.0\r\n/.test(request) &&
      lines.every((line) => line === 'answers.0.headers: unexpected "content-length: 0"'),
  },
];
