// JSON that keeps whole numbers whole. JavaScript's numbers skip integers beyond 2^53: such integers leave as bigint
// only, and come as bigint.

import { ChromaInvalidArgumentError } from "./errors.js";
import { isRecord, kindOf } from "./kinds.js";

const VECTORS = new Set(["embeddings", "query_embeddings"]);
const LARGEST = 2n ** 63n - 1n;
const MAY_BE_LARGE = /(?<![\d.])\d{16,}(?![\d.eE])/;
const NUMBER = /-?\d+(\.\d+)?([eE][+-]?\d+)?/y;

/**
 * The text of a request. Vectors, which are checked where they come in, skip the checks: these take ten times as long
 * as the writing.
 *
 * @param {Record<string, unknown>} body
 * @returns {string}
 */
export function encode(body) {
  const fields = Object.entries(body)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${JSON.stringify(key)}:${VECTORS.has(key) ? JSON.stringify(value) : checked(key, value)}`);
  return `{${fields.join(",")}}`;
}

/**
 * @param {string} field
 * @param {unknown} value
 * @returns {string}
 */
function checked(field, value) {
  const mark = newMark();
  let marked = false;
  const text = JSON.stringify(value, function replace(key, written) {
    const given = /** @type {any} */ (this)[key]; // before toJSON: dates are not texts here
    refuse(given, key === "" ? field : `${field}, at ${JSON.stringify(key)}`);
    if (typeof given !== "bigint") return written;
    marked = true;
    return mark + given;
  });
  return marked ? text.replaceAll(new RegExp(`"${mark}(-?\\d+)"`, "g"), "$1") : text;
}

/**
 * @param {unknown} value
 * @param {string} where
 */
function refuse(value, where) {
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new ChromaInvalidArgumentError(`${where}: ${value} cannot be stored`);
    if (Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) < 1e21) {
      throw new ChromaInvalidArgumentError(
        `${where}: ${value} is beyond 2^53, where numbers skip integers. Give a bigint (written with an n) or a text.`,
      );
    }
  } else if (typeof value === "bigint") {
    if (value > LARGEST || value < -LARGEST - 1n) {
      throw new ChromaInvalidArgumentError(`${where}: ${value} does not fit in 64 bits. Give a text.`);
    }
  } else if (typeof value === "function" || typeof value === "symbol" || isInstance(value)) {
    throw new ChromaInvalidArgumentError(`${where}: a ${kindOf(value)} cannot be stored. Give a text or a number.`);
  }
}

/** @param {unknown} value */
function isInstance(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isRecord(value);
}

/**
 * The value of an answer.
 *
 * @param {string} text
 * @returns {any}
 * @throws {SyntaxError} it is not JSON
 */
export function decode(text) {
  if (!MAY_BE_LARGE.test(text)) return JSON.parse(text);
  const mark = newMark();
  return JSON.parse(markLarge(text, mark), (_, value) =>
    typeof value === "string" && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value,
  );
}

/**
 * Each integer beyond 2^53 as a string that begins with a mark.
 *
 * @param {string} text
 * @param {string} mark
 */
function markLarge(text, mark) {
  const parts = [];
  let written = 0;
  let at = 0;
  while (at < text.length) {
    const char = text.charCodeAt(at);
    if (char === 0x22) {
      at = endOfString(text, at);
    } else if (char === 0x2d || (char >= 0x30 && char <= 0x39)) {
      NUMBER.lastIndex = at;
      const [number, fraction, exponent] = NUMBER.exec(text) ?? [text[at]];
      if (!fraction && !exponent && !Number.isSafeInteger(Number(number))) {
        parts.push(text.slice(written, at), `"${mark}${number}"`);
        written = at + number.length;
      }
      at += number.length;
    } else {
      at += 1;
    }
  }
  return parts.join("") + text.slice(written);
}

/**
 * The position after the string that begins here.
 *
 * @param {string} text
 * @param {number} start
 */
function endOfString(text, start) {
  let at = start + 1;
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote < 0) return text.length;
    const escape = text.indexOf("\\", at);
    if (escape < 0 || escape > quote) return quote + 1;
    at = escape + 2;
  }
}

// Drawn anew for each text, so that no stored text can pass for a number.
function newMark() {
  return `integer ${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)} `;
}
