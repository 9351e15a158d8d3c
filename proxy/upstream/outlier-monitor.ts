// What a worker notes about one host for outlier detection. As long as the host works well this is one count and one
// comparison a request; a failure moves the run that all workers share, and whoever makes it long enough tells the main
// thread, which decides (`outlier-detector.ts`).

import type { HeaderMap } from '../codec/headers.ts';
import type { ErrorMatchModel, OutlierModel } from '../config/model/outlier.ts';
import { httpStatusOfGrpc } from './grpc-status.ts';
import {
  DEGRADED,
  EJECTED,
  FAILED,
  LOCAL_FAILED,
  LOCAL_TOTAL,
  NOBODY,
  type OutlierCells,
  RUN_5XX,
  RUN_GATEWAY,
  RUN_LOCAL_ORIGIN,
  TOTAL,
} from './outlier-cells.ts';

/** What a worker has seen of a host that the main thread must judge. */
export type OutlierSign =
  | 'consecutive_5xx'
  | 'consecutive_gateway_failure'
  | 'consecutive_local_origin_failure'
  | 'degraded';

/** Tells the main thread. */
export type ReportOutlier = (cell: number, sign: OutlierSign) => void;

/** Tells an error from other answers by its head. */
export type IsError = (status: number, headers: HeaderMap) => boolean;

/** The part of outlier detection that a worker's clusters need; `null` = no cluster watches its hosts. */
export interface OutlierEnv {
  readonly cells: OutlierCells;
  readonly worker: number;
  readonly report: ReportOutlier;
  readonly compileErrors: (model: ErrorMatchModel) => IsError;
}

/** Statuses that a failure to reach a host counts as, unless such failures are judged apart. */
const CONNECTED = 200;
const UNREACHABLE = 503;
/** What an answer counts as that is only by its matcher an error. */
const FAILED_STATUS = 500;

/** See the head of this file. */
export class HostMonitor {
  readonly env: OutlierEnv;
  private readonly model: OutlierModel;
  private readonly shared: Int32Array;
  private readonly counts: Int32Array;
  private readonly isError: IsError | null;
  private cell: number;
  private at: number;
  private own: number;

  /** @param isError `null` = statuses of 500 and above are errors */
  constructor(env: OutlierEnv, model: OutlierModel, isError: IsError | null, cell: number) {
    this.env = env;
    this.model = model;
    this.isError = isError;
    this.shared = env.cells.shared;
    this.counts = env.cells.counts;
    this.cell = cell;
    this.at = env.cells.sharedAt(cell);
    this.own = env.cells.countsAt(cell, env.worker);
  }

  /** Whether it watches the host with one of these cells. */
  isOneOf(cells: readonly number[]): boolean {
    return cells.includes(this.cell);
  }

  get ejected(): boolean {
    return (this.env.cells.flags(this.cell) & EJECTED) !== 0;
  }

  get degraded(): boolean {
    return (this.env.cells.flags(this.cell) & DEGRADED) !== 0;
  }

  /** The host is gone: what its last requests say is nobody's, since another host may get the cell. */
  detach(): void {
    this.cell = NOBODY;
    this.at = this.env.cells.sharedAt(NOBODY);
    this.own = this.env.cells.countsAt(NOBODY, this.env.worker);
  }

  /** The head of a host's answer. @param isGrpc a status in the head is the one that counts */
  onAnswer(status: number, headers: HeaderMap, isGrpc: boolean): void {
    const { isError } = this;
    const code = isGrpc ? headers.get('grpc-status') : null;
    if (code !== null && code !== '') this.onStatus(httpStatusOfGrpc(code));
    else if (isError === null) this.onStatus(status);
    else if (!isError(status, headers)) this.onSuccess();
    else this.onStatus(status >= 500 ? status : FAILED_STATUS);
    if (this.model.detectDegradedHosts && headers.get('x-envoy-degraded') !== null && !this.degraded)
      this.tell('degraded');
  }

  /** The answer is none of those that are errors. */
  private onSuccess(): void {
    this.onStatus(CONNECTED);
    if (this.model.splitsLocalOrigin) this.localOriginSuccess();
  }

  /** The host has answered, or something happened that counts as if it had. */
  onStatus(status: number): void {
    const { counts, own, shared, at } = this;
    (counts[own + TOTAL] as number)++;
    if (status >= 500 && status < 600) this.onError(status);
    else if (((shared[at + RUN_5XX] as number) | (shared[at + RUN_GATEWAY] as number)) !== 0) {
      Atomics.store(shared, at + RUN_5XX, 0);
      Atomics.store(shared, at + RUN_GATEWAY, 0);
    }
  }

  /** A connection to the host was found for a request: only its answer will tell how it is. */
  onConnected(): void {
    if (this.model.splitsLocalOrigin) this.localOriginSuccess();
  }

  /** A connection whose success is all that can be known. */
  onConnectedFinally(): void {
    if (this.model.splitsLocalOrigin) this.localOriginSuccess();
    else this.onStatus(CONNECTED);
  }

  /** The host could not be reached, or broke off. */
  onUnreachable(): void {
    if (this.model.splitsLocalOrigin) this.localOriginFailure();
    else this.onStatus(UNREACHABLE);
  }

  /** The host did not answer in time. `status`: what the client gets. */
  onTimeout(status: number): void {
    if (this.model.splitsLocalOrigin) this.localOriginFailure();
    else this.onStatus(status);
  }

  private onError(status: number): void {
    const { shared, at, model } = this;
    (this.counts[this.own + FAILED] as number)++;
    if (status < 502 || status > 504) Atomics.store(shared, at + RUN_GATEWAY, 0);
    else if (Atomics.add(shared, at + RUN_GATEWAY, 1) + 1 === model.consecutiveGatewayFailure)
      this.tell('consecutive_gateway_failure');
    if (Atomics.add(shared, at + RUN_5XX, 1) + 1 === model.consecutive5xx) this.tell('consecutive_5xx');
  }

  private localOriginSuccess(): void {
    const { shared, at } = this;
    (this.counts[this.own + LOCAL_TOTAL] as number)++;
    if ((shared[at + RUN_LOCAL_ORIGIN] as number) !== 0) Atomics.store(shared, at + RUN_LOCAL_ORIGIN, 0);
  }

  private localOriginFailure(): void {
    const { shared, at, counts, own, model } = this;
    (counts[own + LOCAL_TOTAL] as number)++;
    (counts[own + LOCAL_FAILED] as number)++;
    if (Atomics.add(shared, at + RUN_LOCAL_ORIGIN, 1) + 1 === model.consecutiveLocalOriginFailure)
      this.tell('consecutive_local_origin_failure');
  }

  private tell(sign: OutlierSign): void {
    if (this.cell !== NOBODY) this.env.report(this.cell, sign);
  }
}
