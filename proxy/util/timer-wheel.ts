// A hashed timer wheel for coarse limits: idle times, connection and stream durations.
//
// Rule 1: a timer never fires early, and at most two ticks late; one armed just before the loop stalls may be late by
// the length of that stall, because nobody knows whether it was armed before or after.
// Rule 2: `start`, `refresh` and `cancel` are O(1), allocate nothing and do not ask the clock while the wheel turns.
// Rule 3: the wheel holds one native timer while any timer is armed, none otherwise.
// A refreshed timer stays where it is; when the hand reaches it, it is moved on to the slot of its new deadline.

import type { Runtime } from './runtime.ts';

/** Power of two; with the default tick one turn takes 102 s. */
const SLOTS = 1024;
const SLOT_MASK = SLOTS - 1;
/** Default length of a tick, milliseconds. */
export const TICK_MS_DEFAULT = 100;

/** One timer, made once by its owner and armed as often as needed. */
export class WheelTimer {
  private readonly wheel: TimerWheel;
  /** @internal */ readonly fire: () => void;
  /** @internal */ deadline: number;
  /** @internal */ previous: WheelTimer | null;
  /** @internal */ next: WheelTimer | null;
  /** @internal */ slot: number;
  /** Length in ticks. @internal */ ticks: number;

  constructor(wheel: TimerWheel, fire: () => void) {
    this.wheel = wheel;
    this.fire = fire;
    this.deadline = 0;
    this.previous = null;
    this.next = null;
    this.slot = -1;
    this.ticks = 0;
  }

  get armed(): boolean {
    return this.slot >= 0;
  }

  /** Arms for `ms` from now, also when armed already. */
  start(ms: number): void {
    this.ticks = Math.ceil(ms / this.wheel.tickMs) + 1;
    this.wheel.arm(this, this.ticks);
  }

  /** Begins the armed time anew; nothing when not armed. */
  refresh(): void {
    if (this.slot >= 0) this.deadline = this.wheel.tick + this.ticks;
  }

  /** Makes the armed time so long, counted from when it began; nothing when not armed. */
  resize(ms: number): void {
    if (this.slot < 0) return;
    const began = this.deadline - this.ticks;
    this.ticks = Math.ceil(ms / this.wheel.tickMs) + 1;
    // What should be over already is, with the next tick.
    this.wheel.arm(this, Math.max(1, began + this.ticks - this.wheel.tick));
  }

  cancel(): void {
    if (this.slot >= 0) this.wheel.disarm(this);
  }
}

/** See the head of this file. */
export class TimerWheel {
  readonly tickMs: number;
  /** The hand's position in ticks since the wheel was made. @internal */
  tick: number;
  private readonly runtime: Runtime;
  private readonly slots: (WheelTimer | null)[];
  private readonly originMs: number;
  private armedCount: number;
  private stop: (() => void) | null;
  private readonly turn: () => void;

  constructor(runtime: Runtime, tickMs: number = TICK_MS_DEFAULT) {
    this.tickMs = tickMs;
    this.tick = 0;
    this.runtime = runtime;
    this.slots = new Array<WheelTimer | null>(SLOTS).fill(null);
    this.originMs = runtime.nowMs();
    this.armedCount = 0;
    this.stop = null;
    this.turn = () => this.advance();
  }

  /** A timer that is not armed yet. */
  timer(fire: () => void): WheelTimer {
    return new WheelTimer(this, fire);
  }

  /** A timer armed for `ms`. */
  add(ms: number, fire: () => void): WheelTimer {
    const timer = new WheelTimer(this, fire);
    timer.start(ms);
    return timer;
  }

  /** Timers armed now. */
  get size(): number {
    return this.armedCount;
  }

  /** @internal */
  arm(timer: WheelTimer, ticks: number): void {
    if (this.stop === null) {
      // The wheel stood still: put the hand where the clock is before anything is measured from it.
      this.tick = this.clockTick();
      this.stop = this.runtime.after(this.tickMs, this.turn);
    }
    const deadline = this.tick + ticks;
    // A later deadline is found when the hand passes the timer's present slot.
    const movesOn = timer.slot >= 0 && deadline >= timer.deadline;
    timer.deadline = deadline;
    if (movesOn) return;
    if (timer.slot >= 0) this.unlink(timer);
    else this.armedCount++;
    this.link(timer);
  }

  /** @internal */
  disarm(timer: WheelTimer): void {
    this.unlink(timer);
    this.armedCount--;
  }

  private clockTick(): number {
    return Math.floor((this.runtime.nowMs() - this.originMs) / this.tickMs);
  }

  private link(timer: WheelTimer): void {
    const slot = timer.deadline & SLOT_MASK;
    const head = this.slots[slot] as WheelTimer | null;
    timer.slot = slot;
    timer.previous = null;
    timer.next = head;
    if (head !== null) head.previous = timer;
    this.slots[slot] = timer;
  }

  private unlink(timer: WheelTimer): void {
    const { previous, next } = timer;
    if (previous !== null) previous.next = next;
    else this.slots[timer.slot] = next;
    if (next !== null) next.previous = previous;
    timer.previous = null;
    timer.next = null;
    timer.slot = -1;
  }

  private advance(): void {
    const target = this.clockTick();
    // After a long stall one turn visits every slot once; deadlines are compared with the target.
    const first = Math.max(this.tick + 1, target - SLOT_MASK);
    if (target > this.tick + 1) this.measureAnew(this.tick, target);
    this.tick = Math.max(this.tick, target);
    // Armed again before the callbacks, so that one that throws does not stop the wheel.
    this.stop = this.armedCount > 0 ? this.runtime.after(this.tickMs, this.turn) : null;
    for (let tick = first; tick <= target; tick++) this.visit(tick & SLOT_MASK);
  }

  /**
   * What was armed while the hand stood still during a stall was measured from where it stood; it counts from the end of
   * the stall. Rare, so that arming need not ask the clock.
   */
  private measureAnew(stale: number, target: number): void {
    for (const head of this.slots)
      for (let timer = head; timer !== null; timer = timer.next)
        if (timer.deadline - timer.ticks === stale) timer.deadline = target + timer.ticks;
  }

  private visit(slot: number): void {
    for (let timer = this.slots[slot] as WheelTimer | null; timer !== null; ) {
      const next: WheelTimer | null = timer.next;
      if (timer.deadline > this.tick && (timer.deadline & SLOT_MASK) !== slot) {
        this.unlink(timer);
        this.link(timer);
      }
      timer = next;
    }
    // A callback may arm and cancel at will, so the list is read again after each.
    for (let due = this.firstDue(slot); due !== null; due = this.firstDue(slot)) {
      this.disarm(due);
      due.fire();
    }
  }

  private firstDue(slot: number): WheelTimer | null {
    for (let timer = this.slots[slot] as WheelTimer | null; timer !== null; timer = timer.next)
      if (timer.deadline <= this.tick) return timer;
    return null;
  }
}
