// The handle below a socket, called without the socket's stream machinery.
//
// Measured at 32 connections of HTTP/1.1: `Writable` and the bookkeeping of `net.Socket` cost 6–8 % of a request's CPU.
// Private to Node: what is not exactly as expected is left alone, and the socket is used in the usual way.

import type { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';

/** A write that the kernel has not taken whole yet; Node makes it. */
export interface WriteRequest {
  oncomplete: (this: WriteRequest, status: number) => void;
  /** Set when the write ended before `oncomplete` was there. */
  writeStatus: number | null;
  /** What OpenSSL says of a failure. */
  readonly error?: string;
  // Ours:
  owner: WriteOwner;
  /** Must live until the write is done. */
  data: WriteData;
  bytes: number;
  giveBack: (() => void) | null;
}

export type WriteData = string | Uint8Array | readonly (string | Uint8Array)[];

/** Told how a write that had to wait ended. */
export interface WriteOwner {
  onWritten(request: WriteRequest, status: number): void;
}

/** A TCP, pipe or TLS handle. Writes return 0 (done), a negative error, or what goes on in the background. */
export interface StreamHandle {
  readonly isStreamBase: boolean;
  writeLatin1String(request: null, text: string): number | WriteRequest;
  writeBuffer(request: null, bytes: Uint8Array): number | WriteRequest;
  /** @param chunks pieces, each followed by its encoding */
  writev(request: null, chunks: readonly unknown[], allBuffers: boolean): number | WriteRequest;
  onread: (this: StreamHandle, bytes: ArrayBuffer | undefined) => unknown;
}

interface StreamBinding {
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kLastWriteErr: number;
}

function findBinding(): StreamBinding | null {
  try {
    const { binding } = process as unknown as { readonly binding: (name: string) => Partial<StreamBinding> };
    const { streamBaseState, kReadBytesOrError, kLastWriteErr } = binding.call(process, 'stream_wrap');
    const known = typeof kReadBytesOrError === 'number' && typeof kLastWriteErr === 'number';
    return streamBaseState instanceof Int32Array && known
      ? { streamBaseState, kReadBytesOrError, kLastWriteErr }
      : null;
  } catch {
    return null;
  }
}

const binding = findBinding();
const state = binding?.streamBaseState ?? new Int32Array(1);
const READ_BYTES = binding?.kReadBytesOrError ?? 0;
const WRITE_ERROR = binding?.kLastWriteErr ?? 0;

/** Bytes of the read that `onread` is told of; negative = an error or the end. */
export function readLength(): number {
  return state[READ_BYTES] as number;
}

/** Why the write that has just returned a request failed; 0 = it did not. */
export function writeError(): number {
  return state[WRITE_ERROR] as number;
}

/** The handle of a socket that is connected; `null` when it has none (any more), or a foreign one. */
export function handleOf(socket: Socket): StreamHandle | null {
  return (socket as unknown as { readonly _handle?: StreamHandle | null })._handle ?? null;
}

/** Whether the handle can be called as this module's types say. */
export function isUsable(handle: StreamHandle): boolean {
  return (
    binding !== null &&
    handle.isStreamBase === true &&
    typeof handle.writeLatin1String === 'function' &&
    typeof handle.writeBuffer === 'function' &&
    typeof handle.writev === 'function' &&
    typeof handle.onread === 'function'
  );
}

/** The error that the socket itself would have had. @param detail of OpenSSL */
export function socketError(status: number, call: string, detail?: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(status);
  const text = detail === undefined || detail === '' ? `${call} ${code}` : `${call} ${code} ${detail}`;
  return Object.assign(new Error(text), { errno: status, code, syscall: call });
}
