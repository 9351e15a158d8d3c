// Changes headers, trailers and query parameters (Envoy: extensions.filters.http.header_mutation). One mutation comes
// after the other, each seeing what those before have done: other than headers that routes add.

import type { HeaderMap } from '../codec/headers.ts';
import type { HeaderMutationFilterModel, MutationsModel, RouteFilterConfigModel } from '../config/model-http-filter.ts';
import type { HeaderMutationModel } from '../config/model-mirror.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import { compileMutationSteps, sequence, UNSAFE } from '../router/mutations.ts';
import type { Mutate } from '../router/route.ts';
import { CONTINUE, type FilterCall, type FilterRunControl, type HttpFilter, type Verdict } from './filter.ts';
import { compileQueryMutations, type Parameters, parametersOf, withParameters } from './query-mutations.ts';

/** What a call does besides changing the request's head. */
interface Later {
  readonly requestTrailers: Mutate | null;
  readonly response: Mutate | null;
  readonly responseTrailers: Mutate | null;
}

/** @param configs of a route's levels: all of them act, after the filter's own */
export function compileHeaderMutation(
  model: HeaderMutationFilterModel,
  configs: readonly RouteFilterConfigModel[],
): HttpFilter | null {
  const ofRoute = configs.filter((config) => config.kind === 'header_mutation').map(({ mutations }) => mutations);
  const levels = [model.mutations, ...(model.mostSpecificWins ? ofRoute : ofRoute.reverse())];
  const request = compileRequest(levels);
  const of = (list: (level: MutationsModel) => readonly HeaderMutationModel[]): Mutate | null =>
    compileMutationSteps(levels.flatMap(list));
  const later: Later = {
    requestTrailers: of((level) => level.requestTrailers),
    response: of((level) => level.response),
    responseTrailers: of((level) => level.responseTrailers),
  };
  const acts = later.requestTrailers !== null || later.response !== null || later.responseTrailers !== null;
  if (request === null && !acts) return null;
  const openResponse = ({ stream }: FilterRunControl): FilterCall | null =>
    acts ? new MutationCall(stream, later) : null;
  return {
    open: (run: FilterRunControl) => {
      const { stream } = run;
      if (request !== null) request(stream.requestHeaders as HeaderMap, stream);
      return openResponse(run);
    },
    openResponse,
  };
}

class MutationCall implements FilterCall {
  private readonly stream: StreamInfo;
  private readonly later: Later;

  constructor(stream: StreamInfo, later: Later) {
    this.stream = stream;
    this.later = later;
  }

  onRequestTrailers(trailers: HeaderMap): Verdict {
    if (this.later.requestTrailers !== null) this.later.requestTrailers(trailers, this.stream);
    return CONTINUE;
  }

  onResponseHead(_status: number, headers: HeaderMap): Verdict {
    const { stream } = this;
    if (this.later.response === null) return CONTINUE;
    // What formats read; the status is there already, and of gRPC's answers it is what they stand for.
    stream.responseHeaders = headers;
    this.later.response(headers, stream);
    return CONTINUE;
  }

  onResponseTrailers(trailers: HeaderMap): Verdict {
    const { stream } = this;
    if (this.later.responseTrailers === null) return CONTINUE;
    stream.responseTrailers = trailers;
    this.later.responseTrailers(trailers, stream);
    return CONTINUE;
  }
}

/** Each level changes headers, then parameters; the path is written when all have. */
function compileRequest(models: readonly MutationsModel[]): Mutate | null {
  const levels = models
    .map(({ request, query }) => ({
      headers: compileMutationSteps(request, 'request'),
      query: compileQueryMutations(query),
    }))
    .filter(({ headers, query }) => headers !== null || query !== null);
  if (levels.every(({ query }) => query === null)) return sequence(levels.map(({ headers }) => headers));
  return (map, info) => {
    let parameters: Parameters | null = null;
    for (const { headers, query } of levels) {
      if (headers !== null) headers(map, info);
      if (query === null) continue;
      parameters ??= parametersOf(info.path);
      query(parameters, info);
    }
    if (parameters === null) return;
    const path = withParameters(info.path, parameters);
    // Decoded, it may hold what would end its line: the router refuses the request, and the path stays as it is.
    if (UNSAFE.test(path)) info.unsafeHeader = ':path';
    else info.path = path;
  };
}
