// This client and a real server.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ChromaClient,
  ChromaForbiddenError,
  ChromaInvalidArgumentError,
  ChromaNotFoundError,
  ChromaUnauthorizedError,
  ChromaUniqueError,
  Collection,
} from "chroma-nb";
import { URL_, LOCKED_URL, embedder, freshName, real } from "./real.js";

/** @returns {Promise<Collection>} the items of the reference, in a collection of their own */
async function reference() {
  const collection = await new ChromaClient(URL_).createCollection(freshName(), { about: "tests" }, embedder);
  const added = await collection.add({
    ids: ["id1", "uri9", "uri10"],
    embeddings: [[1.5, 2.9, 3.4], [1.5, 2.9, 3.4], [9.8, 2.3, 2.9]], // prettier-ignore
    metadatas: [{ source: "my_source" }, { style: "style1" }, null],
    documents: ["This is a document", "this is a document", null],
  });
  assert.equal(added, true);
  return collection;
}

test("the client", real, async () => {
  const client = new ChromaClient({ path: URL_ });
  const beat = await client.heartbeat();
  assert.ok(Math.abs(beat / 1e6 - Date.now()) < 60_000, String(beat));
  assert.match(await client.version(), /^\d+\.\d+\.\d+/);
  await client.persist();

  const name = freshName();
  const made = await client.createCollection(name, { n: 1, big: 2n ** 62n + 1n });
  assert.ok(made instanceof Collection);
  assert.match(made.id, /^[0-9a-f-]{36}$/);
  assert.deepEqual(made.metadata, { n: 1, big: 2n ** 62n + 1n });
  const listed = await client.listCollections();
  assert.equal(listed.filter((one) => one.name === name && one.id === made.id && one.metadata.n === 1).length, 1);
  assert.equal((await client.getCollection(name)).id, made.id);
  const again = await client.getOrCreateCollection({ name, metadata: { n: 2 } });
  assert.deepEqual([again.id, again.metadata], [made.id, { n: 2 }]);

  await assert.rejects(client.createCollection(name), ChromaUniqueError);
  await assert.rejects(client.createCollection("no"), { name: "ChromaInvalidArgumentError", status: 400 });
  await client.deleteCollection(name);
  await assert.rejects(client.getCollection({ name }), ChromaNotFoundError);
  await assert.rejects(client.deleteCollection({ name }), ChromaNotFoundError);
  await assert.rejects(made.count(), ChromaNotFoundError);
});

test("index settings", real, async () => {
  const client = new ChromaClient(URL_);
  const name = freshName();
  const made = await client.createCollection({ name, configuration: { hnsw: { space: "cosine" } } });
  await made.add("a", [3, 0]);
  assert.deepEqual((await made.query([5, 0])).distances, [[0]]);
  const other = await client.createCollection(freshName(), { "hnsw:space": "ip" });
  await other.add("a", [3, 0]);
  assert.deepEqual((await other.query([5, 0])).distances, [[-14]]);
});

test("get and peek", real, async () => {
  const collection = await reference();
  const all = {
    ids: ["id1", "uri9", "uri10"],
    embeddings: null,
    documents: ["This is a document", "this is a document", null],
    metadatas: [{ source: "my_source" }, { style: "style1" }, null],
  };
  assert.deepEqual(await collection.get(), all);
  assert.deepEqual(await collection.peek(), all);
  assert.deepEqual((await collection.peek(1)).ids, ["id1"]);
  assert.deepEqual((await collection.get([])).ids, []);
  assert.deepEqual((await collection.get("uri10")).ids, ["uri10"]);
  assert.deepEqual((await collection.get(["uri10", "nobody", "id1"])).ids, ["uri10", "id1"]);
  assert.deepEqual((await collection.get(undefined, { style: "style1" }, 1, 0)).ids, ["uri9"]);
  assert.deepEqual((await collection.get({ limit: 1, offset: 1 })).ids, ["uri9"]);
  const found = await collection.get({ whereDocument: { $contains: "This" }, include: ["embeddings"] });
  assert.deepEqual([found.ids, found.documents, found.metadatas], [["id1"], null, null]);
  assert.deepEqual(found.embeddings[0].map(Math.fround), [1.5, 2.9, 3.4].map(Math.fround));
  await assert.rejects(collection.get({ where: { n: { $near: 1 } } }), { status: 400, message: /where/i });
});

test("query", real, async () => {
  const collection = await reference();
  const found = await collection.query([[1.1, 2.3, 3.2], [9, 2, 3]], 2);
  assert.deepEqual([found.ids[0].sort(), found.ids[1][0]], [["id1", "uri9"], "uri10"]);
  assert.equal(found.embeddings, null);
  assert.equal(found.documents[1][0], null);
  assert.ok(Math.abs(found.distances[0][0] - 0.56) < 1e-5);
  const where = { style: "style1" };
  const styled = await collection.query({ queryEmbeddings: [1, 2, 3], where, include: "distances" });
  assert.deepEqual([styled.ids, styled.documents, styled.metadatas], [[["uri9"]], null, null]);
  const among = await collection.query({ queryEmbeddings: new Float32Array([1, 2, 3]), ids: "uri10", nResults: 5 });
  assert.deepEqual(among.ids, [["uri10"]]);
  await assert.rejects(collection.query([1, 2]), { status: 400, code: "InvalidDimension", message: /3/ });
  await assert.rejects(collection.query([1, 2, 3], 0), ChromaInvalidArgumentError);
});

test("texts become vectors by the embedding function", real, async () => {
  const client = new ChromaClient(URL_);
  const name = freshName();
  const collection = await client.createCollection(name, {}, embedder);
  await collection.add(["a", "b"], undefined, [{ n: 1 }, { n: 2 }], ["x", "long text"]);
  assert.deepEqual((await collection.query(undefined, 1, undefined, "longtext")).ids, [["b"]]);
  const again = await client.getCollection({ name, embeddingFunction: embedder });
  assert.deepEqual((await again.query({ queryTexts: ["y", "longtext"], nResults: 1 })).ids, [["a"], ["b"]]);
  await again.update("a", undefined, undefined, "a text of 20 letters");
  const { embeddings } = await again.get({ ids: "a", include: ["embeddings"] });
  assert.deepEqual(embeddings, [[20, 1]]);
});

test("writing", real, async () => {
  const collection = await reference();
  assert.equal(await collection.count(), 3);
  assert.equal(await collection.add("id1", [0, 0, 0]), false);
  assert.deepEqual((await collection.get({ ids: "id1", include: "embeddings" })).embeddings[0][0], 1.5);
  await collection.upsert(["id1", "new"], [[1, 2, 3], [4, 5, 6]], [{ n: 1 }, { n: 2 }]);
  await collection.update({ ids: "new", metadatas: { n: 3 } });
  assert.deepEqual((await collection.get(["id1", "new"])).metadatas, [{ n: 1 }, { n: 3 }]);
  await assert.rejects(collection.update("nobody", [1, 2, 3]), ChromaNotFoundError);
  await assert.rejects(collection.add("x", [1, 2]), { status: 400, code: "InvalidDimension" });

  await collection.delete([]);
  assert.equal(await collection.count(), 4);
  await collection.delete(["new", "nobody"]);
  await collection.delete(undefined, { n: 1 });
  assert.deepEqual((await collection.get()).ids, ["uri9", "uri10"]);
  await collection.delete({ whereDocument: { $contains: "this" } });
  assert.equal(await collection.count(), 1);
  assert.equal(await collection.createIndex(), true);
  await collection.delete();
  assert.equal(await collection.count(), 0);
});

test("modify", real, async () => {
  const collection = await reference();
  const name = freshName();
  await collection.modify(name, { now: "other" });
  assert.equal(await collection.count(), 3);
  await collection.modify({ metadata: { now: "again" } });
  const found = await new ChromaClient(URL_).getCollection(name);
  assert.deepEqual([found.id, found.metadata], [collection.id, { now: "again" }]);
  const taken = await reference();
  await assert.rejects(taken.modify(name), ChromaUniqueError);
  assert.notEqual(taken.name, name);
});

test("values come back as they went", real, async () => {
  const collection = await new ChromaClient(URL_).createCollection(freshName());
  const metadata = {
    yes: true, no: false, int: -7, float: 0.1, big: 9007199254740993n, low: -(2n ** 63n), huge: 1e300,
    text: "9007199254740993", empty: "", "<script>": "</script>\u2028\0 \ud83e\udd95", "a.b": "'; drop table x; --",
  };
  const document = "<img src=x onerror=alert(1)> \"quoted\" \\ \n \u{1f995}";
  await collection.add("<id> & /?#%", [1], metadata, document);
  const found = await collection.get({ ids: "<id> & /?#%" });
  assert.deepEqual(found.metadatas, [metadata]);
  assert.deepEqual(found.documents, [document]);
  assert.deepEqual((await collection.get({ where: { big: 9007199254740993n } })).ids, ["<id> & /?#%"]);
  assert.deepEqual((await collection.get({ where: { big: 9007199254740992n } })).ids, []);
  await assert.rejects(collection.add("\ud800", [1]), ChromaInvalidArgumentError);
});

test("float32 vectors travel as they are", real, async () => {
  const asked = [];
  const fetch = (url, init) => {
    asked.push(init.body ?? "");
    return globalThis.fetch(url, init);
  };
  const collection = await new ChromaClient({ path: URL_, fetch }).createCollection(freshName());
  const vector = (row) => Float32Array.from({ length: 33 }, (_, at) => Math.sin(row + at));
  const vectors = Array.from({ length: 50 }, (_, row) => vector(row));
  await collection.add(vectors.map((_, row) => `id${row}`), vectors);
  assert.match(asked.at(-1), /"embeddings":\["[A-Za-z0-9+/=]+"/);
  const { embeddings } = await collection.get({ include: ["embeddings"] });
  assert.deepEqual(embeddings.map((vector) => new Float32Array(vector)), vectors);
});

test("many items at once, as the reference promises: 100k+", real, async () => {
  const collection = await new ChromaClient(URL_).createCollection(freshName());
  const ids = Array.from({ length: 100_001 }, (_, at) => `id${at}`);
  await collection.add({ ids, embeddings: ids.map((_, at) => Float32Array.of(at, 1, 2)) });
  assert.equal(await collection.count(), 100_001);
});

test("a server that wants a token", real, async () => {
  const name = freshName();
  for (const options of [{}, { token: "wrong" }, { headers: { Authorization: "Basic c2VjcmV0" } }]) {
    const client = new ChromaClient({ path: LOCKED_URL, ...options });
    await assert.rejects(client.createCollection(name), ChromaUnauthorizedError);
    await assert.rejects(client.listCollections(), { status: 401 });
    await client.heartbeat();
  }
  const header = { provider: "token", credentials: "secret", tokenHeaderType: "X_CHROMA_TOKEN" };
  for (const options of [{ token: "secret" }, { auth: header }, { headers: { "X-Chroma-Token": "secret" } }]) {
    assert.ok(Array.isArray(await new ChromaClient({ path: LOCKED_URL, ...options }).listCollections()));
  }
  const client = new ChromaClient({ path: LOCKED_URL, token: "secret" });
  await assert.rejects(client.reset(), ChromaForbiddenError);
  await assert.rejects(client.rawSql("select 1"), ChromaForbiddenError);
});

test("SQL that reads, and reset, where they are allowed", real, async () => {
  const client = new ChromaClient(URL_);
  const answer = await client.rawSql("select 40 + 2 as answer");
  assert.match(JSON.stringify(answer), /"answer".*42/);
  await assert.rejects(client.rawSql({ sql: "create table x (a int)" }), ChromaInvalidArgumentError);
  await client.createCollection(freshName());
  assert.equal(await client.reset(), true);
  assert.deepEqual(await client.listCollections(), []);
});
