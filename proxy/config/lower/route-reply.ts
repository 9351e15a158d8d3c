// Lowers the route actions that answer without an upstream (Envoy: config.route.v3.{RedirectAction,DirectResponseAction}).

import { ConfigError } from '../../util/error.ts';
import type { RegexRewriteModel } from '../model/headers.ts';
import type { DirectResponseModel, RedirectModel, RouteMatchModel } from '../model/route.ts';
import { bool, type Msg, num, oneof, str, sub } from '../schema/message.ts';
import { lowerBodyFormat } from './access-log.ts';
import { type LowerContext, lowerRegex, readDataSource, wireString } from './common.ts';
import { checkFormat } from './header-mutations.ts';

const REDIRECT_CODES = [301, 302, 303, 307, 308] as const;

export function lowerRedirect(message: Msg, match: RouteMatchModel['path'], path: string): RedirectModel {
  return {
    kind: 'redirect',
    scheme: lowerRedirectScheme(message),
    host: wireString(str(message, 'hostRedirect')),
    port: num(message, 'portRedirect'),
    path: lowerRedirectPath(message, match, path),
    code: REDIRECT_CODES[num(message, 'responseCode')] ?? 301,
    stripQuery: bool(message, 'stripQuery'),
  };
}

function lowerRedirectScheme(message: Msg): RedirectModel['scheme'] {
  const scheme = oneof(message, 'schemeRewriteSpecifier');
  if (scheme === null) return { kind: 'keep' };
  if (scheme.case === 'httpsRedirect') return { kind: scheme.value === true ? 'https' : 'keep' };
  return scheme.value === '' ? { kind: 'keep' } : { kind: 'literal', value: wireString(scheme.value as string) };
}

function lowerRedirectPath(message: Msg, match: RouteMatchModel['path'], path: string): RedirectModel['path'] {
  const rewrite = oneof(message, 'pathRewriteSpecifier');
  if (rewrite === null) return { kind: 'keep' };
  switch (rewrite.case) {
    case 'pathRedirect':
      return rewrite.value === '' ? { kind: 'keep' } : { kind: 'literal', value: wireString(rewrite.value as string) };
    case 'prefixRewrite':
      if (match.kind === 'template' && rewrite.value !== '') {
        throw new ConfigError('Cannot use redirect.prefix_rewrite with path_match_policy', path);
      }
      return { kind: 'prefix', value: wireString(rewrite.value as string) };
    case 'regexRewrite':
      return { kind: 'regex', rewrite: lowerRegexRewrite(rewrite.value as Msg, `${path}.regex_rewrite`) };
    default:
      return lowerPathFormat(wireString(rewrite.value as string), `${path}.path_rewrite`);
  }
}

function lowerPathFormat(format: string, path: string): RedirectModel['path'] {
  if (format === '') return { kind: 'keep' };
  checkFormat(format, path, 'Failed to create path_rewrite formatter: ');
  return { kind: 'format', format };
}

/** `type.matcher.v3.RegexMatchAndSubstitute`. */
export function lowerRegexRewrite(message: Msg, path: string): RegexRewriteModel {
  const pattern = sub(message, 'pattern');
  if (pattern === null) throw new ConfigError('pattern is required', path);
  return {
    pattern: lowerRegex(pattern, `${path}.pattern`),
    substitution: wireString(str(message, 'substitution')),
  };
}

export function lowerDirectResponse(
  message: Msg,
  ctx: LowerContext,
  bytesMax: number,
  path: string,
): DirectResponseModel {
  const source = sub(message, 'body');
  const body = source === null ? '' : readDataSource(source, ctx, `${path}.body`).toString('latin1');
  if (body.length > bytesMax) {
    throw new ConfigError(`response body size is ${body.length} bytes; maximum is ${bytesMax}`, `${path}.body`);
  }
  const format = sub(message, 'bodyFormat');
  return {
    kind: 'direct_response',
    status: num(message, 'status'),
    body,
    bodyFormat: format === null ? null : lowerBodyFormat(format, ctx, `${path}.body_format`),
  };
}
