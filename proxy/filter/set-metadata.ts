// Puts configured structs into the dynamic metadata of each request (Envoy: extensions.filters.http.set_metadata).

import type { SetMetadataModel } from '../config/model/metadata-filter.ts';
import { mergeMetadata } from '../observe/dynamic-metadata.ts';
import type { StatsStore } from '../observe/stats.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { FilterEnv, FilterRunControl, HttpFilter } from './filter.ts';

/** @param ofRoute comes after the filter's own; `null` = there is none */
export function compileSetMetadata(
  model: SetMetadataModel,
  ofRoute: SetMetadataModel | null,
  { stats, statPrefix }: FilterEnv,
): HttpFilter {
  const own = compileEntries(model, stats, statPrefix);
  // What routes say is counted without the connection manager's prefix.
  const more = ofRoute === null ? null : compileEntries(ofRoute, stats, '');
  return {
    open: ({ stream }: FilterRunControl): null => {
      own(stream);
      if (more !== null) more(stream);
      return null;
    },
  };
}

function compileEntries(
  { entries, typedDenied }: SetMetadataModel,
  stats: StatsStore,
  statPrefix: string,
): (stream: StreamInfo) => void {
  const denied = stats.cell(`${statPrefix}set_metadata.overwrite_denied`, 'c');
  return (stream) => {
    // Nothing reads typed metadata here: of that, only what Envoy counts is to be seen.
    let refused = typedDenied;
    for (const { namespace, overwrite, value } of entries) {
      if (overwrite || stream.dynamicMetadata?.[namespace] === undefined) mergeMetadata(stream, namespace, value);
      else refused++;
    }
    if (refused > 0) denied[0] = (denied[0] as number) + refused;
  };
}
