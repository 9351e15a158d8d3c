// The handle below a socket, called without the socket's stream machinery.
//
// Measured at 32 connections of HTTP/1.1: `Writable` and the bookkeeping of `net.Socket` cost 6–8 % of a request's CPU.
// Private to Node: what is not exactly as expected is left alone, and the socket is used in the usual way.

import type { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';

/**
 * A write that is not done when the call returns. The names are those of the places that Node has for its own use: others
 * would change the object's shape with each write.
 */
export interface WriteRequest {
  oncomplete: ((this: WriteRequest, status: number) => void) | null;
  /** Set when the write ended before `oncomplete` was there. */
  writeStatus: number | null;
  /** What OpenSSL says of a failure. */
  readonly error?: string;
  handle: WriteOwner | null;
  /** Must live until the write is done; `null` where it need not. */
  buffer: WriteData | null;
  bytes: number;
  /** Takes the buffer back. */
  callback: (() => void) | null;
}

export type WriteData = string | Uint8Array | readonly (string | Uint8Array)[];

/** Told how a write that had to wait ended. */
export interface WriteOwner {
  onWritten(request: WriteRequest, status: number): void;
}

/**
 * A TCP, pipe or TLS handle. Writes return 0 (done), a negative error, or what goes on in the background. Those that are
 * given a request return 0 where they go on in the background.
 */
export interface StreamHandle {
  readonly isStreamBase: boolean;
  writeLatin1String(request: null, text: string): number | WriteRequest;
  writeBuffer(request: null, bytes: Uint8Array): number | WriteRequest;
  writeBuffer(request: WriteRequest, bytes: Uint8Array): number;
  /** @param chunks pieces, each followed by its encoding */
  writev(request: null, chunks: readonly unknown[], allBuffers: boolean): number | WriteRequest;
  onread: (this: StreamHandle, bytes: ArrayBuffer | undefined) => unknown;
}

interface StreamBinding {
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kLastWriteErr: number;
  /** `null` = requests are not as expected. */
  readonly WriteWrap: (new () => WriteRequest) | null;
}

function findBinding(): StreamBinding | null {
  try {
    const { binding } = process as unknown as { readonly binding: (name: string) => Partial<StreamBinding> };
    const { streamBaseState, kReadBytesOrError, kLastWriteErr, WriteWrap } = binding.call(process, 'stream_wrap');
    if (typeof kReadBytesOrError !== 'number' || typeof kLastWriteErr !== 'number') return null;
    const places = typeof WriteWrap === 'function' ? Object.keys(new WriteWrap()) : [];
    const known = ['oncomplete', 'handle', 'buffer', 'bytes', 'callback'].every((name) => places.includes(name));
    return streamBaseState instanceof Int32Array
      ? { streamBaseState, kReadBytesOrError, kLastWriteErr, WriteWrap: known ? (WriteWrap ?? null) : null }
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

/**
 * A request for many writes, one after the other: not again before its `oncomplete` has returned. `null` = Node must make
 * one each time.
 */
export function reusableRequest(owner: WriteOwner, oncomplete: WriteRequest['oncomplete']): WriteRequest | null {
  const Request = binding?.WriteWrap ?? null;
  if (Request === null) return null;
  const request = new Request();
  request.oncomplete = oncomplete;
  request.handle = owner;
  return request;
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
