// What can go wrong, as classes:
//
//   ChromaError                     base; name, message, status (HTTP), code (the server's name for it)
//   ├── ChromaConnectionError       no answer: nobody listens, the connection broke
//   │   └── ChromaTimeoutError      408, and no answer in time
//   ├── ChromaInvalidArgumentError  400, 413, 422, and what is refused before anything is sent
//   ├── ChromaUnauthorizedError     401
//   ├── ChromaForbiddenError        403
//   ├── ChromaNotFoundError         404
//   ├── ChromaUniqueError           409
//   ├── ChromaOverloadedError       429, 503; retryAfter in seconds
//   ├── ChromaNotSupportedError     405, 410, 501
//   └── ChromaServerError           any other status, and answers that are not Chroma's

export class ChromaError extends Error {
  name = "ChromaError"; // a field, not the class's name, which minifiers shorten

  /**
   * @param {string} message
   * @param {{ status?: number, code?: string, cause?: unknown }} [about]
   */
  constructor(message, { status, code, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    /** @type {number | undefined} */
    this.status = status;
    /** @type {string | undefined} */
    this.code = code;
  }
}

export class ChromaConnectionError extends ChromaError {
  name = "ChromaConnectionError";
}

export class ChromaTimeoutError extends ChromaConnectionError {
  name = "ChromaTimeoutError";
}

export class ChromaInvalidArgumentError extends ChromaError {
  name = "ChromaInvalidArgumentError";
}

export class ChromaUnauthorizedError extends ChromaError {
  name = "ChromaUnauthorizedError";
}

export class ChromaForbiddenError extends ChromaError {
  name = "ChromaForbiddenError";
}

export class ChromaNotFoundError extends ChromaError {
  name = "ChromaNotFoundError";
}

export class ChromaUniqueError extends ChromaError {
  name = "ChromaUniqueError";
}

export class ChromaOverloadedError extends ChromaError {
  name = "ChromaOverloadedError";

  /**
   * @param {string} message
   * @param {{ status?: number, code?: string, cause?: unknown, retryAfter?: number }} [about]
   */
  constructor(message, about = {}) {
    super(message, about);
    /** @type {number | undefined} */
    this.retryAfter = about.retryAfter;
  }
}

export class ChromaNotSupportedError extends ChromaError {
  name = "ChromaNotSupportedError";
}

export class ChromaServerError extends ChromaError {
  name = "ChromaServerError";
}

/** @type {Record<number, typeof ChromaError>} */
const BY_STATUS = {
  400: ChromaInvalidArgumentError,
  401: ChromaUnauthorizedError,
  403: ChromaForbiddenError,
  404: ChromaNotFoundError,
  405: ChromaNotSupportedError,
  408: ChromaTimeoutError,
  409: ChromaUniqueError,
  410: ChromaNotSupportedError,
  413: ChromaInvalidArgumentError,
  422: ChromaInvalidArgumentError,
  429: ChromaOverloadedError,
  501: ChromaNotSupportedError,
  503: ChromaOverloadedError,
};

// Chroma 0.3 answers 500 to almost everything: the repr of a Python exception as `error`, or a text as `detail`.
const REPR = /^(\w+)\((['"])([^]*)\2,?\s*\)$/;
/** @type {[RegExp, typeof ChromaError][]} */
const BY_TEXT = [
  [/does not exist|Could not find|^IndexError\b/, ChromaNotFoundError],
  [/already exists/, ChromaUniqueError],
  [/^NotImplementedError\b/, ChromaNotSupportedError],
  [/^(ValueError|TypeError|Dimensionality)\b/, ChromaInvalidArgumentError],
];

/**
 * The error that an answer stands for.
 *
 * @param {number} status
 * @param {string} text the body of the answer
 * @param {string | null} retryAfter the header of that name
 * @returns {ChromaError}
 */
export function errorOf(status, text, retryAfter) {
  const { error, message, detail } = read(text);
  const repr = error?.match(REPR);
  const plain = text.trim().slice(0, 500) || `The server answered with status ${status}.`;
  const said = message ?? repr?.[3] ?? error ?? detail ?? plain;
  const hint = status === 410 ? " (This client speaks API v1; Chroma 1.0 and later have v2 only.)" : "";
  const seconds = Number.parseFloat(retryAfter ?? "");
  const wait = Number.isFinite(seconds) ? { retryAfter: seconds } : {};
  const original = status === 500 && message === undefined ? error ?? detail ?? "" : "";
  const Type = BY_TEXT.find(([pattern]) => pattern.test(original))?.[1] ?? BY_STATUS[status] ?? ChromaServerError;
  return new Type(said + hint, { status, code: error?.match(/^\w+/)?.[0], ...wait });
}

/**
 * @param {string} text
 * @returns {{ error?: string, message?: string, detail?: string }}
 */
function read(text) {
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    return {}; // a proxy's page, or plain text: shown as it is
  }
  const isText = (/** @type {unknown} */ value) => (typeof value === "string" ? value : undefined);
  const detail = isText(body?.detail) ?? places(body?.detail);
  return { error: isText(body?.error), message: isText(body?.message), detail };
}

/**
 * What FastAPI says of a body that is not of the right form.
 *
 * @param {unknown} detail
 * @returns {string | undefined}
 */
function places(detail) {
  if (!Array.isArray(detail)) return undefined;
  return detail.map((one) => `${(one?.loc ?? []).slice(1).join(".")}: ${one?.msg}`).join("; ");
}
