// Load that is shed whenever bytes of an HTTP connection come, before a codec sees them.

import type { FindShedPoint, ShedPoint } from '../observe/shed-point.ts';

/** The places of one connection manager, each `null` where no load is shed. */
export class DispatchSheds {
  /** HTTP/1: the exchange is answered with an error, the connection ends. */
  readonly abort: ShedPoint | null;
  /** The connection ends when its streams do. */
  readonly goaway: ShedPoint | null;
  /** The connection ends at once. Both ask connections of any version, as in Envoy. */
  readonly close: ShedPoint | null;

  private constructor(find: FindShedPoint) {
    this.abort = find('http1_server_abort_dispatch');
    this.goaway = find('http2_server_go_away_on_dispatch');
    this.close = find('http2_server_go_away_and_close_on_dispatch');
  }

  /** @returns `null` where there is none of them */
  static of(find: FindShedPoint): DispatchSheds | null {
    const sheds = new DispatchSheds(find);
    return sheds.abort === null && sheds.goaway === null && sheds.close === null ? null : sheds;
  }
}
