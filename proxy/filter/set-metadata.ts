// Puts configured structs into the dynamic metadata of each request (Envoy: extensions.filters.http.set_metadata).

import type { SetMetadataModel } from '../config/model-metadata-filter.ts';
import { mergeMetadata } from '../observe/dynamic-metadata.ts';
import type { FilterEnv, FilterRunControl, HttpFilter } from './filter.ts';

export function compileSetMetadata(model: SetMetadataModel, { stats, statPrefix }: FilterEnv): HttpFilter {
  const denied = stats.cell(`${statPrefix}set_metadata.overwrite_denied`, 'c');
  const { entries, typedDenied } = model;
  return {
    open: ({ stream }: FilterRunControl): null => {
      // Nothing reads typed metadata here: of that, only what Envoy counts is to be seen.
      let refused = typedDenied;
      for (const { namespace, overwrite, value } of entries) {
        if (overwrite || stream.dynamicMetadata?.[namespace] === undefined) mergeMetadata(stream, namespace, value);
        else refused++;
      }
      if (refused > 0) denied[0] = (denied[0] as number) + refused;
      return null;
    },
  };
}
