// Lowers the buffer filter (Envoy: extensions.filters.http.buffer).

import type { BufferModel } from '../model/http-filter.ts';
import { type Msg, num, oneofCase } from '../schema/message.ts';
import type { LowerContext } from './common.ts';

/** `buffer.v3.Buffer`. */
export function lowerBuffer(message: Msg): BufferModel {
  return { kind: 'buffer', requestBytesMax: num(message, 'maxRequestBytes') };
}

/** `buffer.v3.BufferPerRoute`. */
export function lowerRouteBuffer(message: Msg, _ctx: LowerContext, _path: string): BufferModel {
  const buffer = oneofCase(message, 'override', 'buffer');
  return buffer === null ? { kind: 'buffer', requestBytesMax: -1 } : lowerBuffer(buffer);
}
