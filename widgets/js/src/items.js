// One-or-many arguments -> checked lists.

import { ChromaInvalidArgumentError } from "./errors.js";
import { isRecord, kindOf } from "./kinds.js";

/** @typedef {number[] | Float32Array | Float64Array} Vector */
/** @typedef {{ generate(texts: string[]): PromiseLike<ArrayLike<ArrayLike<number>>> }} Embedder */

// A float32 has the same bytes on the wire and in memory almost everywhere.
const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/**
 * @param {any} value
 * @returns {any[] | undefined}
 */
export function listed(value) {
  return value === undefined || Array.isArray(value) ? value : [value];
}

/**
 * The items of an add, update or upsert.
 *
 * @param {string} call
 * @param {Record<string, any>} fields
 * @param {Embedder | undefined} embedder
 */
export async function items(call, fields, embedder) {
  const ids = checkedIds(call, listed(fields.ids));
  const documents = texts(call, "documents", listed(fields.documents));
  const metadatas = records(call, listed(fields.metadatas));
  let embeddings = vectors(call, "embeddings", fields.embeddings);
  for (const [name, column] of Object.entries({ embeddings, metadatas, documents })) {
    if (column !== undefined && column.length !== ids.length) {
      throw new ChromaInvalidArgumentError(`${call}: ${column.length} ${name} for ${ids.length} ids`);
    }
  }
  if (documents !== undefined && embeddings === undefined) embeddings = await embedded(call, documents, embedder);
  return { ids, embeddings, metadatas, documents };
}

/**
 * @param {string} call
 * @param {unknown[] | undefined} ids
 * @returns {string[]}
 */
function checkedIds(call, ids) {
  if (ids === undefined || ids.length === 0) throw new ChromaInvalidArgumentError(`${call}: needs ids`);
  const seen = new Set();
  for (const [position, id] of ids.entries()) {
    if (typeof id !== "string") {
      throw new ChromaInvalidArgumentError(`${call}: ids are strings, got a ${kindOf(id)} at position ${position}`);
    }
    if (seen.has(id)) {
      const about = { code: "DuplicateID" };
      throw new ChromaInvalidArgumentError(`${call}: the id ${JSON.stringify(id)} stands twice`, about);
    }
    seen.add(id);
  }
  return /** @type {string[]} */ (ids);
}

/**
 * @param {string} call
 * @param {string} name
 * @param {unknown[] | undefined} values
 * @returns {(string | null)[] | undefined}
 */
export function texts(call, name, values) {
  return values?.map((value, position) => {
    if (typeof value === "string") return value;
    if (value === null || value === undefined) return null;
    const kind = kindOf(value);
    throw new ChromaInvalidArgumentError(`${call}: ${name} are strings, got a ${kind} at position ${position}`);
  });
}

/**
 * @param {string} call
 * @param {unknown[] | undefined} values
 */
function records(call, values) {
  return values?.map((value, position) => {
    if (value === null || value === undefined) return null;
    if (isRecord(value)) return value;
    const kind = kindOf(value);
    throw new ChromaInvalidArgumentError(`${call}: metadatas are objects, got a ${kind} at position ${position}`);
  });
}

/**
 * Vectors, of one or many.
 *
 * @param {string} call
 * @param {string} name
 * @param {any} value
 * @returns {Vector[] | undefined}
 */
export function vectors(call, name, value) {
  if (value === undefined) return undefined;
  const one = ArrayBuffer.isView(value) || (Array.isArray(value) && typeof value[0] === "number");
  const rows = one ? [value] : value;
  if (!Array.isArray(rows)) {
    throw new ChromaInvalidArgumentError(`${call}: ${name} are arrays of numbers, got a ${kindOf(value)}`);
  }
  for (const [position, row] of rows.entries()) checkVector(`${call}: ${name}, at position ${position}`, row);
  return rows;
}

/**
 * @param {string} where
 * @param {any} row
 */
function checkVector(where, row) {
  const typed = ArrayBuffer.isView(row) && !(row instanceof DataView);
  if (!typed && !Array.isArray(row)) {
    throw new ChromaInvalidArgumentError(`${where}: expected an array of numbers, got a ${kindOf(row)}`);
  }
  const numbers = /** @type {unknown[]} */ (/** @type {unknown} */ (row));
  for (let at = 0; at < numbers.length; at += 1) {
    const number = numbers[at];
    if (typeof number !== "number" || !Number.isFinite(number)) {
      throw new ChromaInvalidArgumentError(`${where}: expected finite numbers, got ${String(number)} at ${at}`);
    }
  }
}

/**
 * Vectors for texts.
 *
 * @param {string} call
 * @param {(string | null)[]} of
 * @param {Embedder | undefined} embedder
 * @returns {Promise<Vector[]>}
 */
export async function embedded(call, of, embedder) {
  if (typeof embedder?.generate !== "function") {
    throw new ChromaInvalidArgumentError(
      `${call}: texts came without vectors. Give vectors, or give the collection an embedding function: ` +
        "an object whose generate(texts) resolves to one vector for each text.",
      { code: "EmbeddingFunction" },
    );
  }
  const missing = of.indexOf(null);
  if (missing >= 0) throw new ChromaInvalidArgumentError(`${call}: no text to make a vector of at position ${missing}`);
  const made = await embedder.generate(/** @type {string[]} */ (of));
  const rows = vectors(`${call}, generate()`, "vectors", made) ?? [];
  if (rows.length !== of.length) {
    throw new ChromaInvalidArgumentError(`${call}: generate() made ${rows.length} vectors for ${of.length} texts`);
  }
  return rows;
}

/** @param {Vector[] | undefined} rows */
export function mayPack(rows) {
  return LITTLE_ENDIAN && rows !== undefined && rows.length > 0 && rows.every((row) => row instanceof Float32Array);
}

/**
 * Vectors as they are sent: numbers, or base64 of float32.
 *
 * @param {Vector[] | undefined} rows
 * @param {boolean} packed
 */
export function sent(rows, packed) {
  return rows?.map((row) => (packed ? base64(/** @type {Float32Array} */ (row)) : Array.from(row)));
}

/** @param {Float32Array} row */
function base64(row) {
  const bytes = new Uint8Array(row.buffer, row.byteOffset, row.byteLength);
  let text = "";
  // In pieces: a function takes only so many arguments.
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}
