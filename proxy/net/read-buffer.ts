// One read buffer for all sockets of a thread, instead of a fresh 64 KiB allocation per read.
//
// Measured with a bare relay at 32 connections: 10–15 % less CPU a request, and idle connections own no buffer. Dialled
// sockets use the documented `onread` option. Accepted ones ignore it, so their handle is moved to a new `net.Socket`
// through private fields, and TLS sockets of a server are told the buffer through those that the option itself sets:
// where they are not as expected the socket is returned as it was and reads in the usual way.

import { type OnReadOpts, type Server, Socket } from 'node:net';
import { isPassing } from '../util/passing-bytes.ts';
import { handleOf, isUsable, readLength } from './stream-handle.ts';

/** Bytes of one read at most; Node's own size. */
const READ_BUFFER_BYTES = 65_536;

const NOTHING = Buffer.alloc(0);

const shared = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
const SLOT = Symbol('read slot');
const EARLY = Symbol('early bytes');

/** Where a socket's bytes go; the chunk is overwritten by the next read of any socket. */
export interface ReadSlot {
  onBytes: ((chunk: Buffer) => void) | null;
  /** Until its first bytes: then its handle is known, and tells its reads itself. */
  unread: Socket | null;
}

/** Reads up to this size get a view that is made once. */
const KEPT_VIEW_BYTES_MAX = 4_096;
const keptViews = new Array<Buffer | null>(KEPT_VIEW_BYTES_MAX + 1).fill(null);

/** The first bytes of the shared buffer. */
function firstBytes(length: number): Buffer {
  if (length > KEPT_VIEW_BYTES_MAX) return shared.subarray(0, length);
  const kept = keptViews[length] ?? null;
  if (kept !== null) return kept;
  const view = shared.subarray(0, length);
  keptViews[length] = view;
  return view;
}

/**
 * Has the handle tell its bytes here; its ends and errors go the usual way. A function for each connection, because
 * looking the slot up on the handle stays generic where handles of TCP and of TLS do it (measured: 3 % of a request).
 */
function readDirectly(socket: Socket, slot: ReadSlot): void {
  const handle = handleOf(socket);
  if (handle === null || !isUsable(handle)) return;
  const ordinary = handle.onread;
  // Whatever it returned would be the next buffer.
  handle.onread = (bytes) => {
    const length = readLength();
    if (length > 0) slot.onBytes?.(firstBytes(length));
    else ordinary.call(handle, bytes);
  };
}

/** The private part of `net.Socket` that moving a handle needs. */
interface SocketInside {
  _handle: { reading?: boolean; readStop?: () => number; useUserBuffer?: (buffer: Buffer) => void } | null;
  _server: Server | null;
  server: Server | null;
  [SLOT]?: ReadSlot;
  [EARLY]?: EarlyBytes | null;
}

function slotOptions(slot: ReadSlot): OnReadOpts {
  return {
    buffer: shared,
    callback: (bytes) => {
      const { unread } = slot;
      slot.unread = null;
      if (unread !== null) readDirectly(unread, slot);
      slot.onBytes?.(firstBytes(bytes));
      return true;
    },
  };
}

/** Options for `net.connect`, and what to do with its socket before it connects. */
export function readIntoShared(): { readonly onread: OnReadOpts; attach(socket: Socket): void } {
  const slot: ReadSlot = { onBytes: null, unread: null };
  return {
    onread: slotOptions(slot),
    attach: (socket) => {
      slot.unread = socket;
      (socket as unknown as SocketInside)[SLOT] = slot;
    },
  };
}

/**
 * Makes an accepted socket read into the shared buffer. Call it before anything listens on the socket.
 * @returns the socket to use from now on; the given one is dead when they differ
 */
export function adoptForShared(socket: Socket): Socket {
  const inside = socket as unknown as SocketInside;
  const handle = inside._handle;
  if (inside[SLOT] !== undefined || handle == null || typeof handle.readStop !== 'function') return socket;
  if ('encrypted' in socket) {
    readSecuredIntoShared(socket);
    return socket;
  }
  if (socket.connecting || socket.readableLength > 0 || Object.getPrototypeOf(socket) !== Socket.prototype)
    return socket;
  handle.readStop();
  handle.reading = false;
  inside._handle = null;
  const slot: ReadSlot = { onBytes: null, unread: null };
  const fresh = new Socket({
    handle,
    allowHalfOpen: socket.allowHalfOpen,
    onread: slotOptions(slot),
  } as ConstructorParameters<typeof Socket>[0]);
  const freshInside = fresh as unknown as SocketInside;
  freshInside[SLOT] = slot;
  slot.unread = fresh;
  // The server counts its connections until they close; the count moves along.
  freshInside._server = inside._server;
  freshInside.server = inside.server;
  inside._server = null;
  inside.server = null;
  return fresh;
}

/** What the option `onread` of `net.Socket` sets, by the names of its symbols; `null` = not as expected. */
interface OnReadSymbols {
  readonly buffer: symbol;
  readonly callback: symbol;
}

let onReadSymbols: OnReadSymbols | null | undefined;

function findOnReadSymbols(socket: Socket): OnReadSymbols | null {
  const symbols = Object.getOwnPropertySymbols(socket);
  const buffer = symbols.find(({ description }) => description === 'kBuffer');
  const callback = symbols.find(({ description }) => description === 'kBufferCb');
  return buffer === undefined || callback === undefined ? null : { buffer, callback };
}

/** Has a server's TLS socket decrypt into the shared buffer, if nothing was read from it yet. */
function readSecuredIntoShared(socket: Socket): void {
  onReadSymbols ??= findOnReadSymbols(socket);
  const inside = socket as unknown as SocketInside & Record<symbol, unknown>;
  const handle = inside._handle;
  if (onReadSymbols === null || handle === null || typeof handle.useUserBuffer !== 'function') return;
  const { buffer, callback } = onReadSymbols;
  if (socket.readableLength > 0 || inside[buffer] !== null || inside[callback] !== null) return;
  const slot: ReadSlot = { onBytes: null, unread: socket };
  inside[buffer] = shared;
  inside[callback] = slotOptions(slot).callback;
  inside[SLOT] = slot;
  handle.useUserBuffer(shared);
}

/** Bytes that were read to choose who serves a socket; whoever serves it must get them first. */
interface EarlyBytes {
  bytes: Buffer;
  /** Set by the reader that took the socket over. */
  deliver: (() => void) | null;
}

/** Gives bytes back to a socket, for its next reader. They may be a view that holds until this turn of the loop ends. */
export function giveBack(socket: Socket, bytes: Buffer): void {
  (socket as unknown as SocketInside)[EARLY] = { bytes, deliver: null };
}

/** The bytes given back, which are then the caller's to deliver; empty when there are none. */
export function takeEarly(socket: Socket): Buffer {
  const inside = socket as unknown as SocketInside;
  const early = inside[EARLY] ?? null;
  if (early === null) return NOTHING;
  const { bytes } = early;
  early.bytes = NOTHING;
  return bytes;
}

/** Whether bytes were given back and nobody took them. */
export function hasEarly(socket: Socket): boolean {
  return ((socket as unknown as SocketInside)[EARLY]?.bytes.length ?? 0) > 0;
}

/**
 * Closes a socket at once. As the kernel does with what nobody reads, bytes that were given back end it with a reset;
 * Unix sockets have none.
 */
export function closeUnread(socket: Socket): void {
  if (hasEarly(socket) && socket.remoteAddress !== undefined) socket.resetAndDestroy();
  else socket.destroy();
}

/** Asks for a call of `deliver` when the socket's new reader is complete. */
export function onEarly(socket: Socket, deliver: () => void): void {
  const early = (socket as unknown as SocketInside)[EARLY] ?? null;
  if (early !== null) early.deliver = deliver;
}

/** The new reader is complete: it gets what was given back. */
export function deliverEarly(socket: Socket): void {
  const inside = socket as unknown as SocketInside;
  const early = inside[EARLY] ?? null;
  if (early === null) return;
  inside[EARLY] = null;
  early.deliver?.();
}

/**
 * Puts what was given back into the socket's own readable buffer, where a reader that knows nothing of this module
 * finds it (`tls.Server`), and what is read from now on behind it.
 */
export function unshiftEarly(socket: Socket): void {
  const slot = readSlot(socket);
  if (slot !== null) slot.onBytes = (chunk) => void socket.push(Buffer.from(chunk));
  const bytes = takeEarly(socket);
  if (bytes.length > 0) socket.unshift(keepBytes(bytes));
}

/** Bytes that outlive the next read: a copy of what is a view of the shared buffer. */
export function keepBytes(chunk: Buffer): Buffer {
  return isShared(chunk) ? Buffer.from(chunk) : chunk;
}

/** The slot of a socket that reads into the shared buffer, or `null`. */
export function readSlot(socket: Socket): ReadSlot | null {
  return (socket as unknown as SocketInside)[SLOT] ?? null;
}

/** Whether bytes are a view of a buffer that the next read, or the next piece that passes, overwrites. */
export function isShared(chunk: Uint8Array): boolean {
  return chunk.buffer === shared.buffer || isPassing(chunk);
}
