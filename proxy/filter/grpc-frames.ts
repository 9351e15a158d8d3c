// gRPC's message framing (grpc/doc/PROTOCOL-HTTP2.md): a flag byte, four bytes of length, the message.

const PREFIX_BYTES = 5;
/** Flag of the frame that carries trailers in gRPC-Web. */
const TRAILERS_FLAG = 0x80;

/** Follows frames through pieces of any size; keeps no bytes. */
export class FrameWalk {
  /** Frames of which at least the first byte was seen. */
  frames: number;
  private prefixSeen: number;
  private length: number;
  private left: number;

  constructor() {
    this.frames = 0;
    this.prefixSeen = 0;
    this.length = 0;
    this.left = 0;
  }

  /** Goes through a piece; afterwards `frames` is right. */
  walk(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) at = this.step(chunk, at);
  }

  /** @returns the position behind the present frame, or the end of the piece when the frame goes on */
  step(chunk: Uint8Array, from: number): number {
    let at = from;
    while (this.prefixSeen < PREFIX_BYTES) {
      if (at === chunk.length) return at;
      const byte = chunk[at++] as number;
      if (this.prefixSeen++ === 0) {
        this.frames++;
        this.length = 0;
        continue;
      }
      this.length = this.length * 256 + byte;
      if (this.prefixSeen === PREFIX_BYTES) this.left = this.length;
    }
    const taken = Math.min(this.left, chunk.length - at);
    this.left -= taken;
    at += taken;
    if (this.left === 0) this.prefixSeen = 0;
    return at;
  }

  /** Between two frames. */
  get whole(): boolean {
    return this.prefixSeen === 0;
  }
}

/** Puts a message into a frame. */
export function frame(message: Uint8Array): Uint8Array {
  const out = new Uint8Array(PREFIX_BYTES + message.length);
  new DataView(out.buffer).setUint32(1, message.length);
  out.set(message, PREFIX_BYTES);
  return out;
}

/** The body frame in which gRPC-Web sends trailers. @param block `name:value` lines, a latin1 image */
export function trailersFrame(block: string): Buffer {
  const out = Buffer.allocUnsafe(PREFIX_BYTES + block.length);
  out[0] = TRAILERS_FLAG;
  out.writeUInt32BE(block.length, 1);
  out.write(block, PREFIX_BYTES, 'latin1');
  return out;
}

/** Bytes before a frame's message. */
export const FRAME_PREFIX_BYTES: number = PREFIX_BYTES;
