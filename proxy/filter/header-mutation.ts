// Changes headers, trailers and query parameters (Envoy: extensions.filters.http.header_mutation). One mutation comes
// after the other, each seeing what those before have done: other than headers that routes add.

import type { HeaderMap } from '../codec/headers.ts';
import { isEnvoyHeader } from '../codec/known-headers.ts';
import type { HeaderMutationFilterModel, MutationsModel, RouteFilterConfigModel } from '../config/model/http-filter.ts';
import type { HeaderMutationModel } from '../config/model/mirror.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { Mutate } from '../route/mutations.ts';
import { compileMutationSteps, sequence } from '../route/mutations.ts';
import { CONTINUE, type FilterCall, type FilterRunControl, type HttpFilter, type Verdict } from './filter.ts';
import { compileQueryMutations } from './query-mutations.ts';

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
  const addsEnvoys = levels.some((level) => level.request.some(addsEnvoyHeader));
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
      if (addsEnvoys) stream.hasEnvoyHeaders = true;
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

function addsEnvoyHeader(step: HeaderMutationModel): boolean {
  return step.kind === 'add' && isEnvoyHeader(step.add.name);
}

/** Each level changes headers, then parameters, and writes the path: the next one decodes what this one encoded. */
function compileRequest(models: readonly MutationsModel[]): Mutate | null {
  return sequence(
    models.flatMap(({ request, query }) => [compileMutationSteps(request, 'request'), compileQueryMutations(query)]),
  );
}
