// What servers say when something is wrong, and what is thrown then.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as chroma from "chroma-nb";
import { errorOf } from "../src/errors.js";
import { withServer } from "./fake.js";

const ANSWERS = [
  [400, { error: "InvalidDimension", message: "3, not 2" }, "ChromaInvalidArgumentError", "InvalidDimension", /^3, /],
  [404, { error: "NotFoundError: gone", message: "gone" }, "ChromaNotFoundError", "NotFoundError", /^gone$/],
  [409, { error: "UniqueConstraint: it is", message: "it is" }, "ChromaUniqueError", "UniqueConstraint", /^it is$/],
  [401, { error: "AuthorizationError: no", message: "no" }, "ChromaUnauthorizedError", "AuthorizationError", /^no$/],
  [403, { error: "Forbidden" }, "ChromaForbiddenError", "Forbidden", /^Forbidden$/],
  [405, "", "ChromaNotSupportedError", undefined, /with status 405/],
  [408, { error: "SlowRequest: slow", message: "slow" }, "ChromaTimeoutError", "SlowRequest", /^slow$/],
  [413, { error: "X: too long", message: "too long" }, "ChromaInvalidArgumentError", "X", /^too long$/],
  [422, { detail: [{ loc: ["body", "ids"], msg: "missing" }] }, "ChromaInvalidArgumentError", undefined, /^ids: miss/],
  [429, {}, "ChromaOverloadedError", undefined, /^{}$/],
  [501, { error: "NotSupported: never", message: "never" }, "ChromaNotSupportedError", "NotSupported", /^never$/],
  [410, { error: "Unimplemented", message: "v1 is gone" }, "ChromaNotSupportedError", "Unimplemented", /gone \(This/],
  [503, "busy", "ChromaOverloadedError", undefined, /^busy$/],
  [507, { error: "StoreWrite: disk full", message: "disk full" }, "ChromaServerError", "StoreWrite", /^disk full$/],
  [500, { error: "StoreError: no such table does not exist", message: "m" }, "ChromaServerError", "StoreError", /^m$/],
  [502, "<html>Bad gateway</html>", "ChromaServerError", undefined, /Bad gateway/],
  [500, "", "ChromaServerError", undefined, /with status 500/],
  // Chroma 0.3
  [500, { error: "ValueError('Collection x does not exist')" }, "ChromaNotFoundError", "ValueError", /^Collection x/],
  [500, { error: 'ValueError("x already exists")' }, "ChromaUniqueError", "ValueError", /^x already exists$/],
  [500, { error: "IndexError('list index out of range')" }, "ChromaNotFoundError", "IndexError", /^list index/],
  [500, { error: "ValueError('no where')" }, "ChromaInvalidArgumentError", "ValueError", /^no where$/],
  [500, { error: "ValueError('Could not find 1 items')" }, "ChromaNotFoundError", "ValueError", /^Could not find/],
  [500, { error: "NotImplementedError('no')" }, "ChromaNotSupportedError", "NotImplementedError", /^no$/],
  [500, { error: "RuntimeError('Cannot')" }, "ChromaServerError", "RuntimeError", /^Cannot$/],
  [500, { detail: "Dimensionality of (2) does not match" }, "ChromaInvalidArgumentError", undefined, /^Dimensionality/],
];

for (const [status, body, name, code, message] of ANSWERS) {
  test(`${status} ${JSON.stringify(body)}`, () => {
    const error = errorOf(status, typeof body === "string" ? body : JSON.stringify(body), null);
    assert.equal(error.constructor.name, name);
    assert.equal(error.name, name);
    assert.equal(error.status, status);
    assert.equal(error.code, code);
    assert.match(error.message, message);
    assert.ok(error instanceof chroma.ChromaError && error instanceof Error);
  });
}

test("errors are thrown by calls, never resolved", async () => {
  const answer = () => ({ status: 400, body: { error: "InvalidDimension", message: "3, not 2" } });
  await withServer(answer, async (url) => {
    const client = new chroma.ChromaClient(url);
    const calls = ["heartbeat", "version", "reset", "listCollections", "createCollection", "getOrCreateCollection"];
    for (const call of [...calls, "getCollection", "deleteCollection"]) {
      const args = call.endsWith("Collection") ? ["one"] : [];
      await assert.rejects(client[call](...args), chroma.ChromaInvalidArgumentError);
    }
  });
});

test("what is no Chroma server is said to be none", async () => {
  await withServer(
    () => ({ text: "<html>welcome</html>" }),
    async (url) => {
      const message = /answers, but not as a Chroma server does: <html>welcome/;
      await assert.rejects(new chroma.ChromaClient(url).version(), { name: "ChromaServerError", message });
    },
  );
  await withServer(
    () => ({ body: [] }),
    async (url) => {
      const created = new chroma.ChromaClient(url).createCollection("one");
      await assert.rejects(created, { name: "ChromaServerError", message: /not as a Chroma server does: \[\]/ });
    },
  );
});
