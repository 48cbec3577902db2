// Both forms of every call, and what they put on the wire.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ChromaClient, ChromaInvalidArgumentError } from "chroma-nb";
import { obliging, withServer } from "./fake.js";

const embedder = { generate: async (texts) => texts.map((text) => [text.length, 1]) };

/** What each of the calls asks the server for. */
async function requests(...calls) {
  const bodies = [];
  await withServer(obliging, async (url, asked) => {
    const client = new ChromaClient(url);
    const collection = await client.createCollection("one", undefined, embedder);
    for (const call of calls) {
      const before = asked.length;
      await call(collection, client);
      bodies.push(asked.slice(before).map(({ method, url, body }) => [method, url, body]));
    }
  });
  return bodies;
}

const AT = "/api/v1/collections/some-id";
const where = { lang: "en" };
const whereDocument = { $contains: "x" };

const PAIRS = [
  [
    "add",
    (c) => c.add("a", [1, 2], { n: 1 }, "x"),
    (c) => c.add({ ids: ["a"], embeddings: [[1, 2]], metadatas: [{ n: 1 }], documents: ["x"] }),
    [["POST", `${AT}/add`, { ids: ["a"], embeddings: [[1, 2]], metadatas: [{ n: 1 }], documents: ["x"] }]],
  ],
  [
    "add without vectors",
    (c) => c.add(["a", "b"], undefined, null, ["x", "yy"], false),
    (c) => c.add({ ids: ["a", "b"], documents: ["x", "yy"], increment_index: false }),
    [
      [
        "POST",
        `${AT}/add`,
        { ids: ["a", "b"], embeddings: [[1, 1], [2, 1]], documents: ["x", "yy"], increment_index: false },
      ],
    ],
  ],
  [
    "upsert",
    (c) => c.upsert("a", [1, 2], undefined, undefined),
    (c) => c.upsert({ ids: "a", embeddings: [1, 2] }),
    [["POST", `${AT}/upsert`, { ids: ["a"], embeddings: [[1, 2]] }]],
  ],
  [
    "update",
    (c) => c.update("a", undefined, { n: 2 }),
    (c) => c.update({ ids: "a", metadatas: { n: 2 } }),
    [["POST", `${AT}/update`, { ids: ["a"], metadatas: [{ n: 2 }] }]],
  ],
  [
    "get",
    (c) => c.get("a", where, 5, 1, ["documents"], whereDocument),
    (c) => c.get({ ids: "a", where, limit: 5, offset: 1, include: "documents", whereDocument }),
    [
      [
        "POST",
        `${AT}/get`,
        { ids: ["a"], where, limit: 5, offset: 1, include: ["documents"], where_document: whereDocument },
      ],
    ],
  ],
  ["get all", (c) => c.get(), (c) => c.get({}), [["POST", `${AT}/get`, {}]]],
  [
    "get none",
    (c) => c.get([]),
    (c) => c.get({ ids: [], limit: 3 }),
    [["POST", `${AT}/get`, { limit: 0 }]],
  ],
  [
    "query",
    (c) => c.query([[1, 2]], 3, where, undefined, whereDocument, ["distances"]),
    (c) =>
      c.query({ query_embeddings: [1, 2], n_results: 3, where, where_document: whereDocument, include: "distances" }),
    [
      [
        "POST",
        `${AT}/query`,
        { query_embeddings: [[1, 2]], n_results: 3, where, where_document: whereDocument, include: ["distances"] },
      ],
    ],
  ],
  [
    "query by text",
    (c) => c.query(undefined, 2, undefined, "abc"),
    (c) => c.query({ query_text: "abc", nResults: 2 }),
    [["POST", `${AT}/query`, { query_embeddings: [[3, 1]], n_results: 2 }]],
  ],
  [
    "query by default",
    (c) => c.query(new Float32Array([1, 2])),
    (c) => c.query({ queryEmbeddings: [new Float64Array([1, 2])], queryTexts: ["not used"] }),
    [["POST", `${AT}/query`, { query_embeddings: [[1, 2]], n_results: 10 }]],
  ],
  [
    "peek",
    (c) => c.peek(),
    (c) => c.peek({ limit: 10 }),
    [["POST", `${AT}/get`, { limit: 10 }]],
  ],
  [
    "delete",
    (c) => c.delete("a", where, whereDocument),
    (c) => c.delete({ ids: ["a"], where, where_document: whereDocument }),
    [["POST", `${AT}/delete`, { ids: ["a"], where, where_document: whereDocument }]],
  ],
  [
    "delete all",
    (c) => c.delete(),
    (c) => c.delete({}),
    [["POST", `${AT}/delete`, {}]],
  ],
  ["delete none", (c) => c.delete([]), (c) => c.delete({ ids: [] }), []],
  [
    "modify",
    (c) => c.modify("two", { n: 1 }),
    (c) => c.modify({ name: "two", metadata: { n: 1 } }),
    [["PUT", AT, { new_name: "two", new_metadata: { n: 1 } }]],
  ],
  [
    "count",
    (c) => c.count(),
    (c) => c.count({ timeout: 9000 }),
    [["GET", `${AT}/count`, undefined]],
  ],
  [
    "createCollection",
    (_, client) => client.createCollection("two", {}, embedder),
    (_, client) =>
      client.createCollection({ name: "two", embedding_function: embedder }),
    [["POST", "/api/v1/collections", { name: "two" }]],
  ],
  [
    "getOrCreateCollection",
    (_, client) => client.getOrCreateCollection("two", { n: 1 }),
    (_, client) =>
      client.getOrCreateCollection({ name: "two", metadata: { n: 1 } }),
    [["POST", "/api/v1/collections", { name: "two", metadata: { n: 1 }, get_or_create: true }]],
  ],
  [
    "getCollection",
    (_, client) => client.getCollection("t w/o", embedder),
    (_, client) => client.getCollection({ name: "t w/o" }),
    [["GET", "/api/v1/collections/t%20w%2Fo", undefined]],
  ],
  [
    "deleteCollection",
    (_, client) => client.deleteCollection("two"),
    (_, client) => client.deleteCollection({ name: "two" }),
    [["DELETE", "/api/v1/collections/two", undefined]],
  ],
];

for (const [name, positional, object, expected] of PAIRS) {
  test(`${name}: both forms ask the same`, async () => {
    const [first, second] = await requests(positional, object);
    assert.deepEqual(first, expected);
    assert.deepEqual(second, expected);
  });
}

test("createIndex goes by the name, whatever it is now", async () => {
  const [, asked] = await requests(
    (c) => c.modify("two"),
    (c) => c.createIndex(),
  );
  assert.deepEqual(asked, [["POST", "/api/v1/collections/two/create_index", undefined]]);
});

test("tenant, database, limit and offset stand in the address", async () => {
  await withServer(obliging, async (url, asked) => {
    const client = new ChromaClient({ path: `${url}/`, tenant: "me", database: "my db" });
    await client.listCollections({ limit: 2, offset: 1 });
    await client.listCollections();
    assert.equal(asked[0].url, "/api/v1/collections?tenant=me&database=my+db&limit=2&offset=1");
    assert.equal(asked[1].url, "/api/v1/collections?tenant=me&database=my+db");
  });
});

const REFUSED = [
  ["an unknown name", (c) => c.get({ lang: "en" }), /get: no argument "lang", only ids, where, limit/],
  ["a name twice", (c) => c.query({ nResults: 1, n_results: 2 }), /nResults is given twice/],
  ["an object and more", (c) => c.add({ ids: "a" }, [1, 2]), /an object as the first argument holds all/],
  ["a promise", (c) => c.delete(Promise.resolve(["a"])), /cannot be a Promise \(is an await missing\?\)/],
  ["a set", (c) => c.get(new Set(["a"])), /cannot be a Set/],
  ["too many", (c) => c.peek(1, 2), /peek: takes limit, got 2 arguments/],
  ["delete by a missing value", (c) => c.delete(undefined), /would delete all items/],
  ["delete by a missing field", (c) => c.delete({ ids: undefined, where: null }), /would delete all items/],
  ["no ids", (c) => c.add([], []), /needs ids/],
  ["a number as id", (c) => c.add([1], [[1, 2]]), /ids are strings, got a number at position 0/],
  ["an id twice", (c) => c.add(["a", "b", "a"], [[1], [2], [3]]), /the id "a" stands twice/],
  ["different lengths", (c) => c.add(["a", "b"], [[1, 2]]), /1 embeddings for 2 ids/],
  ["neither vectors nor documents", (c) => c.add("a"), /needs embeddings or documents/],
  ["NaN in a vector", (c) => c.add("a", [1, Number.NaN]), /at position 0: expected finite numbers, got NaN at 1/],
  ["infinity in a typed array", (c) => c.query(new Float32Array([1, Infinity])), /got Infinity at 1/],
  ["texts in a vector", (c) => c.add("a", [["1", "2"]]), /got 1 at 0/],
  ["bigints in a vector", (c) => c.add("a", new BigInt64Array([1n])), /got 1 at 0/],
  ["NaN in metadata", (c) => c.add("a", [1], { n: Number.NaN }), /metadatas, at "n": NaN cannot be stored/],
  ["NaN in a filter", (c) => c.get({ where: { n: { $gt: Number.NaN } } }), /where, at "\$gt": NaN/],
  ["an integer beyond 2^53", (c) => c.add("a", [1], { n: 2 ** 60 }), /"n": 1152921504606847000 is .*bigint/],
  ["a bigint beyond 64 bits", (c) => c.add("a", [1], { n: 2n ** 63n }), /does not fit in 64 bits/],
  ["a date", (c) => c.add("a", [1], { day: new Date() }), /at "day": a Date cannot be stored/],
  ["metadata that is a list", (c) => c.add("a", [1], [["x"]]), /metadatas are objects, got a Array at position 0/],
  ["a document that is a number", (c) => c.add("a", [1], null, 5), /documents are strings, got a number/],
  ["no name", (_, client) => client.createCollection({}), /needs the name of a collection/],
  ["a query of no vectors", (c) => c.query([]), /queryEmbeddings holds no vector/],
  ["a query of nothing", (c) => c.query({ nResults: 1 }), /needs queryEmbeddings or queryTexts/],
  ["a time that is none", (c) => c.count({ timeout: -1 }), /timeout is a number of milliseconds/],
];

for (const [name, call, message] of REFUSED) {
  test(`refused before anything is sent: ${name}`, async () => {
    await withServer(obliging, async (url, asked) => {
      const client = new ChromaClient(url);
      const collection = await client.createCollection({ name: "one", embeddingFunction: embedder });
      await assert.rejects(call(collection, client), (error) => {
        assert.ok(error instanceof ChromaInvalidArgumentError, String(error));
        assert.match(error.message, message);
        assert.equal(error.status, undefined);
        return true;
      });
      assert.equal(asked.length, 1);
    });
  });
}

test("texts without vectors need a function, which makes one vector for each", async () => {
  await withServer(obliging, async (url) => {
    const client = new ChromaClient(url);
    const plain = await client.createCollection("one");
    const hint = /texts came without vectors.*an object whose generate\(texts\)/;
    await assert.rejects(plain.add("a", undefined, undefined, "text"), hint);
    await assert.rejects(plain.query({ queryTexts: "text" }), hint);
    await assert.rejects(plain.update("a", undefined, undefined, "text"), hint);

    const short = await client.getCollection({ name: "one", embeddingFunction: { generate: async () => [[1]] } });
    await assert.rejects(short.add(["a", "b"], undefined, undefined, ["x", "y"]), /made 1 vectors for 2 texts/);
    await assert.rejects(short.add(["a", "b"], undefined, undefined, ["x", null]), /no text .* at position 1/);
    const failing = await client.getCollection("one", { generate: () => Promise.reject(new RangeError("no key")) });
    await assert.rejects(failing.query({ queryTexts: "x" }), RangeError);
  });
});

test("a collection remembers what modify made of it", async () => {
  await withServer(obliging, async (url) => {
    const collection = await new ChromaClient(url).createCollection("one", { n: 1 });
    assert.deepEqual([collection.name, collection.id, collection.metadata], ["one", "some-id", { n: 1 }]);
    await collection.modify({ metadata: { n: 2 } });
    await collection.modify("two");
    assert.deepEqual([collection.name, collection.metadata], ["two", { n: 2 }]);
    assert.doesNotMatch(JSON.stringify(collection), /127\.0\.0\.1/);
  });
});
