// The JavaScript snippets of the original API reference, as they are printed there. Not a module: in its query, the
// names of the arguments are assignments to variables that nobody declares.

const assert = require("node:assert/strict");
const { test } = require("node:test");

test("the reference", async (context) => {
  const { ChromaClient } = await import("chroma-nb");
  const { URL_, real } = await import("./real.js");
  if (real.skip) return context.skip(real.skip);

  const { fetch } = globalThis;
  context.mock.method(globalThis, "fetch", (url, init) => fetch(url.replace("http://localhost:8000", URL_), init));

  const chroma_client = new ChromaClient();

  const client = chroma_client;
  await client.reset();
  const embedder = { generate: async (texts) => texts.map((text) => [text.length, 1, 0.5]) };
  {
    const collection = await client.createCollection("testname");
    assert.deepEqual((await client.listCollections()).map(({ name }) => name), ["testname"]);
    assert.equal(collection.name, "testname");
  }
  {
    const collection = await client.getCollection("testname");
    assert.equal(await collection.count(), 0);
  }
  const collection = await client.getCollection("testname", embedder);

  await collection.add(
      "id1",
      [1.5, 2.9, 3.4],
      {"source": "my_source"},
      "This is a document",
  );
  await collection.add(
      ["uri9", "uri10"],
      [[1.5, 2.9, 3.4], [9.8, 2.3, 2.9]],
      [{"style": "style1"}, {"style": "style2"}],
      ["This is a document", 'that is a document']
  );
  assert.equal(await collection.count(), 3);
  await collection.delete(["uri9", "uri10"]);
  await collection.add(
      ["uri9", "uri10"],
      undefined,
      [{"style": "style1"}, {"style": "style2"}],
      ["doc1000101", "doc288822"],
  );

  assert.deepEqual(await collection.get(), {
    ids: ["id1", "uri9", "uri10"],
    embeddings: null,
    documents: ["This is a document", "doc1000101", "doc288822"],
    metadatas: [{ source: "my_source" }, { style: "style1" }, { style: "style2" }],
  });
  assert.deepEqual((await collection.peek()).ids, ["id1", "uri9", "uri10"]);

  const found = await collection.query(
      query_embeddings=[[1.1, 2.3, 3.2], [5.1, 4.3, 2.2]],
      n_results=2,
      where={"style": "style2"}
  );
  assert.deepEqual(found.ids, [["uri10"], ["uri10"]]);
  assert.deepEqual(found.documents, [["doc288822"], ["doc288822"]]);

  assert.equal(await collection.createIndex(), true);
  await collection.delete();
  assert.equal(await collection.count(), 0);
  await client.deleteCollection("testname");
  assert.deepEqual(await client.listCollections(), []);
});

test("require gives the same package, where Node can", async (context) => {
  if (!process.features.require_module) return context.diagnostic("this Node cannot require modules");
  const required = require("chroma-nb");
  assert.equal(required.ChromaClient, (await import("chroma-nb")).ChromaClient);
});
