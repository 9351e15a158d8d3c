// The timers of one stream. An HTTP/1 connection has one set and lends it to each of its streams in turn,
// so that a request costs no timer objects.

import { Deadline } from '../util/deadline.ts';
import type { Runtime } from '../util/runtime.ts';
import type { TimerWheel, WheelTimer } from '../util/timer-wheel.ts';
import type { ManagedStream } from './managed-stream.ts';
import { endByTime, HEADERS_TIMEOUT, IDLE_TIMEOUT, MAX_DURATION, REQUEST_TIMEOUT } from './time-limits.ts';

/** Timers are made when first read: most requests need two of them. */
export class StreamTimers {
  owner: ManagedStream | null;
  private readonly runtime: Runtime;
  private readonly wheel: TimerWheel;
  private idleTimer: WheelTimer | null;
  private requestTimer: Deadline | null;
  private headersTimer: Deadline | null;
  private durationTimer: Deadline | null;
  private routeTimer: Deadline | null;
  private perTryTimer: Deadline | null;
  private perTryIdleTimer: Deadline | null;
  private attemptTimer: Deadline | null;
  private retryTimer: Deadline | null;
  private logTimer: Deadline | null;

  constructor(runtime: Runtime, wheel: TimerWheel) {
    this.owner = null;
    this.runtime = runtime;
    this.wheel = wheel;
    this.idleTimer = null;
    this.requestTimer = null;
    this.headersTimer = null;
    this.durationTimer = null;
    this.routeTimer = null;
    this.perTryTimer = null;
    this.perTryIdleTimer = null;
    this.attemptTimer = null;
    this.retryTimer = null;
    this.logTimer = null;
  }

  /** `stream_idle_timeout`: refreshed by every piece in either direction. */
  get idle(): WheelTimer {
    this.idleTimer ??= this.wheel.timer(() => {
      if (this.owner !== null) endByTime(this.owner, IDLE_TIMEOUT);
    });
    return this.idleTimer;
  }
  get request(): Deadline {
    this.requestTimer ??= this.deadline((stream) => endByTime(stream, REQUEST_TIMEOUT));
    return this.requestTimer;
  }
  get headers(): Deadline {
    this.headersTimer ??= this.deadline((stream) => endByTime(stream, HEADERS_TIMEOUT));
    return this.headersTimer;
  }
  get duration(): Deadline {
    this.durationTimer ??= this.deadline((stream) => endByTime(stream, MAX_DURATION));
    return this.durationTimer;
  }
  get route(): Deadline {
    this.routeTimer ??= this.deadline((stream) => stream.request?.onRouteTimeout());
    return this.routeTimer;
  }
  get perTry(): Deadline {
    this.perTryTimer ??= this.deadline((stream) => stream.request?.onPerTryTimeout());
    return this.perTryTimer;
  }
  get perTryIdle(): Deadline {
    this.perTryIdleTimer ??= this.deadline((stream) => stream.request?.onPerTryIdle());
    return this.perTryIdleTimer;
  }
  get attempt(): Deadline {
    this.attemptTimer ??= this.deadline((stream) => stream.request?.onAttemptDuration());
    return this.attemptTimer;
  }
  get retry(): Deadline {
    this.retryTimer ??= this.deadline((stream) => stream.request?.onRetryTimer());
    return this.retryTimer;
  }

  /** `access_log_flush_interval`. */
  get log(): Deadline {
    this.logTimer ??= this.deadline((stream) => stream.onLogTimer());
    return this.logTimer;
  }

  /** Stops all and forgets the owner. */
  cancel(): void {
    this.owner = null;
    this.idleTimer?.cancel();
    this.requestTimer?.cancel();
    this.headersTimer?.cancel();
    this.durationTimer?.cancel();
    this.routeTimer?.cancel();
    this.perTryTimer?.cancel();
    this.perTryIdleTimer?.cancel();
    this.attemptTimer?.cancel();
    this.retryTimer?.cancel();
    this.logTimer?.cancel();
  }

  private deadline(fire: (stream: ManagedStream) => void): Deadline {
    return new Deadline(this.runtime, this.wheel, () => {
      if (this.owner !== null) fire(this.owner);
    });
  }
}
