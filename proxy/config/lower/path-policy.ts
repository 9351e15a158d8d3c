// Lowers the path extensions of routes: URI templates that match, and those that rewrite what such a one matched
// (Envoy: extensions.path.match.uri_template.v3, extensions.path.rewrite.uri_template.v3).

import { ConfigError } from '../../util/error.ts';
import { missingImplementation } from '../fields/extensions.ts';
import type { RouteMatchModel, TemplateRewriteModel } from '../model/route.ts';
import { unpackAny } from '../read/any.ts';
import { type Msg, str, sub } from '../schema/message.ts';
import { checkRegex } from './regex.ts';
import { parseUriRewrite, parseUriTemplate, TemplateError, type UriTemplate } from './uri-template.ts';

const MATCH = 'envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig';
const REWRITE = 'envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig';

/** `RouteMatch.path_match_policy`. */
export function lowerPathMatchPolicy(extension: Msg, path: string): RouteMatchModel['path'] {
  const template = str(unpack(extension, MATCH, path), 'pathTemplate');
  const { pattern } = parse(template, `${path}.typed_config.path_template`);
  return { kind: 'template', value: template, pattern: isRegex(pattern) ? pattern : null };
}

/**
 * `RouteAction.path_rewrite_policy`.
 * @param match the match of the same route: its variables are what the rewrite may name
 */
export function lowerPathRewritePolicy(
  extension: Msg,
  match: RouteMatchModel['path'],
  path: string,
): TemplateRewriteModel {
  const rewrite = str(unpack(extension, REWRITE, path), 'pathTemplateRewrite');
  const at = `${path}.typed_config.path_template_rewrite`;
  const parts = parseUriRewrite(rewrite);
  if (parts === null) throw new ConfigError(`path_rewrite_policy.path_template_rewrite ${rewrite} is invalid`, at);
  if (match.kind !== 'template') {
    throw new ConfigError(
      'unable to use envoy.path.rewrite.uri_template.uri_template_rewriter extension without envoy.path.match.uri_template.uri_template_matcher extension',
      path,
    );
  }
  const { variables } = parse(match.value, path);
  const refuse = (): never => {
    throw new ConfigError(
      `mismatch between variables in path_match_policy ${match.value} and path_rewrite_policy ${rewrite}`,
      at,
    );
  };
  if (match.pattern === null) return refuse();
  return {
    pattern: match.pattern,
    parts: parts.map((part) => {
      if ('literal' in part) return part.literal;
      const index = variables.indexOf(part.variable);
      return index < 0 ? refuse() : index + 1;
    }),
  };
}

function unpack(extension: Msg, typeName: string, path: string): Msg {
  const any = sub(extension, 'typedConfig');
  const config = any === null ? null : unpackAny(any, `${path}.typed_config`).message;
  if (config?.$typeName !== typeName)
    throw missingImplementation(str(extension, 'name'), config?.$typeName ?? '', path);
  return config;
}

function parse(template: string, path: string): UriTemplate {
  try {
    return parseUriTemplate(template);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new ConfigError(`path_match_policy.path_template ${template} is invalid: ${error.message}`, path);
  }
}

/** A literal may hold `**`, which no expression can; see `uri-template.ts`. */
function isRegex(pattern: string): boolean {
  try {
    checkRegex(pattern, '');
    return true;
  } catch (error) {
    if (error instanceof ConfigError) return false;
    throw error;
  }
}
