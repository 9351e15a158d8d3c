// Lowers the header_mutation filter (Envoy: extensions.filters.http.header_mutation, config.common.mutation_rules).
// Refusals are Envoy's words where it refuses.

import { ConfigError } from '../../util/error.ts';
import type { HeaderMutationFilterModel, MutationsModel, QueryMutationModel } from '../model/http-filter.ts';
import type { HeaderMutationModel } from '../model/mirror.ts';
import { bool, list, type Msg, num, oneof, str, sub } from '../schema/message.ts';
import { type LowerContext, wireString } from './common.ts';
import { checkFormat } from './header-mutations.ts';
import { lowerMutationSteps } from './mirror.ts';

/** `header_mutation.v3.HeaderMutation`. */
export function lowerHeaderMutation(message: Msg, _ctx: LowerContext, path: string): HeaderMutationFilterModel {
  return {
    kind: 'header_mutation',
    mutations: lowerMutations(sub(message, 'mutations'), `${path}.mutations`),
    mostSpecificWins: bool(message, 'mostSpecificHeaderMutationsWins'),
  };
}

/** `header_mutation.v3.HeaderMutationPerRoute`. */
export function lowerRouteHeaderMutation(
  message: Msg,
  _ctx: LowerContext,
  path: string,
): { readonly kind: 'header_mutation'; readonly mutations: MutationsModel } {
  return { kind: 'header_mutation', mutations: lowerMutations(sub(message, 'mutations'), `${path}.mutations`) };
}

function lowerMutations(message: Msg | null, path: string): MutationsModel {
  const headers = (field: string, name: string): readonly HeaderMutationModel[] =>
    message === null ? [] : lowerMutationSteps(list(message, field), `${path}.${name}`);
  return {
    request: headers('requestMutations', 'request_mutations'),
    response: headers('responseMutations', 'response_mutations'),
    requestTrailers: headers('requestTrailersMutations', 'request_trailers_mutations'),
    responseTrailers: headers('responseTrailersMutations', 'response_trailers_mutations'),
    query:
      message === null
        ? []
        : list(message, 'queryParameterMutations').map((item, i) =>
            lowerQueryMutation(item, `${path}.query_parameter_mutations[${i}]`),
          ),
  };
}

const APPEND_ACTIONS = [
  'append_if_exists_or_add',
  'add_if_absent',
  'overwrite_if_exists_or_add',
  'overwrite_if_exists',
] as const;

function lowerQueryMutation(message: Msg, path: string): QueryMutationModel {
  const append = sub(message, 'append');
  const remove = wireString(str(message, 'remove'));
  if (append === null) {
    if (remove === '') throw new ConfigError("One of 'append'/'remove' must be specified.", path);
    return { kind: 'remove', key: remove };
  }
  if (remove !== '') throw new ConfigError("Only one of 'append'/'remove can be specified.", path);
  const record = sub(append, 'record');
  if (record === null) throw new ConfigError('No record specified for append mutation.', `${path}.append`);
  const value = sub(record, 'value');
  const text = value === null ? null : oneof(value, 'kind');
  if (text?.case !== 'stringValue') {
    throw new ConfigError('Only string value is allowed for record value.', `${path}.append.record.value`);
  }
  const format = wireString(text.value as string);
  checkFormat(format, `${path}.append.record.value`);
  return {
    kind: 'append',
    key: wireString(str(record, 'key')),
    value: format,
    action: APPEND_ACTIONS[num(append, 'action')] ?? 'append_if_exists_or_add',
  };
}
