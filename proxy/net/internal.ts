// Connections inside this process: from a cluster to an internal listener of the same worker, without the kernel.
//
// Rule 1: both ends behave as `net.Socket`s do towards `Transport`: half-open ends, one write under way, `close` last.
// Rule 2: nothing is delivered inside the call that sent it; the other end acts in a turn of its own.

import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { MetadataModel } from '../config/model/common.ts';

/** What Envoy calls the client's end of every internal connection. */
export const INTERNAL_CLIENT_ADDRESS = 'envoy://internal_client_address/';
/** Bytes that one direction holds when nobody reads; Envoy's default. */
export const INTERNAL_BUFFER_BYTES_DEFAULT = 1024 * 1024;

/** One end of a connection. */
class InternalSocket extends Duplex {
  /** As `net.Socket`. */
  readonly localAddress: string;
  readonly remoteAddress: string;
  private other: InternalSocket | null;
  /** Ends the write whose bytes filled the other end's buffer. */
  private resumeWriter: (() => void) | null;

  constructor(localAddress: string, remoteAddress: string, bufferBytes: number, writeBytes: number) {
    super({ allowHalfOpen: true, readableHighWaterMark: bufferBytes, writableHighWaterMark: writeBytes });
    this.localAddress = localAddress;
    this.remoteAddress = remoteAddress;
    this.other = null;
    this.resumeWriter = null;
  }

  join(other: InternalSocket): void {
    this.other = other;
  }

  // Nothing to set where there is no network.
  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  resetAndDestroy(): this {
    const { other } = this;
    this.destroy();
    if (other !== null) process.nextTick(() => other.destroy(socketError('ECONNRESET', 'read')));
    return this;
  }

  override _read(): void {
    const resume = this.resumeWriter;
    this.resumeWriter = null;
    resume?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    // The buffer is the writer's again when the write is done, which is before the other end has read it.
    const copy = Buffer.from(chunk);
    process.nextTick(() => {
      const { other } = this;
      if (other === null || other.destroyed) done(socketError('EPIPE', 'write'));
      else if (other.push(copy)) done();
      else other.resumeWriter = done;
    });
  }

  override _final(done: (error?: Error | null) => void): void {
    process.nextTick(() => {
      this.endOther();
      done();
    });
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    process.nextTick(() => {
      this.endOther();
      const resume = this.resumeWriter;
      this.resumeWriter = null;
      resume?.();
    });
    done(error);
  }

  private endOther(): void {
    const { other } = this;
    if (other === null || other.destroyed || other.readableEnded) return;
    // A second end is an error of the stream.
    this.other = null;
    other.push(null);
  }
}

function socketError(code: string, syscall: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${syscall} ${code}`), { code, syscall });
}

/** Takes the listener's end of a connection. */
export type InternalAccept = (socket: Socket, endpointId: string, metadata: MetadataModel | null) => void;

/** The internal listeners of one worker by name. */
export class InternalNetwork {
  private readonly listeners: Map<string, InternalAccept>;
  private readonly bufferBytes: number;

  constructor(bufferBytes: number = INTERNAL_BUFFER_BYTES_DEFAULT) {
    this.listeners = new Map();
    this.bufferBytes = bufferBytes;
  }

  listen(name: string, accept: InternalAccept): void {
    this.listeners.set(name, accept);
  }

  stop(name: string): void {
    this.listeners.delete(name);
  }

  /**
   * Connects to a listener. What becomes of it is told by events, as with `net.connect`: `connect`, or an error in the
   * kernel's words when there is no such listener.
   * @param metadata for the listener's connection; `null` = none
   */
  connect(name: string, endpointId: string, metadata: MetadataModel | null, writeBytes: number): Socket {
    const address = `envoy://${name}/${endpointId}`;
    const client = new InternalSocket(INTERNAL_CLIENT_ADDRESS, address, this.bufferBytes, writeBytes);
    process.nextTick(() => {
      if (client.destroyed) return;
      const accept = this.listeners.get(name);
      if (accept === undefined) {
        client.destroy(socketError('EINVAL', 'connect'));
        return;
      }
      const server = new InternalSocket(address, INTERNAL_CLIENT_ADDRESS, this.bufferBytes, this.bufferBytes);
      client.join(server);
      server.join(client);
      client.emit('connect');
      accept(server as unknown as Socket, endpointId, metadata);
    });
    return client as unknown as Socket;
  }
}
