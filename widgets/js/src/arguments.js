// The two forms of a call: arguments in order, or one object with their names (in camelCase or snake_case).

import { ChromaInvalidArgumentError } from "./errors.js";
import { isRecord, kindOf } from "./kinds.js";

const OF_EVERY_CALL = ["signal", "timeout"];
/** @type {Record<string, string>} */
const ALSO = { queryText: "queryTexts" };

/**
 * The arguments by name. What is null or undefined counts as left out.
 *
 * @param {string} call for messages
 * @param {unknown[]} given
 * @param {string[]} order the names, as the positional form takes them
 * @param {string[]} [others] names that only the object form has
 * @returns {Record<string, any>}
 */
export function named(call, given, order, others = []) {
  const [first, ...rest] = given;
  if (typeof first === "object" && first !== null && !Array.isArray(first) && !ArrayBuffer.isView(first)) {
    return fromObject(call, first, rest, [...order, ...others]);
  }
  if (given.length > order.length) {
    throw new ChromaInvalidArgumentError(`${call}: takes ${list(order)}, got ${given.length} arguments`);
  }
  return present(order.map((name, position) => [name, given[position]]));
}

/**
 * @param {string} call
 * @param {object} fields
 * @param {unknown[]} rest
 * @param {string[]} names
 */
function fromObject(call, fields, rest, names) {
  if (!isRecord(fields)) {
    const hint = fields instanceof Promise ? " (is an await missing?)" : "";
    throw new ChromaInvalidArgumentError(`${call}: its first argument cannot be a ${kindOf(fields)}${hint}`);
  }
  if (rest.some((value) => value !== undefined && value !== null)) {
    throw new ChromaInvalidArgumentError(
      `${call}: an object as the first argument holds all arguments by name (${list(names)}), so no others can follow`,
    );
  }
  const entries = Object.entries(fields).map(([key, value]) => /** @type {[string, unknown]} */ ([camel(key), value]));
  for (const [position, [name]] of entries.entries()) {
    if (![...names, ...OF_EVERY_CALL].includes(name)) {
      throw new ChromaInvalidArgumentError(`${call}: no argument ${JSON.stringify(name)}, only ${list(names)}`);
    }
    if (entries.findIndex(([other]) => other === name) < position) {
      throw new ChromaInvalidArgumentError(`${call}: ${name} is given twice`);
    }
  }
  return present(entries);
}

/** @param {[string, unknown][]} entries */
function present(entries) {
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined && value !== null));
}

/** @param {string} key */
function camel(key) {
  const name = key.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
  return Object.hasOwn(ALSO, name) ? ALSO[name] : name;
}

/** @param {string[]} names */
function list(names) {
  return names.length > 0 ? names.join(", ") : "no arguments";
}
