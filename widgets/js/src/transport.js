// One HTTP exchange after the other: addresses, headers, time, second attempts, errors.

import {
  ChromaConnectionError,
  ChromaError,
  ChromaInvalidArgumentError,
  ChromaOverloadedError,
  ChromaServerError,
  ChromaTimeoutError,
  errorOf,
} from "./errors.js";
import { decode, encode } from "./json.js";

/** @typedef {{ signal?: AbortSignal, timeout?: number }} Limits */

/**
 * @typedef {object} Exchange
 * @property {Record<string, unknown>} [body]
 * @property {Record<string, string | number | undefined>} [query]
 * @property {boolean} [again] twice does what once does: it may be sent again
 * @property {Limits} [limits]
 */

/** @typedef {typeof globalThis.fetch} Fetch */

export class Transport {
  #base;
  #headers;
  #fetchOptions;
  #fetch;
  #timeout;
  #retries;
  /** @type {Promise<Record<string, unknown>> | undefined} */
  #abilities;

  /**
   * @param {object} options
   * @param {string} options.base
   * @param {Record<string, string>} options.headers
   * @param {Record<string, any>} options.fetchOptions
   * @param {Fetch} options.fetch
   * @param {number} options.timeout in milliseconds
   * @param {number} options.retries
   */
  constructor({ base, headers, fetchOptions, fetch, timeout, retries }) {
    this.#base = base;
    this.#headers = headers;
    this.#fetchOptions = fetchOptions;
    this.#fetch = fetch;
    this.#timeout = checkedTimeout(timeout);
    this.#retries = retries;
  }

  /**
   * The value that the server answers.
   *
   * @param {string} method
   * @param {string} path below /api/v1
   * @param {Exchange} [exchange]
   * @returns {Promise<any>}
   */
  async call(method, path, { body, query = {}, again = method === "GET", limits = {} } = {}) {
    const asked = Object.entries(query).filter(([, value]) => value !== undefined);
    const parameters = new URLSearchParams(asked.map(([name, value]) => [name, String(value)]));
    const url = `${this.#base}/api/v1${path}${asked.length > 0 ? `?${parameters}` : ""}`;
    const init = this.#init(method, body);
    const time = new Deadline(limits.timeout ?? this.#timeout, [limits.signal, this.#fetchOptions.signal]);
    try {
      for (let attempt = 0; ; attempt += 1) {
        try {
          return await this.#once(url, { ...init, signal: time.signal });
        } catch (error) {
          if (time.signal.aborted) throw time.reason(this.#base);
          if (!again || attempt >= this.#retries || !isPassing(error)) throw error;
          await time.pause(pauseBefore(attempt, error));
          if (time.signal.aborted) throw time.reason(this.#base);
        }
      }
    } finally {
      time.clear();
    }
  }

  /** Whether vectors may be sent as base64. Chroma's own servers of API v1 cannot take it. */
  async packs(/** @type {Limits} */ limits) {
    this.#abilities ??= this.call("GET", "/pre-flight-checks", { limits });
    try {
      return (await this.#abilities)?.supports_base64_encoding === true;
    } catch (error) {
      if (error instanceof ChromaError && error.status === 404) return false;
      this.#abilities = undefined;
      throw error;
    }
  }

  /**
   * @param {string} method
   * @param {Record<string, unknown> | undefined} body
   */
  #init(method, body) {
    const headers = new Headers(this.#fetchOptions.headers);
    for (const [name, value] of Object.entries(this.#headers)) headers.set(name, value);
    if (body !== undefined) headers.set("Content-Type", "application/json");
    // A redirected POST would arrive as a GET.
    const redirect = this.#fetchOptions.redirect ?? "error";
    return { ...this.#fetchOptions, method, headers, redirect, body: body === undefined ? undefined : encode(body) };
  }

  /**
   * @param {string} url
   * @param {Record<string, any>} init
   */
  async #once(url, init) {
    let response;
    let text;
    try {
      response = await this.#fetch(url, init);
      text = await response.text();
    } catch (cause) {
      throw new ChromaConnectionError(
        `No answer from ${this.#base} (${reasonOf(cause)}). Is a server running there, and may this page ask it?` +
          (init.method === "GET" ? "" : " The request may or may not have been carried out."),
        { cause },
      );
    }
    if (!response.ok) throw errorOf(response.status, text, response.headers.get("Retry-After"));
    try {
      return decode(text);
    } catch (cause) {
      const about = { status: response.status, cause };
      const said = text.slice(0, 200);
      throw new ChromaServerError(`${this.#base} answers, but not as a Chroma server does: ${said}`, about);
    }
  }
}

/** The time that a call has, and the signals that end it. */
class Deadline {
  #controller = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {AbortSignal[]} */
  #signals;
  #ms;
  #late = false;

  /**
   * @param {number} ms
   * @param {(AbortSignal | null | undefined)[]} signals
   */
  constructor(ms, signals) {
    this.#ms = checkedTimeout(ms);
    this.#signals = signals.flatMap((signal) => signal ?? []);
    for (const signal of this.#signals) signal.addEventListener("abort", this.#end);
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
    for (const signal of this.#signals) signal.removeEventListener("abort", this.#end);
  }
}

/** @param {unknown} ms */
function checkedTimeout(ms) {
  if (typeof ms === "number" && ms >= 0) return ms;
  throw new ChromaInvalidArgumentError(`timeout is a number of milliseconds (0: none), got ${String(ms)}`);
}

/**
 * Whether another attempt may succeed.
 *
 * @param {unknown} error
 */
function isPassing(error) {
  if (error instanceof ChromaConnectionError || error instanceof ChromaOverloadedError) return true;
  return error instanceof ChromaServerError && (error.status === 502 || error.status === 504);
}

/**
 * Milliseconds before the next attempt; different ones for each caller, so that they do not come back together.
 *
 * @param {number} attempt
 * @param {unknown} error
 */
function pauseBefore(attempt, error) {
  const asked = error instanceof ChromaOverloadedError ? (error.retryAfter ?? 0) * 1000 : 0;
  return Math.min(Math.max(asked, 0), 10_000) + 100 * 3 ** attempt * (0.5 + Math.random());
}

/** @param {unknown} error */
function reasonOf(error) {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? error.cause : undefined;
  // Node tries several addresses of a name, and then has one error for each and no message.
  const code = cause !== undefined && "code" in cause ? String(cause.code) : "";
  return [error.message, cause?.message || code].filter(Boolean).join(": ");
}
