// How long a call may take, and who may end it.

import { ChromaInvalidArgumentError, ChromaTimeoutError } from "./errors.js";

/** @type {WeakMap<AbortSignal, Set<() => void>>} */
const WATCHED = new WeakMap();

/** The time that a call has, and the signals that end it. */
export class Deadline {
  #controller = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {AbortSignal[]} */
  #signals;
  /** @type {(() => void)[]} */
  #unwatch;
  #ms;
  #late = false;

  /**
   * @param {number} ms
   * @param {(AbortSignal | null | undefined)[]} signals
   */
  constructor(ms, signals) {
    this.#ms = checkedTimeout(ms);
    this.#signals = signals.flatMap((signal) => signal ?? []);
    this.#unwatch = this.#signals.map((signal) => watch(signal, this.#end));
    if (this.#signals.some((signal) => signal.aborted)) this.#end();
    if (ms > 0 && ms < 2 ** 31) {
      this.#timer = setTimeout(() => {
        this.#late = true;
        this.#end();
      }, ms);
    }
  }

  get signal() {
    return this.#controller.signal;
  }

  #end = () => this.#controller.abort();

  /**
   * What to throw once the signal has fired: the caller's own reason, if it was the caller.
   *
   * @param {string} base
   */
  reason(base) {
    const fired = this.#signals.find((signal) => signal.aborted);
    if (fired !== undefined && !this.#late) return fired.reason;
    return new ChromaTimeoutError(`No answer from ${base} within ${this.#ms / 1000} s (the option timeout).`);
  }

  /**
   * @param {number} ms
   * @returns {Promise<void>}
   */
  pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      const signal = this.signal;
      signal.addEventListener("abort", done);
      function done() {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      }
    });
  }

  clear() {
    clearTimeout(this.#timer);
    for (const unwatch of this.#unwatch) unwatch();
  }
}

/**
 * Call a function when a signal fires. One listener for all calls: of more than ten on one signal Node.js warns.
 *
 * @param {AbortSignal} signal
 * @param {() => void} end
 * @returns {() => void} what stops the watch
 */
function watch(signal, end) {
  const ends = WATCHED.get(signal) ?? new Set();
  if (!WATCHED.has(signal)) {
    WATCHED.set(signal, ends);
    signal.addEventListener("abort", () => ends.forEach((other) => other()), { once: true });
  }
  ends.add(end);
  return () => void ends.delete(end);
}

/** @param {unknown} ms */
export function checkedTimeout(ms) {
  if (typeof ms === "number" && ms >= 0) return ms;
  throw new ChromaInvalidArgumentError(`timeout is a number of milliseconds (0: none), got ${String(ms)}`);
}
