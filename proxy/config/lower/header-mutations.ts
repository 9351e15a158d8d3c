// Lowers lists of header additions and removals; their format strings are compiled once for the verdict.

import { compileText } from '../../observe/format.ts';
import { ConfigError } from '../../util/error.ts';
import type { HeaderAddModel, HeaderMutationsModel } from '../model/headers.ts';
import { has, list, type Msg, num, strings } from '../schema/message.ts';
import { asciiLower, lowerHeaderAdd, wireString } from './common.ts';

const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** The four lists that route configurations, virtual hosts, routes and weighted clusters have in common. */
export function lowerHeaderMutations(message: Msg, path: string): HeaderMutationsModel {
  return {
    requestAdd: lowerHeaderAdds(list(message, 'requestHeadersToAdd'), `${path}.request_headers_to_add`),
    requestRemove: lowerHeaderRemoves(strings(message, 'requestHeadersToRemove'), `${path}.request_headers_to_remove`),
    responseAdd: lowerHeaderAdds(list(message, 'responseHeadersToAdd'), `${path}.response_headers_to_add`),
    responseRemove: lowerHeaderRemoves(
      strings(message, 'responseHeadersToRemove'),
      `${path}.response_headers_to_remove`,
    ),
  };
}

export function lowerHeaderAdds(options: readonly Msg[], path: string): readonly HeaderAddModel[] {
  return options.map((option, index) => lowerCheckedHeaderAdd(option, `${path}[${index}]`));
}

/** One addition, its name and format checked. */
export function lowerCheckedHeaderAdd(option: Msg, path: string): HeaderAddModel {
  if (has(option, 'append') && num(option, 'appendAction') !== 0) {
    throw new ConfigError("Both append and append_action are set and it's not allowed", path);
  }
  const model = lowerHeaderAdd(option, path);
  requireHeaderName(model.name, `${path}.header.key`);
  checkFormat(model.value, `${path}.header.value`);
  return model;
}

function lowerHeaderRemoves(names: readonly string[], path: string): readonly string[] {
  return names.map((name, index) => lowerHeaderRemove(name, `${path}[${index}]`));
}

/** One name to remove, in lower case. */
export function lowerHeaderRemove(name: string, path: string): string {
  const lower = asciiLower(wireString(name));
  if (lower.startsWith(':') || lower === 'host') {
    throw new ConfigError(':-prefixed or host headers may not be removed', path);
  }
  requireHeaderName(lower, path);
  return lower;
}

/** Envoy takes any text without control characters; a name that is no token would break the message on the wire. */
export function requireHeaderName(name: string, path: string): void {
  if (!HEADER_NAME.test(name)) throw new ConfigError(`invalid header name ${JSON.stringify(name)}`, path);
}

/** A format of a header value or the like. @throws ConfigError with the path and `what` before the reason */
export function checkFormat(value: string, path: string, what = ''): void {
  if (!value.includes('%')) return;
  try {
    compileText(value, true);
  } catch (error) {
    if (error instanceof ConfigError) throw new ConfigError(what + error.message, path);
    throw error;
  }
}
