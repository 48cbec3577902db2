export { ChromaClient } from "./client.js";
export { Collection } from "./collection.js";
export {
  ChromaConnectionError,
  ChromaError,
  ChromaForbiddenError,
  ChromaInvalidArgumentError,
  ChromaNotFoundError,
  ChromaNotSupportedError,
  ChromaOverloadedError,
  ChromaServerError,
  ChromaTimeoutError,
  ChromaUnauthorizedError,
  ChromaUniqueError,
} from "./errors.js";
