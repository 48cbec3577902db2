// One HTTP exchange after the other: addresses, headers, time, second attempts, errors.

import { Deadline, checkedTimeout } from "./deadline.js";
import {
  ChromaConnectionError,
  ChromaInvalidArgumentError,
  ChromaNotFoundError,
  ChromaOverloadedError,
  ChromaServerError,
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
  /** @type {boolean | undefined} */
  #packs;

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
    this.#headers = headersOf(fetchOptions.headers, headers);
    this.#fetchOptions = fetchOptions;
    this.#fetch = fetch;
    this.#timeout = checkedTimeout(timeout);
    if (!Number.isInteger(retries) || retries < 0) {
      throw new ChromaInvalidArgumentError(`retries is a number of attempts (0: none), got ${String(retries)}`);
    }
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
    // Not one request for all that wait: the signal of one caller would end it for the others.
    this.#packs ??= (await this.#abilities(limits))?.supports_base64_encoding === true;
    return this.#packs;
  }

  /** @param {Limits} limits */
  async #abilities(limits) {
    try {
      return await this.call("GET", "/pre-flight-checks", { limits });
    } catch (error) {
      if (error instanceof ChromaNotFoundError) return undefined;
      throw error;
    }
  }

  /**
   * @param {string} method
   * @param {Record<string, unknown> | undefined} body
   */
  #init(method, body) {
    const headers = new Headers(this.#headers);
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

/**
 * @param {any} general
 * @param {Record<string, string>} own
 * @returns {Headers}
 */
function headersOf(general, own) {
  const headers = new Headers(general);
  for (const [name, value] of Object.entries(own)) {
    try {
      headers.set(name, value);
    } catch {
      // The reason that fetch gives quotes the value, which may be a secret.
      throw new ChromaInvalidArgumentError(`The header ${JSON.stringify(name)} has a name or value that HTTP forbids`);
    }
  }
  return headers;
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
