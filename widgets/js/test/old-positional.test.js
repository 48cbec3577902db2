// npm chromadb 1.3.1 as it is (positional arguments, names of collections in addresses), and a real server of ours.
// What Chroma answered to the same calls is known from recordings.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { URL_, freshName, real } from "./real.js";

let ChromaClient;
before(async () => {
  if (!real.skip) ({ ChromaClient } = await import("chromadb-positional"));
});

const embedder = { generate: async (texts) => texts.map((text) => [text.length, 1, 0.5]) };
const DOCUMENTS = ["This is a document", "This is a document", "that is a document", "doc1000101", "doc288822"];
const METADATAS = ["my_source", "style1", "style2", "style1", "style2"].map((value, at) =>
  at === 0 ? { source: value } : { style: value },
);
const IDS = ["id1", "uri9", "uri10", "uri11", "uri12"];

async function filled(name = freshName()) {
  const collection = await new ChromaClient(URL_).createCollection(name, undefined, embedder);
  assert.equal(await collection.add("id1", [1.5, 2.9, 3.4], { source: "my_source" }, DOCUMENTS[0]), true);
  const vectors = [[1.5, 2.9, 3.4], [9.8, 2.3, 2.9]];
  assert.equal(await collection.add(["uri9", "uri10"], vectors, METADATAS.slice(1, 3), DOCUMENTS.slice(1, 3)), true);
  assert.equal(await collection.add(["uri11", "uri12"], undefined, METADATAS.slice(3), DOCUMENTS.slice(3)), true);
  return collection;
}

test("collections", real, async () => {
  const client = new ChromaClient(URL_);
  const name = freshName();
  const collection = await client.createCollection(name, { a: 1 });
  assert.equal(collection.name, name);
  await assert.rejects(client.createCollection(name), { message: /already exists/ });
  const found = (await client.listCollections()).find((one) => one.name === name);
  assert.deepEqual(found.metadata, { a: 1 });
  assert.equal(await (await client.getCollection(name)).count(), 0);
  assert.equal(await client.deleteCollection(name), null);
  assert.match((await client.deleteCollection(name)).error, new RegExp(`NotFound|InvalidCollection`));
  assert.match((await collection.get()).error, /^InvalidCollection: ./);

  const placeholder = await client.createCollection(freshName(), {}, embedder); // {} to get to the third argument
  await placeholder.add("a", undefined, undefined, "text");
  assert.equal(await placeholder.count(), 1);
});

test("get and peek", real, async () => {
  const collection = await filled();
  const all = { ids: IDS, embeddings: null, documents: DOCUMENTS, metadatas: METADATAS };
  assert.equal(await collection.count(), 5);
  assert.deepEqual(await collection.get(), all);
  assert.deepEqual(await collection.peek(), all);
  assert.deepEqual((await collection.peek(2)).ids, ["id1", "uri9"]);
  const one = { ids: ["uri9"], embeddings: null, documents: [DOCUMENTS[1]], metadatas: [METADATAS[1]] };
  assert.deepEqual(await collection.get(["uri9"]), one);
  assert.deepEqual(await collection.get("uri9"), one);
  assert.deepEqual((await collection.get(undefined, { style: "style2" }, 1, 0)).ids, ["uri10"]);
});

test("query", real, async () => {
  const collection = await filled();
  const found = await collection.query([[1.1, 2.3, 3.2], [5.1, 4.3, 2.2]], 2, { style: "style2" });
  assert.deepEqual(Object.keys(found), ["ids", "embeddings", "documents", "metadatas", "distances"]);
  assert.deepEqual(found.ids, [["uri12", "uri10"], ["uri10", "uri12"]]);
  assert.equal(found.embeddings, null);
  assert.deepEqual(found.documents, [["doc288822", "that is a document"], ["that is a document", "doc288822"]]);
  const single = await collection.query([1.1, 2.3, 3.2], 2);
  assert.deepEqual(single.ids[0].sort(), ["id1", "uri9"]);
  for (const distance of single.distances[0]) assert.ok(Math.abs(distance - 0.56) < 1e-5);
  const { ids, distances } = await collection.query(undefined, 1, undefined, "doc28");
  assert.deepEqual([ids, distances], [[["uri12"]], [[16]]]);
  const wrong = await collection.query([1.1, 2.3], 1);
  assert.match(wrong.error, /^InvalidDimension: .*dimension 3/);
  assert.equal(wrong.ids, undefined);
});

test("delete and createIndex", real, async () => {
  const collection = await filled();
  assert.equal((await collection.createIndex()).data, true);
  assert.equal((await collection.delete(["uri9"])).length, 1);
  assert.equal((await collection.delete(undefined, { style: "style1" })).length, 1);
  assert.deepEqual((await collection.get()).ids, ["id1", "uri10", "uri12"]);
  assert.equal((await collection.delete()).length, 3);
  assert.equal(await collection.count(), 0);
});

test("reset", real, async () => {
  const client = new ChromaClient(URL_);
  await filled();
  assert.equal((await client.reset()).data, true);
  assert.deepEqual(await client.listCollections(), []);
});
