// Path and host rewrites, redirects (Envoy: config.route.v3 RouteAction, RedirectAction).

import type { HeaderMap } from '../codec/headers.ts';
import type { RedirectModel, RouteActionModel, RouteMatchModel, TemplateRewriteModel } from '../config/model/route.ts';
import { compileFirstRead } from '../match/head.ts';
import { compileCapture, compileReplaceAll } from '../match/regex.ts';
import { compileText } from '../observe/format.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { CompiledRedirect, RouteRules } from './route.ts';
import type { CompiledTarget } from './target.ts';

/**
 * Changes `info.path` and `info.authority`.
 * @param keepOriginals leave what they were in `x-envoy-original-path` and `-host`
 */
export type Rewrite = (info: StreamInfo, headers: HeaderMap, keepOriginals: boolean) => void;

/** `null` when the action rewrites nothing. */
export function compileRewrite(action: RouteActionModel, match: RouteMatchModel): Rewrite | null {
  const path = compilePath(action, match);
  const host = compileHostRewrite(action);
  if (path === null) return host;
  const rewritePath = changePath(path);
  if (host === null) return rewritePath;
  return (info, headers, keepOriginals) => {
    host(info, headers, keepOriginals);
    rewritePath(info, headers, keepOriginals);
  };
}

type NewPath = (path: string, info: StreamInfo) => string;

/** Envoy leaves a path alone that would become empty, and calls any other rewritten, changed or not. */
function changePath(path: NewPath): Rewrite {
  return (info, headers, keepOriginals) => {
    const before = info.path;
    const after = path(before, info);
    if (after === '') return;
    if (keepOriginals) headers.set('x-envoy-original-path', before);
    info.path = after;
  };
}

function compilePath(action: RouteActionModel, match: RouteMatchModel): NewPath | null {
  if (action.pathFormat !== '') return compilePathFormat(action.pathFormat);
  if (action.templateRewrite !== null) return compileTemplateRewrite(action.templateRewrite);
  return compilePathRewrite(match, action.prefixRewrite, action.regexRewrite);
}

/** What is rendered replaces the path; the query stays. */
function compilePathFormat(format: string): NewPath {
  const render = compileText(format, true);
  return (path, info) => {
    const after = render(info);
    return after === '' ? '' : after + queryOf(path);
  };
}

function compileTemplateRewrite({ pattern, parts }: TemplateRewriteModel): NewPath {
  const capture = compileCapture(pattern);
  return (path) => {
    const query = queryOf(path);
    const groups = capture(path.slice(0, path.length - query.length));
    if (groups === null) return '';
    let after = '';
    for (const part of parts) after += typeof part === 'string' ? part : (groups[part] ?? '');
    return after + query;
  };
}

/** From the question mark on. */
function queryOf(path: string): string {
  const query = path.indexOf('?');
  return query < 0 ? '' : path.slice(query);
}

/** What a prefix replaces: the part of the path that the route matched. */
function compilePathRewrite(
  match: RouteMatchModel,
  prefix: string,
  regex: RouteActionModel['regexRewrite'],
): ((path: string) => string) | null {
  if (regex !== null) {
    const replace = compileReplaceAll(regex.pattern, regex.substitution);
    return (path) => {
      const query = path.indexOf('?');
      if (query < 0) return replace(path);
      const after = replace(path.slice(0, query));
      return after === '' ? '' : after + path.slice(query);
    };
  }
  if (prefix === '') return null;
  const { path: matched } = match;
  switch (matched.kind) {
    case 'prefix':
    case 'path_separated_prefix':
    case 'exact':
      return replacePrefix(matched.value, prefix, match.caseSensitive);
    case 'regex':
      // A regex match covers the whole path; the query stays.
      return (path) => {
        const query = path.indexOf('?');
        return query < 0 ? prefix : prefix + path.slice(query);
      };
    case 'template':
    case 'connect':
      return null;
  }
}

/** Where parameters are ignored a path may have matched without beginning so: it stays as it is. */
function replacePrefix(matched: string, prefix: string, caseSensitive: boolean): (path: string) => string {
  const { length } = matched;
  if (caseSensitive) return (path) => (path.startsWith(matched) ? prefix + path.slice(length) : '');
  const lower = matched.toLowerCase();
  return (path) => (path.slice(0, length).toLowerCase() === lower ? prefix + path.slice(length) : '');
}

function compileHostRewrite(action: RouteActionModel): Rewrite | null {
  const { hostRewrite, appendXForwardedHost } = action;
  const value = compileHostValue(hostRewrite);
  if (value === null) return null;
  return (info, headers, keepOriginals) => {
    const host = value(info, headers);
    if (host === null || host === '') return;
    if (keepOriginals && info.authority !== '') headers.set('x-envoy-original-host', info.authority);
    if (appendXForwardedHost) appendForwardedHost(headers, info.authority);
    info.authority = host;
  };
}

function appendForwardedHost(headers: HeaderMap, authority: string): void {
  if (authority === '') return;
  const present = headers.getJoined('x-forwarded-host');
  if (present === null) headers.add('x-forwarded-host', authority);
  else if (present.slice(present.lastIndexOf(',') + 1) !== authority)
    headers.set('x-forwarded-host', `${present},${authority}`);
}

function compileHostValue(
  model: RouteActionModel['hostRewrite'],
): ((info: StreamInfo, headers: HeaderMap) => string | null) | null {
  switch (model.kind) {
    case 'literal':
      return () => model.value;
    case 'header':
      return compileFirstRead(model.header);
    case 'format':
      return compileText(model.format, false);
    case 'path_regex': {
      const replace = compileReplaceAll(model.rewrite.pattern, model.rewrite.substitution);
      return (info) => {
        const query = info.path.indexOf('?');
        return replace(query < 0 ? info.path : info.path.slice(0, query));
      };
    }
    case 'auto':
    case 'none':
      return null;
  }
}

/**
 * Where a redirect sends a request. A prefix or a pattern that is rewritten changes the request itself, as it would where
 * the request went on; what replaces the whole path does not.
 */
export function compileRedirect(redirect: RedirectModel, match: RouteMatchModel): CompiledRedirect {
  const finish = compileRedirectPath(redirect);
  const location = (info: StreamInfo): string => {
    const { scheme } = redirect;
    const to = scheme.kind === 'https' ? 'https' : scheme.kind === 'literal' ? scheme.value : info.scheme;
    const path = finish(info.path, info);
    return `${to}://${redirectHost(info, redirect, to)}${path.startsWith('/') ? path : `/${path}`}`;
  };
  return { status: redirect.code, rewrite: compileRedirectRewrite(redirect, match), location };
}

/** A new port comes behind a new host's own, and replaces that of the request, whose default port goes when its scheme does. */
function redirectHost({ authority, requestHeaders }: StreamInfo, { host, port }: RedirectModel, to: string): string {
  if (host !== '') return port === 0 ? host : `${host}:${port}`;
  const colon = portAt(authority);
  if (port !== 0) return `${colon < 0 ? authority : authority.slice(0, colon)}:${port}`;
  // What the request came with is what it was forwarded as, should its scheme say something else.
  const from = requestHeaders?.get('x-forwarded-proto') ?? '';
  const isDefault = colon >= 0 && to !== from && authority.slice(colon + 1) === DEFAULT_PORTS.get(from.toLowerCase());
  return isDefault ? authority.slice(0, colon) : authority;
}

/** Where the colon before the port is; negative = there is none. */
function portAt(authority: string): number {
  if (!authority.startsWith('[')) return authority.lastIndexOf(':');
  const end = authority.lastIndexOf(']:');
  return end < 0 ? end : end + 1;
}

const DEFAULT_PORTS: ReadonlyMap<string, string> = new Map([
  ['http', '80'],
  ['https', '443'],
]);

function compileRedirectRewrite({ path }: RedirectModel, match: RouteMatchModel): Rewrite | null {
  if (path.kind !== 'prefix' && path.kind !== 'regex') return null;
  const rewrite =
    path.kind === 'prefix' ? compilePathRewrite(match, path.value, null) : compilePathRewrite(match, '', path.rewrite);
  return rewrite === null ? null : changePath(rewrite);
}

function compileRedirectPath(redirect: RedirectModel): NewPath {
  const { path, stripQuery } = redirect;
  const strip = (text: string): string => {
    const query = text.indexOf('?');
    return stripQuery && query >= 0 ? text.slice(0, query) : text;
  };
  switch (path.kind) {
    case 'keep':
    case 'prefix':
    case 'regex':
      return strip;
    case 'literal':
      return (text) => withQuery(path.value, text, stripQuery);
    case 'format': {
      const render = compileText(path.format, true);
      return (text, info) => {
        const after = render(info);
        return after === '' ? strip(text) : withQuery(after, text, stripQuery);
      };
    }
  }
}

/** A new path gets the old one's query unless it has its own. */
function withQuery(path: string, before: string, stripQuery: boolean): string {
  return stripQuery || path.includes('?') ? path : path + queryOf(before);
}

/**
 * Changes a request on its way up as route and target say: headers, then host and path, so that formats see what the
 * client sent.
 * @param keepOriginals see `Rewrite`
 */
export function applyRequestChanges(
  route: RouteRules,
  target: CompiledTarget,
  info: StreamInfo,
  headers: HeaderMap,
  keepOriginals: boolean,
): void {
  if (target.mutateRequest !== null) target.mutateRequest(headers, info);
  if (route.rewrite !== null) route.rewrite(info, headers, keepOriginals);
}

/** `auto_host_rewrite`: the picked host's name becomes the authority. Each try rewrites what the one before it wrote. */
export function rewriteToHost(
  route: RouteRules,
  info: StreamInfo,
  headers: HeaderMap,
  hostname: string,
  keepOriginals: boolean,
): void {
  if (hostname === '') return;
  if (keepOriginals && info.authority !== '') headers.set('x-envoy-original-host', info.authority);
  if (route.appendXForwardedHost) appendForwardedHost(headers, info.authority);
  info.authority = hostname;
}
