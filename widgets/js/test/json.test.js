// Numbers on their way out and in.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ChromaClient } from "chroma-nb";
import { decode, encode } from "../src/json.js";
import { obliging, withServer } from "./fake.js";

test("integers beyond 2^53 come as bigint, everything else as it is", () => {
  const text =
    '{"a": 9007199254740993, "b": [-9223372036854775808, 9007199254740991, 1e300, 12345678901234567890.5],' +
    '"c": "9007199254740993", "d\\\\\\"9007199254740993": "x\\"9007199254740993\\\\",' +
    '"e": 0.10000000149011612, "f": -0.0}';
  assert.deepEqual(decode(text), {
    a: 9007199254740993n,
    b: [-9223372036854775808n, 9007199254740991, 1e300, 12345678901234567890.5],
    c: "9007199254740993",
    'd\\"9007199254740993': 'x"9007199254740993\\',
    e: 0.10000000149011612,
    f: -0,
  });
  assert.equal(decode("9007199254740993"), 9007199254740993n);
  for (const broken of ["", "<html>", '{"a": 9007199254740993', '"9007199254740993', "{9007199254740993]"]) {
    assert.throws(() => decode(broken), SyntaxError, broken);
  }
});

test("bigints leave as integers, and texts that look like them as texts", () => {
  const metadata = { big: 2n ** 63n - 1n, small: 1n, low: -(2n ** 63n), text: "9007199254740993", f: 1e21 };
  const body = { metadatas: [metadata] };
  const expected =
    '{"metadatas":[{"big":9223372036854775807,"small":1,"low":-9223372036854775808,' +
    '"text":"9007199254740993","f":1e+21}]}';
  assert.equal(encode(body), expected);
  assert.equal(encode({ a: undefined, b: null }), '{"b":null}');
  assert.deepEqual(decode(encode(body)).metadatas[0].big, 2n ** 63n - 1n);
});

test("heartbeat is a number", async () => {
  await withServer(obliging, async (url) => {
    assert.equal(await new ChromaClient(url).heartbeat(), 1795335903779247221);
  });
});

test("float32 arrays travel as base64 where the server takes it, and are asked about once", async () => {
  await withServer(obliging, async (url, asked) => {
    const collection = await new ChromaClient(url).createCollection("one");
    const whole = new Float32Array([9, 1, 2, 9]);
    await collection.add(["a", "b"], [whole.subarray(1, 3), new Float32Array([0.1, -3])]);
    await collection.upsert("a", whole);
    await collection.add("c", [1, 2]);
    await collection.add(["d", "e"], [[1, 2], new Float32Array([0.5, 2])]);
    await collection.add("f", new Float64Array([1, 2]));
    const sent = asked.slice(1).map(({ url, body }) => body?.embeddings ?? url);
    assert.deepEqual(sent, [
      "/api/v1/pre-flight-checks",
      ["AACAPwAAAEA=", "zczMPQAAQMA="],
      ["AAAQQQAAgD8AAABAAAAQQQ=="],
      [[1, 2]],
      [[1, 2], [0.5, 2]],
      [[1, 2]],
    ]);
  });
});

test("one caller who gives up does not spoil it for the others", async () => {
  const answer = (request) => (request.headers["x-late"] ? "silence" : obliging(request));
  await withServer(answer, async (url, asked) => {
    let late = true;
    const fetch = (address, init) => {
      if (late && address.endsWith("checks")) init.headers.set("X-Late", "1");
      late &&= !address.endsWith("checks");
      return globalThis.fetch(address, init);
    };
    const collection = await new ChromaClient({ path: url, fetch }).createCollection("one");
    const items = { ids: "a", embeddings: new Float32Array([1]) };
    const calls = [collection.add({ ...items, timeout: 50 }), collection.add(items)];
    const [first, second] = await Promise.allSettled(calls);
    assert.deepEqual([first.reason?.name, second.value], ["ChromaTimeoutError", true]);
    assert.deepEqual(asked.at(-1).body.embeddings, ["AACAPw=="]);
  });
});

test("float32 arrays travel as numbers where the server does not say that it takes base64", async () => {
  for (const said of [{ status: 404, body: { detail: "Not Found" } }, { body: { max_batch_size: 5 } }]) {
    const answer = (request) => (request.url.endsWith("checks") ? said : obliging(request));
    await withServer(answer, async (url, asked) => {
      const collection = await new ChromaClient(url).createCollection("one");
      await collection.add("a", new Float32Array([0.5, 0.1]));
      assert.deepEqual(asked.at(-1).body.embeddings, [[0.5, 0.10000000149011612]]);
    });
  }
});

test("vectors of many dimensions can be packed", async () => {
  await withServer(obliging, async (url, asked) => {
    const vector = Float32Array.from({ length: 70_000 }, (_, at) => at / 7);
    await (await new ChromaClient(url).createCollection("one")).add("a", vector);
    const bytes = Buffer.from(asked.at(-1).body.embeddings[0], "base64");
    assert.deepEqual(new Float32Array(new Uint8Array(bytes).buffer), vector);
  });
});
