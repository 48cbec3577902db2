// Addresses, headers, time, second attempts.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ChromaClient,
  ChromaConnectionError,
  ChromaOverloadedError,
  ChromaServerError,
  ChromaTimeoutError,
} from "chroma-nb";
import { obliging, withServer } from "./fake.js";

async function addressOf(options) {
  const asked = [];
  const fetch = async (url) => {
    asked.push(url);
    return new Response('"1"');
  };
  await new ChromaClient(typeof options === "string" ? { path: options, fetch } : { ...options, fetch }).version();
  return asked[0];
}

test("addresses", async () => {
  assert.equal(await addressOf({}), "http://localhost:8000/api/v1/version");
  assert.equal(await addressOf("https://host/prefix/"), "https://host/prefix/api/v1/version");
  assert.equal(await addressOf("http://host:1/api/v1"), "http://host:1/api/v1/version");
  assert.equal(await addressOf({ host: "::1", port: 9, ssl: true }), "https://[::1]:9/api/v1/version");
  assert.equal(await addressOf({ port: "9" }), "http://localhost:9/api/v1/version");
  const wrong = [
    ["localhost:8000", /not an address of a server: "localhost:8000"/],
    ["http://", /not an address/],
    ["http://host/?a=1", /not an address/],
    [{ path: "http://host", port: 1 }, /give the path, or host/],
    ["http://me:secret@host", /credentials go into token or auth/],
    [{ pth: "http://host" }, /no option pth, only path, host/],
    [{ auth: { provider: "magic" } }, /auth is \{ provider/],
    [{ timeout: "1" }, /timeout is a number of milliseconds/],
    [{ retries: Number.NaN }, /retries is a number of attempts/],
    [{ token: "a\r\nb" }, /^The header "Authorization" has a name or value that HTTP forbids$/],
    [5, /takes an address or options/],
  ];
  for (const [options, message] of wrong) assert.throws(() => new ChromaClient(options), { message });
});

test("credentials and headers", async () => {
  const cases = [
    [{ token: "t" }, { authorization: "Bearer t" }],
    [{ auth: { provider: "token", credentials: "t" } }, { authorization: "Bearer t" }],
    [
      { auth: { provider: "token", credentials: "t", providerOptions: { headerType: "X_CHROMA_TOKEN" } } },
      { "x-chroma-token": "t" },
    ],
    [{ auth: { provider: "basic", credentials: "me:päss" } }, { authorization: "Basic bWU6cMOkc3M=" }],
    [
      { auth: { provider: "basic", credentials: { username: "me", password: "p" } } },
      { authorization: "Basic bWU6cA==" },
    ],
    [
      { headers: { "X-A": "1" }, fetchOptions: { headers: { "X-B": "2", "X-A": "0" } } },
      { "x-a": "1", "x-b": "2" },
    ],
  ];
  await withServer(obliging, async (url, asked) => {
    for (const [options, headers] of cases) {
      await new ChromaClient({ path: url, ...options }).version();
      for (const [name, value] of Object.entries(headers)) assert.equal(asked.at(-1).headers[name], value, name);
    }
  });
});

test("nobody listens", async () => {
  let address = "";
  await withServer(obliging, async (url) => void (address = url));
  const client = new ChromaClient({ path: address, retries: 0 });
  await assert.rejects(client.heartbeat(), (error) => {
    assert.ok(error instanceof ChromaConnectionError && !(error instanceof ChromaTimeoutError));
    assert.match(error.message, /No answer from http:\/\/127.*ECONNREFUSED.*Is a server running there/);
    assert.ok(error.cause instanceof TypeError);
    return true;
  });
});

test("calls that may be repeated are, others are not", async () => {
  const failures = [
    [null, ChromaConnectionError],
    [{ status: 503, body: {} }, ChromaOverloadedError],
    [{ status: 502, text: "bad gateway" }, ChromaServerError],
  ];
  for (const [failure, error] of failures) {
    const answer = (request, count) => (count > 1 && count < 4 ? failure : obliging(request));
    const vectors = [[1, 2]];
    const calls = [
      [(_, client) => client.heartbeat(), true],
      [(_, client) => client.listCollections(), true],
      [(_, client) => client.getCollection("one"), true],
      [(collection) => collection.count(), true],
      [(collection) => collection.get(), true],
      [(collection) => collection.query(vectors), true],
      [(collection) => collection.peek(), true],
      [(collection) => collection.upsert("a", vectors), true],
      [(collection) => collection.update("a", vectors), true],
      [(collection) => collection.add("a", vectors), false],
      [(collection) => collection.delete("a"), false],
      [(collection) => collection.modify("two"), false],
      [(_, client) => client.createCollection("one"), false],
      [(_, client) => client.getOrCreateCollection("one"), false],
      [(_, client) => client.deleteCollection("one"), false],
      [(_, client) => client.reset(), false],
    ];
    await Promise.all(
      calls.map(([call, again]) =>
        withServer(answer, async (url, asked) => {
          const client = new ChromaClient(url);
          const collection = await client.createCollection("one");
          if (again) await call(collection, client);
          else await assert.rejects(call(collection, client), error);
          assert.equal(asked.length, again ? 4 : 2, String(call));
        }),
      ),
    );
  }
});

test("what fails for good is not repeated, and attempts come to an end", async () => {
  for (const [status, attempts] of [[500, 1], [400, 1], [404, 1], [501, 1], [503, 3], [429, 3]]) {
    await withServer(
      () => ({ status, body: {} }),
      async (url, asked) => {
        await assert.rejects(new ChromaClient(url).heartbeat());
        assert.equal(asked.length, attempts, String(status));
      },
    );
  }
});

test("Retry-After is waited for, and told", async () => {
  const busy = { status: 503, body: { error: "Overloaded", message: "busy" }, headers: { "Retry-After": "0.4" } };
  await withServer(
    (request, count) => (count < 2 ? busy : obliging(request)),
    async (url) => {
      const began = performance.now();
      await new ChromaClient(url).heartbeat();
      assert.ok(performance.now() - began >= 400);
      await assert.doesNotReject(new ChromaClient({ path: url, retries: 0 }).heartbeat());
    },
  );
  await withServer(
    () => busy,
    async (url) => {
      await assert.rejects(new ChromaClient({ path: url, retries: 0 }).heartbeat(), (error) => {
        assert.ok(error instanceof ChromaOverloadedError);
        return error.retryAfter === 0.4 && error.code === "Overloaded";
      });
    },
  );
});

test("time is up", async () => {
  await withServer(
    () => "silence",
    async (url, asked) => {
      const late = { name: "ChromaTimeoutError", message: /within 0\.05 s \(the option timeout\)/ };
      await assert.rejects(new ChromaClient({ path: url, timeout: 50 }).heartbeat(), late);
      const collection = new ChromaClient({ path: url, timeout: 0 }).listCollections({ timeout: 50 });
      await assert.rejects(collection, late);
      await assert.rejects(collection, ChromaConnectionError);
      assert.equal(asked.length, 2); // a server that is too slow is not asked again
    },
  );
  await withServer(
    () => ({ status: 503, body: {}, headers: { "Retry-After": "60" } }),
    async (url) => {
      await assert.rejects(new ChromaClient({ path: url, timeout: 100 }).heartbeat(), ChromaTimeoutError);
    },
  );
});

test("a signal ends a call with its reason", async () => {
  await withServer(
    () => "silence",
    async (url, asked) => {
      const client = new ChromaClient(url);
      const stop = new AbortController();
      const waiting = client.listCollections({ signal: stop.signal });
      while (asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      stop.abort(new RangeError("enough"));
      await assert.rejects(waiting, RangeError);
      await assert.rejects(client.version({ signal: stop.signal }), RangeError);
      await assert.rejects(client.version({ signal: AbortSignal.abort() }), { name: "AbortError" });
      const all = new ChromaClient({ path: url, fetchOptions: { signal: AbortSignal.abort() } });
      await assert.rejects(all.version(), { name: "AbortError" });
      assert.equal(asked.length, 1);
    },
  );
});

test("one signal for many calls at once", async () => {
  const warnings = [];
  const keep = (warning) => warnings.push(warning);
  process.on("warning", keep);
  await withServer(obliging, async (url) => {
    const stop = new AbortController();
    const client = new ChromaClient({ path: url, fetchOptions: { signal: stop.signal } });
    await Promise.all(Array.from({ length: 30 }, () => client.version({ signal: stop.signal })));
    const stopped = Array.from({ length: 30 }, () => client.version());
    stop.abort();
    const ended = await Promise.allSettled(stopped);
    assert.deepEqual(new Set(ended.map(({ reason }) => reason?.name)), new Set(["AbortError"]));
  });
  process.off("warning", keep);
  assert.deepEqual(warnings, []);
});

test("redirects are refused: a POST would arrive as a GET", async () => {
  await withServer(
    () => ({ status: 301, headers: { Location: "/x" } }),
    async (url, asked) => {
      await assert.rejects(new ChromaClient(url).createCollection("one"), /unexpected redirect/);
      assert.equal(asked.length, 1);
    },
  );
});
