// What a value is.

/**
 * An object written with braces (no date, map, promise, typed array or instance of a class); of any realm.
 *
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
export function isRecord(value) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "isPrototypeOf"));
}

/**
 * What a value is, in a word.
 *
 * @param {unknown} value
 * @returns {string}
 */
export function kindOf(value) {
  if (value === null) return "null";
  return typeof value === "object" ? value.constructor?.name ?? "object" : typeof value;
}
