// Keeps objects made of a request with it (Envoy: extensions.filters.http.set_filter_state, network.set_filter_state).

import type { HeaderMap } from '../codec/headers.ts';
import type { FilterStateValueModel, SetFilterStateModel } from '../config/model/metadata-filter.ts';
import { type FilterStateValue, writeFilterState } from '../observe/filter-state.ts';
import { objectFactory } from '../observe/filter-state-objects.ts';
import { compileFormat, type Formatter } from '../observe/format.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { FilterRunControl, HttpFilter } from './filter.ts';

/** Makes an object of what is known of a request or connection; `null` = there is none to keep. */
export type MakeObject = (info: StreamInfo) => FilterStateValue | null;

export function compileObject(model: FilterStateValueModel): MakeObject {
  const render: Formatter = compileFormat(model.format);
  const make = objectFactory(model.factory);
  if (!model.skipIfEmpty) return (info) => make(render(info));
  return (info) => {
    const text = render(info);
    return text === '' ? null : make(text);
  };
}

/** @param ofRoute of a route's levels: each adds to what those before have kept, and has no say in the route cache */
export function compileSetFilterState(
  model: SetFilterStateModel,
  ofRoute: readonly SetFilterStateModel[],
): HttpFilter | null {
  const values = [model, ...ofRoute].flatMap((config) => config.values);
  const refresh = model.clearRouteCache;
  if (values.length === 0 && !refresh) return null;
  const objects = values.map((value) => ({ key: value.key, sharing: value.sharing, make: compileObject(value) }));
  return {
    open: ({ stream }: FilterRunControl): null => {
      for (const { key, sharing, make } of objects) {
        const value = make(stream);
        if (value !== null) writeFilterState(stream, key, value, sharing);
      }
      if (refresh) stream.refreshRoute(stream.requestHeaders as HeaderMap);
      return null;
    },
  };
}
