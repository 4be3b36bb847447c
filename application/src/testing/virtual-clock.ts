// SPDX-License-Identifier: Apache-2.0

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly fire: () => void;
}

/** What a timer is known by outside; node's own has these methods. */
interface Handle {
  readonly order: number;
  ref(): Handle;
  unref(): Handle;
  hasRef(): boolean;
}

interface RealTime {
  readonly setTimeout: typeof setTimeout;
  readonly clearTimeout: typeof clearTimeout;
  readonly dateNow: () => number;
  readonly performanceNow: () => number;
  readonly abortTimeout: typeof AbortSignal.timeout;
}

/** Turns of the event loop without any work before nothing is taken to be under way. */
const QUIET_TURNS = 3;
/** Real time after which nothing under way and nothing to wait for counts as a standstill. */
const STANDSTILL_TURNS = 50;

/**
 * A clock that stands still while anything is under way and leaps to the next timer when nothing is, so that programs
 * which wait for deadlines run through in the time that their work takes. While it is installed `setTimeout`, `Date.now`,
 * `performance.now` and `AbortSignal.timeout` follow it. Work that the event loop does elsewhere (files, cryptography)
 * has to be made known with {@link busyWith}.
 */
export class VirtualClock {
  #nowMs: number;
  readonly #startMs: number;
  readonly #real: RealTime;
  readonly #timers = new Map<number, Timer>();
  #order = 0;
  #busy = 0;
  #activity = 0;
  #running = true;
  #limitMs = Number.POSITIVE_INFINITY;
  #onStandstill: (() => void) | undefined;

  private constructor(startMs: number, real: RealTime) {
    this.#nowMs = startMs;
    this.#startMs = startMs;
    this.#real = real;
  }

  /** Takes over the process's clock until {@link uninstall}. */
  static install(startMs: number): VirtualClock {
    const clock = new VirtualClock(startMs, {
      setTimeout: globalThis.setTimeout,
      clearTimeout: globalThis.clearTimeout,
      dateNow: Date.now,
      performanceNow: performance.now.bind(performance),
      abortTimeout: AbortSignal.timeout.bind(AbortSignal),
    });
    clock.#patch();
    void clock.#pump();
    return clock;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Lets the clock stand still until the work has ended. */
  async busyWith<T>(work: () => Promise<T>): Promise<T> {
    this.#busy += 1;
    this.#activity += 1;
    try {
      return await work();
    } finally {
      this.#busy -= 1;
      this.#activity += 1;
    }
  }

  /** Lets time go on while this waits for something that never comes by itself, inside of {@link busyWith}. */
  async idleWith<T>(waiting: Promise<T>): Promise<T> {
    this.#busy -= 1;
    try {
      return await waiting;
    } finally {
      this.#busy += 1;
    }
  }

  /**
   * Waits for a program to end.
   *
   * @throws Error where nothing is left that could end it, or the virtual time is over.
   */
  async run<T>(program: Promise<T>, withinMs: number): Promise<T> {
    this.#limitMs = this.#nowMs + withinMs;
    const standstill = new Promise<never>((_, reject) => {
      this.#onStandstill = () => {
        reject(new Error(`the program stands still after ${String(this.#nowMs - this.#startMs)} virtual ms`));
      };
    });
    try {
      return await Promise.race([program, standstill]);
    } finally {
      this.#onStandstill = undefined;
      this.#limitMs = Number.POSITIVE_INFINITY;
    }
  }

  uninstall(): void {
    this.#running = false;
    this.#timers.clear();
    globalThis.setTimeout = this.#real.setTimeout;
    globalThis.clearTimeout = this.#real.clearTimeout;
    Date.now = this.#real.dateNow;
    performance.now = this.#real.performanceNow;
    AbortSignal.timeout = this.#real.abortTimeout;
  }

  #patch(): void {
    const set = (fire: (...values: unknown[]) => void, ms = 0, ...values: unknown[]): Handle =>
      this.#add(Math.max(1, ms), () => {
        fire(...values);
      });
    globalThis.setTimeout = set as unknown as typeof setTimeout;
    globalThis.clearTimeout = ((handle?: Handle) => {
      this.#timers.delete(handle?.order ?? -1);
    }) as typeof clearTimeout;
    Date.now = () => Math.floor(this.#nowMs);
    performance.now = () => this.#nowMs - this.#startMs;
    AbortSignal.timeout = (ms: number): AbortSignal => {
      const controller = new AbortController();
      this.#add(ms, () => {
        controller.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError'));
      });
      return controller.signal;
    };
  }

  #add(ms: number, fire: () => void): Handle {
    const order = this.#order++;
    this.#activity += 1;
    this.#timers.set(order, { atMs: this.#nowMs + ms, order, fire });
    const handle: Handle = { order, ref: () => handle, unref: () => handle, hasRef: () => true };
    return handle;
  }

  async #pump(): Promise<void> {
    let quiet = 0;
    let seen = -1;
    while (this.#running) {
      await new Promise((resolve) => setImmediate(resolve));
      quiet = this.#busy === 0 && seen === this.#activity ? quiet + 1 : 0;
      seen = this.#activity;
      const next = quiet < QUIET_TURNS ? undefined : this.#next();
      if (next !== undefined) {
        this.#timers.delete(next.order);
        this.#nowMs = Math.max(this.#nowMs, next.atMs);
        quiet = 0;
        next.fire();
      } else if (quiet > STANDSTILL_TURNS) {
        this.#onStandstill?.();
        // Nothing but the tests' own work may go on now; it need not be asked about often.
        await new Promise((resolve) => this.#real.setTimeout(resolve, 1));
      }
    }
  }

  /** The earliest timer, unless it lies beyond the limit. */
  #next(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers.values()) {
      if (next === undefined || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.order < next.order)) {
        next = timer;
      }
    }
    return next !== undefined && next.atMs <= this.#limitMs ? next : undefined;
  }
}
