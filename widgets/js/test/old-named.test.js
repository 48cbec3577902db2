// npm chromadb 1.5.6 as it is (named arguments, ids of collections in addresses), and a real server of ours. What
// Chroma answered to the same calls is known from recordings.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { URL_, freshName, real } from "./real.js";

let ChromaClient;
before(async () => {
  if (!real.skip) ({ ChromaClient } = await import("chromadb-named"));
});

const embeddingFunction = { generate: async (texts) => texts.map((text) => [text.length, 1, 0.5]) };
const DOCUMENTS = ["This is a document", "This is a document", "that is a document", "doc1000101", "doc288822"];
const METADATAS = [
  { source: "my_source" },
  { style: "style1" },
  { style: "style2" },
  { style: "style1" },
  { style: "style2" },
];
const IDS = ["id1", "uri9", "uri10", "uri11", "uri12"];

async function filled() {
  const collection = await new ChromaClient({ path: URL_ }).createCollection({ name: freshName(), embeddingFunction });
  const [id, metadata, document] = [IDS[0], METADATAS[0], DOCUMENTS[0]];
  const embedding = [1.5, 2.9, 3.4];
  assert.equal(
    await collection.add({ ids: id, embeddings: embedding, metadatas: metadata, documents: document }),
    true,
  );
  const [ids, metadatas, documents] = [IDS, METADATAS, DOCUMENTS].map((column) => column.slice(1, 3));
  assert.equal(await collection.add({ ids, embeddings: [embedding, [9.8, 2.3, 2.9]], metadatas, documents }), true);
  const rest = { ids: IDS.slice(3), metadatas: METADATAS.slice(3), documents: DOCUMENTS.slice(3) };
  assert.equal(await collection.add(rest), true);
  return collection;
}

test("the client", real, async () => {
  const client = new ChromaClient({ path: URL_ });
  assert.match(await client.version(), /^\d+\.\d+\.\d+/);
  assert.ok(Math.abs((await client.heartbeat()) / 1e6 - Date.now()) < 60_000);
  const name = freshName();
  const made = await client.createCollection({ name, metadata: { a: 1 } });
  assert.match(made.id, /^[0-9a-f-]{36}$/);
  await assert.rejects(client.createCollection({ name }), { message: /already exists/ });
  const again = await client.getOrCreateCollection({ name, metadata: { a: 2 } });
  assert.deepEqual([again.id, again.metadata], [made.id, { a: 2 }]);
  const found = (await client.listCollections()).find((one) => one.name === name);
  assert.deepEqual([found.id, found.metadata], [made.id, { a: 2 }]);
  assert.equal((await client.getCollection({ name })).id, made.id);
  await assert.rejects(client.getCollection({ name: "missing_one" }), { message: /InvalidCollection: .*missing_one/ });
  assert.equal(await made.count(), 0);
  assert.equal(await client.deleteCollection({ name }), null);
  assert.ok((await client.deleteCollection({ name })).error);
});

test("get and peek", real, async () => {
  const collection = await filled();
  const all = { ids: IDS, embeddings: null, documents: DOCUMENTS, metadatas: METADATAS };
  assert.equal(await collection.count(), 5);
  assert.deepEqual(await collection.get(), all);
  assert.deepEqual(await collection.peek(), all);
  assert.deepEqual((await collection.get({ ids: ["uri9"] })).documents, [DOCUMENTS[1]]);
  assert.deepEqual((await collection.get({ where: { style: "style2" }, limit: 1, offset: 0 })).ids, ["uri10"]);
  const found = await collection.get({ include: ["embeddings"], whereDocument: { $contains: "doc1" } });
  assert.deepEqual(found, { ids: ["uri11"], embeddings: [[10, 1, 0.5]], documents: null, metadatas: null });
});

test("query", real, async () => {
  const collection = await filled();
  const queryEmbeddings = [[1.1, 2.3, 3.2], [5.1, 4.3, 2.2]];
  const found = await collection.query({ queryEmbeddings, nResults: 2, where: { style: "style2" } });
  assert.deepEqual(Object.keys(found), ["ids", "embeddings", "documents", "metadatas", "distances"]);
  assert.deepEqual(found.ids, [["uri12", "uri10"], ["uri10", "uri12"]]);
  assert.deepEqual(found.documents, [["doc288822", "that is a document"], ["that is a document", "doc288822"]]);
  const single = await collection.query({ queryEmbeddings: [1.1, 2.3, 3.2], nResults: 2 });
  assert.deepEqual(single.ids[0].sort(), ["id1", "uri9"]);
  const { ids, distances } = await collection.query({ queryTexts: "doc28", nResults: 1 });
  assert.deepEqual([ids, distances], [[["uri12"]], [[16]]]);
  assert.deepEqual((await collection.query({ queryEmbeddings: [1, 2, 3], include: [] })).distances, null);
  const wrong = await collection.query({ queryEmbeddings: [1.1, 2.3] });
  assert.deepEqual(Object.keys(wrong), ["error"]);
  assert.match(wrong.error, /^InvalidDimension: .*dimension 3/);
});

test("update, upsert, modify, delete", real, async () => {
  const collection = await filled();
  const one = { ids: "uri9", embeddings: [1, 2, 3], metadatas: { style: "x" }, documents: "new doc" };
  assert.equal(await collection.update(one), true);
  const found = await collection.get({ ids: "uri9", include: ["documents", "metadatas", "embeddings"] });
  assert.deepEqual(found, {
    ids: ["uri9"],
    embeddings: [[1, 2, 3]],
    documents: ["new doc"],
    metadatas: [{ style: "x" }],
  });
  const metadatas = [{ u: 1 }, { u: 2 }];
  const embeddings = [[1, 2, 3], [3, 2, 1]];
  assert.equal(await collection.upsert({ ids: ["uri9", "up1"], embeddings, metadatas, documents: ["d1", "d2"] }), true);
  assert.equal(await collection.count(), 6);
  assert.equal(await collection.add({ ids: "up1", embeddings: [0, 0, 0] }), false);

  assert.equal(await collection.modify({ name: freshName(), metadata: { m: 1 } }), null);
  assert.equal(await collection.count(), 6); // by its id
  assert.equal((await collection.delete({ ids: ["uri9"] })).length, 1);
  assert.equal((await collection.delete({ where: { style: "style1" } })).length, 1);
  assert.equal((await collection.delete()).length, 4);
  assert.equal(await collection.count(), 0);
});

test("what is refused is told, not thrown, as that client does", real, async () => {
  const collection = await filled();
  for (const asked of [{ where: { a: { $near: 1 } } }, { whereDocument: { $near: 1 } }, { limit: -1 }]) {
    assert.match((await collection.get(asked)).error, /InvalidArgument/, JSON.stringify(asked));
  }
  assert.match((await collection.update({ ids: "nobody", embeddings: [1, 2, 3] })).error, /IDNotFound/);
});

test("reset", real, async () => {
  const client = new ChromaClient({ path: URL_ });
  await filled();
  await client.reset();
  assert.deepEqual(await client.listCollections(), []);
});
