// A virtual host whose routes are chosen by a generic matcher: it leads to a list, and there the first match wins. Where
// that list has none, no route does: the search never comes back.

import type { HeaderMap } from '../codec/headers.ts';
import type { MatcherModel, MatchInputModel } from '../config/model/matcher.ts';
import type { RouteModel } from '../config/model/route.ts';
import { compileHeaderRead } from '../match/head.ts';
import { compileMatcher, type Matcher, type ReadInput } from '../match/matcher.ts';
import { filterStateText, readFilterState } from '../observe/filter-state.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import { indexRoutes, type RouteSource, type RouteTrees } from './path-index.ts';
import type { RouteResult } from './route.ts';
import type { RouteScope } from './route-compile.ts';

/** Compiles `VirtualHost.matcher`. */
export function compileRouteTree(
  model: MatcherModel<readonly RouteModel[]>,
  scope: RouteScope,
  trees: RouteTrees,
): RouteSource {
  const find = compileMatcher<readonly RouteModel[], StreamInfo, RouteSource>(model, {
    runtimeKeys: scope.runtimeKeys,
    input: compileInput,
    action: (routes) => indexRoutes(routes, scope, trees),
  });
  return new RouteTree(find);
}

class RouteTree implements RouteSource {
  private readonly find: Matcher<StreamInfo, RouteSource>;

  constructor(find: Matcher<StreamInfo, RouteSource>) {
    this.find = find;
  }

  match(path: string, info: StreamInfo, headers: HeaderMap, random: number): RouteResult {
    const routes = this.find(info);
    return routes === null ? null : routes.match(path, info, headers, random);
  }
}

function compileInput(model: MatchInputModel): ReadInput<StreamInfo> {
  switch (model.kind) {
    case 'header': {
      const read = compileHeaderRead(model.name);
      return (info) => (info.requestHeaders === null ? null : read(info, info.requestHeaders));
    }
    case 'filter_state':
      return (info) => filterStateText(readFilterState(info, model.key), model.field);
    case 'constant':
      return () => model.value;
    case 'connection':
    case 'unknown':
      return () => null;
  }
}
