// gRPC-Web to gRPC and back (Envoy: extensions.filters.http.grpc_web.v3; grpc/doc/PROTOCOL-WEB.md): trailers become the
// last frame of the body, and the text form is base64.

import type { HeaderMap } from '../codec/headers.ts';
import { isGrpcContentType } from '../match/head.ts';
import type { StatsStore } from '../observe/stats.ts';
import {
  CONTINUE,
  type FilterCall,
  type FilterRunControl,
  type FilterStream,
  type HttpFilter,
  PAUSE,
  type Verdict,
} from './filter.ts';
import { clusterOf, type GrpcCells, GrpcCounts, grpcMethodOf } from './grpc-counts.ts';
import { FrameWalk, trailersFrame } from './grpc-frames.ts';
import { grpcMessage, grpcStatusOf } from './grpc-status.ts';

const BINARY = 'application/grpc-web+proto';
const TEXT = 'application/grpc-web-text+proto';
/** What is a gRPC-Web request, and whether it is in text. */
const CONTENT_TYPES: ReadonlyMap<string, boolean> = new Map([
  ['application/grpc-web', false],
  [BINARY, false],
  ['application/grpc-web-text', true],
  [TEXT, true],
]);

/** Of an answer that is not gRPC, what is kept for `grpc-message`, bytes. */
const MESSAGE_BYTES_MAX = 16_384;
const EMPTY = new Uint8Array(0);

/** Compiles the filter for one connection manager. */
export function compileGrpcWeb(stats: StatsStore): HttpFilter {
  const counts = new GrpcCounts(stats, 'grpc-web');
  return {
    open: (run: FilterRunControl, at: number) => {
      const headers = run.stream.requestHeaders as HeaderMap;
      const text = CONTENT_TYPES.get(headers.get('content-type') ?? '');
      return text === undefined ? null : new GrpcWebCall(run, at, text, cellsOf(run.stream, counts));
    },
  };
}

function cellsOf(stream: FilterStream, counts: GrpcCounts): GrpcCells | null {
  const method = grpcMethodOf(stream.path);
  const cluster = method === null ? '' : clusterOf(stream);
  return cluster === '' ? null : counts.of(cluster, method);
}

class GrpcWebCall implements FilterCall {
  private readonly run: FilterRunControl;
  private readonly at: number;
  private readonly cells: GrpcCells | null;
  private readonly textRequest: boolean;
  private textResponse: boolean;
  /** Up to three characters of base64 that wait for the rest of their group. */
  private undecoded: string;
  private readonly frames: FrameWalk;
  /** Up to two bytes of the present frame that wait for the rest of their group. */
  private unencoded: Uint8Array;
  /** Head of an answer that is not gRPC, while its body is collected. */
  private foreign: HeaderMap | null;
  private foreignStatus: number;
  private readonly message: Uint8Array[];
  private messageBytes: number;

  constructor(run: FilterRunControl, at: number, textRequest: boolean, cells: GrpcCells | null) {
    this.run = run;
    this.at = at;
    this.cells = cells;
    this.textRequest = textRequest;
    this.textResponse = false;
    this.undecoded = '';
    this.frames = new FrameWalk();
    this.unencoded = EMPTY;
    this.foreign = null;
    this.foreignStatus = 0;
    this.message = [];
    this.messageBytes = 0;
  }

  // === Request ===

  onRequestHead(headers: HeaderMap): Verdict {
    this.textResponse = CONTENT_TYPES.get(headers.get('accept') ?? '') === true;
    headers.remove('content-length');
    headers.set('content-type', 'application/grpc');
    headers.set('te', 'trailers');
    headers.set('grpc-accept-encoding', 'identity');
    return CONTINUE;
  }

  onRequestData(chunk: Uint8Array, endStream: boolean): Uint8Array | null {
    if (!this.textRequest) return chunk;
    const text = this.undecoded + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString('latin1');
    const groups = text.length - (text.length % 4);
    this.undecoded = text.slice(groups);
    const ready = text.slice(0, groups);
    const cut = endStream && this.undecoded !== '';
    if (cut || !isBase64(ready)) {
      const details = cut ? 'grpc_base_64_decode_failed_bad_size' : 'grpc_base_64_decode_failed';
      this.run.stream.localReply(400, 'Bad gRPC-web request, invalid base64 data.', details, null);
      return null;
    }
    if (ready === '' && !endStream) return null;
    return Buffer.from(ready, 'base64');
  }

  // === Response ===

  onResponseHead(status: number, headers: HeaderMap, endStream: boolean): Verdict {
    if (endStream) this.cells?.outcome(headers.get('grpc-status'));
    const contentType = headers.get('content-type');
    const web = contentType !== null && CONTENT_TYPES.has(contentType);
    headers.set('content-type', this.textResponse ? TEXT : BINARY);
    if (web || isGrpcContentType(contentType)) {
      // The body grows by the frame with the trailers.
      if (!endStream) headers.remove('content-length');
      return CONTINUE;
    }
    if (endStream) return CONTINUE;
    this.foreign = headers;
    this.foreignStatus = status;
    return PAUSE;
  }

  onResponseData(chunk: Uint8Array, endStream: boolean): Uint8Array | null {
    if (this.foreign !== null) {
      this.collect(chunk);
      if (endStream) this.finishForeign();
      return null;
    }
    return this.textResponse ? this.encode(chunk, endStream) : chunk;
  }

  onResponseTrailers(trailers: HeaderMap): Verdict {
    if (this.foreign !== null) {
      this.finishForeign();
      return PAUSE;
    }
    this.cells?.outcome(trailers.get('grpc-status'));
    let block = '';
    for (let i = 0; i < trailers.size; i++) block += `${trailers.names[i]}:${trailers.values[i]}\r\n`;
    const last = trailersFrame(block);
    const rest = this.textResponse ? this.padded() : EMPTY;
    const body = this.textResponse ? Buffer.from(last.toString('base64'), 'latin1') : last;
    this.run.sendResponseData(this.at, rest.length === 0 ? body : Buffer.concat([rest, body]), true);
    return PAUSE;
  }

  /** Encodes frame by frame, each padded at its end, without waiting for a frame to be whole. */
  private encode(chunk: Uint8Array, endStream: boolean): Uint8Array | null {
    const out: Uint8Array[] = [];
    for (let at = 0; at < chunk.length; ) {
      const next = this.frames.step(chunk, at);
      const bytes = Buffer.concat([this.unencoded, chunk.subarray(at, next)]);
      const keep = this.frames.whole ? 0 : bytes.length % 3;
      this.unencoded = bytes.subarray(bytes.length - keep);
      out.push(Buffer.from(bytes.toString('base64', 0, bytes.length - keep), 'latin1'));
      at = next;
    }
    if (endStream) out.push(this.padded());
    const joined = Buffer.concat(out);
    return joined.length === 0 && !endStream ? null : joined;
  }

  /** What waits, as a group of its own. */
  private padded(): Uint8Array {
    const rest = Buffer.from(this.unencoded).toString('base64');
    this.unencoded = EMPTY;
    return Buffer.from(rest, 'latin1');
  }

  private collect(chunk: Uint8Array): void {
    const room = MESSAGE_BYTES_MAX - this.messageBytes;
    if (room <= 0 || chunk.length === 0) return;
    const kept = Uint8Array.from(chunk.subarray(0, room));
    this.message.push(kept);
    this.messageBytes += kept.length;
  }

  private finishForeign(): void {
    const headers = this.foreign as HeaderMap;
    this.explain(this.foreignStatus, headers, Buffer.concat(this.message).toString('latin1'));
    this.run.resumeResponse(this.at, true);
  }

  /** An answer that is not gRPC becomes one without messages: its text is the error. */
  private explain(status: number, headers: HeaderMap, text: string): void {
    headers.set('grpc-message', grpcMessage(text));
    headers.addIfAbsent('grpc-status', `${grpcStatusOf(status)}`);
    headers.set('content-length', '0');
  }
}

/** Whole groups of four, padding at the end alone. */
function isBase64(text: string): boolean {
  return /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text);
}
