// The HTTP inspector: which HTTP a clear-text connection speaks, if any (Envoy: envoy.filters.listener.http_inspector).

import { type SniffedHttp, sniffHttp } from '../codec/http-sniff.ts';
import * as stat from '../observe/catalogue-listener-filter.ts';
import type { StatsStore } from '../observe/stats.ts';
import type { AcceptedConnection } from './connection.ts';
import { add } from './count.ts';
import { CLOSE, DONE, type FilterVerdict, type ListenerFilter, type Peek } from './listener-filter.ts';

/** A request line that has not ended by then never will, bytes. */
const LINE_BYTES_MAX = 65_536;

const FOUND: Readonly<Record<SniffedHttp, { readonly slot: number; readonly protocols: readonly string[] }>> = {
  'http/1.0': { slot: stat.HTTP_INSPECTOR_HTTP10_FOUND, protocols: ['http/1.0'] },
  'http/1.1': { slot: stat.HTTP_INSPECTOR_HTTP11_FOUND, protocols: ['http/1.1'] },
  h2c: { slot: stat.HTTP_INSPECTOR_HTTP2_FOUND, protocols: ['h2c'] },
};

/** See the head of this file. */
export class HttpInspector implements ListenerFilter {
  private readonly slots: Float64Array;

  constructor(stats: StatsStore) {
    this.slots = stats.block(stat.HTTP_INSPECTOR, 'http_inspector.');
  }

  /** What another inspector found is not looked at again. */
  begin(connection: AcceptedConnection): FilterVerdict {
    return connection.transportProtocol === 'raw_buffer' ? 1 : DONE;
  }

  look(peek: Peek): FilterVerdict {
    const found = sniffHttp(peek.bytes, peek.searched);
    if (typeof found === 'number') {
      peek.searched = peek.bytes.length;
      if (peek.searched < LINE_BYTES_MAX) return found;
      add(this.slots, stat.HTTP_INSPECTOR_READ_ERROR, 1);
      return CLOSE;
    }
    if (found === null) {
      add(this.slots, stat.HTTP_INSPECTOR_HTTP_NOT_FOUND, 1);
      return DONE;
    }
    const { slot, protocols } = FOUND[found];
    add(this.slots, slot, 1);
    peek.connection.applicationProtocols = protocols;
    return DONE;
  }
}
