// A byte stream over a connected socket: coalesced writes, counted holds, one handler.
// The only place of the data path that knows `node:net` sockets.

import type { Socket } from 'node:net';

/** Told what happens on a transport. Exactly one `onClose` ends every transport. */
export interface TransportHandler {
  /** Bytes from the peer; valid during the call only: copy what is kept. */
  onData(chunk: Buffer): void;
  /** The peer half-closed. */
  onEnd(): void;
  /** The send buffer fell to its low watermark after `write` had returned false. */
  onDrain(): void;
  /** The socket is gone; `error` is the socket's own error or `null`. */
  onClose(error: NodeJS.ErrnoException | null): void;
}

/** Bodies up to this size are copied behind their head so that both leave in one system call. */
const COALESCE_BYTES_MAX = 16_384;

/** See `TransportHandler`. All methods are safe to call after the end; they then do nothing. */
export class Transport {
  readonly socket: Socket;
  handler: TransportHandler;
  closed: boolean;
  bytesRead: number;
  bytesWritten: number;
  private holds: number;
  private pendingHead: string;
  private batches: number;
  private ended: boolean;

  constructor(socket: Socket, handler: TransportHandler) {
    this.socket = socket;
    this.handler = handler;
    this.closed = false;
    this.bytesRead = 0;
    this.bytesWritten = 0;
    this.holds = 0;
    this.pendingHead = '';
    this.batches = 0;
    this.ended = false;
    let error: NodeJS.ErrnoException | null = null;
    socket.on('data', (chunk: Buffer) => {
      this.bytesRead += chunk.length;
      this.handler.onData(chunk);
    });
    socket.on('end', () => this.handler.onEnd());
    socket.on('drain', () => this.handler.onDrain());
    socket.on('error', (e: NodeJS.ErrnoException) => {
      error = e;
    });
    socket.on('close', () => {
      if (this.closed) return;
      this.closed = true;
      this.handler.onClose(error);
    });
  }

  /** Holds text back until the next `write`, `flush` or end of a batch, so that head and body leave together. */
  writeHead(latin1: string): void {
    this.pendingHead += latin1;
    if (this.batches === 0) this.flush();
  }

  /**
   * Sends body bytes (behind a held head). The bytes are copied or handed to the kernel before the call returns, or
   * kept by the socket: a caller must not reuse the buffer.
   * @returns false when the send buffer is above its high watermark: wait for `onDrain`.
   */
  write(chunk: Uint8Array): boolean {
    if (this.ended || this.closed) return true;
    const head = this.pendingHead;
    if (head === '') {
      this.bytesWritten += chunk.length;
      return this.socket.write(chunk);
    }
    this.pendingHead = '';
    this.bytesWritten += head.length + chunk.length;
    if (chunk.length <= COALESCE_BYTES_MAX) {
      const joined = Buffer.allocUnsafe(head.length + chunk.length);
      joined.write(head, 0, 'latin1');
      joined.set(chunk, head.length);
      return this.socket.write(joined);
    }
    this.socket.cork();
    this.socket.write(head, 'latin1');
    const more = this.socket.write(chunk);
    this.socket.uncork();
    return more;
  }

  /** Opens a batch: heads written inside leave at its end or with the first body bytes. */
  batch(): void {
    this.batches++;
  }

  /** Closes a batch and sends what is held. */
  endBatch(): void {
    if (--this.batches === 0) this.flush();
  }

  flush(): void {
    const head = this.pendingHead;
    if (head === '') return;
    this.pendingHead = '';
    if (this.ended || this.closed) return;
    this.bytesWritten += head.length;
    this.socket.write(head, 'latin1');
  }

  /** Bytes accepted but not yet with the kernel. */
  get bufferedBytes(): number {
    return this.socket.writableLength + this.pendingHead.length;
  }

  /** Counted: reading stops at the first hold and goes on when all are released. */
  hold(): void {
    if (this.holds++ === 0) this.socket.pause();
  }

  release(): void {
    if (--this.holds === 0 && !this.closed) this.socket.resume();
  }

  /** Half-closes after what was written. */
  end(): void {
    if (this.ended || this.closed) return;
    this.flush();
    this.ended = true;
    this.socket.end();
  }

  /** Closes at once; unsent bytes are dropped. */
  destroy(): void {
    if (!this.closed) this.socket.destroy();
  }

  /** Closes with a TCP reset. */
  reset(): void {
    if (!this.closed) this.socket.resetAndDestroy();
  }
}
