// Whether a listener takes a connection while the process is overloaded: some are closed at once, and when none are to be
// accepted they wait, unread, as they would in the kernel's queue.

import type { Server, Socket } from 'node:net';
import { LISTENER_DOWNSTREAM_CX_OVERLOAD_REJECT } from '../observe/catalogue-listener.ts';
import type { ShedPoint } from '../observe/shed-point.ts';
import { type OverloadState, REJECT_CONNECTIONS, STOP_CONNECTIONS } from '../util/overload.ts';
import type { Runtime } from '../util/runtime.ts';

/** Connections of one listener and worker that may wait; more are closed. As many as a kernel's queue holds by default. */
const WAITING_MAX = 128;

/** Told to take a connection that waited. */
type Accept = (socket: Socket, addressIndex: number) => void;

/** See the head of this file. One per listener and worker. */
export class Gatekeeper {
  private readonly overload: OverloadState;
  private readonly runtime: Runtime;
  private readonly slots: Float64Array;
  private readonly shed: ShedPoint | null;
  private readonly accept: Accept;
  private readonly waiting: Map<Socket, number>;
  private stopped: boolean;

  /**
   * @param shed asked first; `null` = no load is shed there
   * @param slots of the listener's stats
   */
  constructor(overload: OverloadState, runtime: Runtime, shed: ShedPoint | null, slots: Float64Array, accept: Accept) {
    this.overload = overload;
    this.runtime = runtime;
    this.slots = slots;
    this.shed = shed;
    this.accept = accept;
    this.waiting = new Map();
    this.stopped = false;
  }

  /** Whether the connection is to be served now; otherwise it has been dealt with. */
  admits(socket: Socket, addressIndex: number): boolean {
    const { overload, runtime, waiting } = this;
    if (this.stopped) {
      if (waiting.size >= WAITING_MAX) socket.destroy();
      else {
        waiting.set(socket, addressIndex);
        socket.on('error', () => waiting.delete(socket));
      }
      return false;
    }
    if (this.shed?.sheds() !== true && !overload.applies(REJECT_CONNECTIONS, runtime)) return true;
    const at = LISTENER_DOWNSTREAM_CX_OVERLOAD_REJECT;
    this.slots[at] = (this.slots[at] as number) + 1;
    socket.destroy();
    return false;
  }

  /** Looks whether connections wait now, and lets in those that need not any more. */
  check(servers: readonly Server[]): void {
    this.stopped = this.overload.isSaturated(STOP_CONNECTIONS);
    // Nothing is read of a connection that waits: whoever serves it must see its first byte.
    for (const server of servers) (server as Server & { pauseOnConnect: boolean }).pauseOnConnect = this.stopped;
    if (this.stopped) return;
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const [socket, addressIndex] of waiting) {
      socket.removeAllListeners('error');
      this.accept(socket, addressIndex);
    }
  }

  close(): void {
    for (const socket of this.waiting.keys()) socket.destroy();
    this.waiting.clear();
  }
}
