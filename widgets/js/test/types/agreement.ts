// The code does what its declared types say; compiled, not run.

import * as code from "../../src/index.js";
import type * as declared from "../../types/index.js";

export const client: declared.ChromaClient = new code.ChromaClient();
export const collection: declared.Collection = null as unknown as code.Collection;
export const made: Promise<code.Collection> = client.createCollection("name") as Promise<code.Collection>;
export const error: typeof declared.ChromaError = code.ChromaError;
export const overloaded: typeof declared.ChromaOverloadedError = code.ChromaOverloadedError;
export const timeout: declared.ChromaConnectionError = new code.ChromaTimeoutError("late");
