// Lets clients without trailers call gRPC (Envoy: extensions.filters.http.grpc_http1_bridge.v3): the whole answer is
// collected, and what its trailers said becomes headers.

import type { HeaderMap } from '../codec/headers.ts';
import type { GrpcBridgeModel } from '../config/model/http-filter.ts';
import { isGrpcContentType } from '../match/head.ts';
import { KeptBody } from '../router/kept-body.ts';
import { CONTINUE, type FilterCall, type FilterRunControl, type HttpFilter, PAUSE, type Verdict } from './filter.ts';
import { FRAME_PREFIX_BYTES, frame } from './grpc-frames.ts';

const PROTOBUF = 'application/x-protobuf';

/** Compiles the filter for one connection manager. */
export function compileGrpcBridge(model: GrpcBridgeModel): HttpFilter {
  return {
    open: (run: FilterRunControl, at: number) => {
      const { stream } = run;
      if (stream.protocol === 'HTTP/2') return null;
      const contentType = (stream.requestHeaders as HeaderMap).get('content-type');
      const upgrade = model.upgradeProtobuf && contentType === PROTOBUF;
      return upgrade || isGrpcContentType(contentType) ? new BridgeCall(run, at, model, upgrade) : null;
    },
  };
}

class BridgeCall implements FilterCall {
  private readonly run: FilterRunControl;
  private readonly at: number;
  private readonly model: GrpcBridgeModel;
  /** The client speaks bare Protobuf: one message each way, frames are ours. */
  private readonly upgrade: boolean;
  private readonly request: KeptBody;
  private readonly response: KeptBody;
  private head: HeaderMap | null;

  constructor(run: FilterRunControl, at: number, model: GrpcBridgeModel, upgrade: boolean) {
    this.run = run;
    this.at = at;
    this.model = model;
    this.upgrade = upgrade;
    this.request = new KeptBody();
    this.response = new KeptBody();
    this.head = null;
  }

  // === Request ===

  onRequestHead(headers: HeaderMap): Verdict {
    const { stream } = this.run;
    if (this.model.ignoreQueryParameters) {
      const query = stream.path.indexOf('?');
      if (query >= 0) stream.path = stream.path.slice(0, query);
    }
    if (!this.upgrade) return CONTINUE;
    headers.set('content-type', 'application/grpc');
    headers.remove('content-length');
    return CONTINUE;
  }

  onRequestData(chunk: Uint8Array, endStream: boolean): Uint8Array | null {
    if (!this.upgrade) return chunk;
    if (!this.fits(this.request, chunk)) {
      this.run.stream.refuseRequestBody();
      return null;
    }
    return endStream ? frame(this.request.whole()) : null;
  }

  // === Response ===

  onResponseHead(_status: number, headers: HeaderMap, endStream: boolean): Verdict {
    // What is no gRPC has no frame to take off; beyond that Envoy collects every answer.
    if (endStream || (this.upgrade && !isGrpcContentType(headers.get('content-type')))) return CONTINUE;
    this.head = headers;
    return PAUSE;
  }

  onResponseData(chunk: Uint8Array, endStream: boolean): Uint8Array | null {
    if (this.head === null) return chunk;
    if (!this.fits(this.response, chunk)) {
      this.run.stream.localReply(500, 'Internal Server Error', 'response_payload_too_large', null);
      return null;
    }
    if (endStream) this.answer(this.head);
    return null;
  }

  onResponseTrailers(trailers: HeaderMap): Verdict {
    const { head } = this;
    if (head === null) return CONTINUE;
    const status = trailers.get('grpc-status');
    if (status !== null) {
      if (status !== '0') this.run.setStatus(503);
      head.set('grpc-status', status);
    }
    const message = trailers.get('grpc-message');
    if (message !== null) head.set('grpc-message', message);
    this.answer(head);
    return PAUSE;
  }

  /** Keeps a piece, or refuses it: nobody will need what was kept then. */
  private fits(kept: KeptBody, chunk: Uint8Array): boolean {
    if (kept.bytes + chunk.length > this.run.stream.bufferLimitBytes) return false;
    if (chunk.length > 0) kept.add(chunk);
    return true;
  }

  private answer(head: HeaderMap): void {
    const whole = this.response.whole();
    const body = this.upgrade ? whole.subarray(FRAME_PREFIX_BYTES) : whole;
    head.set('content-length', `${body.length}`);
    this.head = null;
    this.run.resumeResponse(this.at, body.length === 0);
    if (body.length > 0) this.run.sendResponseData(this.at, body, true);
  }
}
