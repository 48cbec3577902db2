// Code in TypeScript that uses this package; it is compiled, not run.

import {
  ChromaClient,
  ChromaError,
  ChromaOverloadedError,
  type Collection,
  type EmbeddingFunction,
  type GetResult,
  type QueryResult,
} from "chroma-nb";

class Embedder implements EmbeddingFunction {
  async generate(texts: string[]): Promise<number[][]> {
    return texts.map((text) => [text.length]);
  }
}

export async function positional(): Promise<void> {
  const client = new ChromaClient("http://localhost:8000");
  const collection: Collection = await client.createCollection("name", { n: 1 }, new Embedder());
  await collection.add("id1", [1.5, 2.9, 3.4], { source: "my_source" }, "This is a document");
  await collection.add(["a", "b"], undefined, [{ n: 1n }, null], ["x", "y"]);
  const found: QueryResult = await collection.query([[1, 2]], 2, { style: "style2" });
  const distance: number | undefined = found.distances?.[0]?.[0];
  const all: GetResult = await collection.get();
  const texts: (string | null)[] = all.documents ?? [];
  await collection.delete();
  console.log(distance, texts, await collection.peek(5), await collection.count());
}

export async function named(signal: AbortSignal): Promise<number[][][] | null> {
  const client = new ChromaClient({ host: "localhost", port: 8000, token: "secret", fetchOptions: { cache: "no-store" } });
  const collection = await client.getOrCreateCollection({ name: "name", configuration: { hnsw: { space: "cosine" } } });
  await collection.upsert({ ids: ["a"], embeddings: [new Float32Array([1, 2])], documents: [null], signal });
  await collection.update({ ids: "a", metadatas: { n: 2 }, timeout: 500 });
  const asked = { queryTexts: ["x"], nResults: 3, whereDocument: { $contains: "y" } };
  try {
    return (await collection.query({ ...asked, include: ["embeddings"] })).embeddings;
  } catch (error) {
    if (error instanceof ChromaOverloadedError) console.log(error.retryAfter);
    if (error instanceof ChromaError) console.log(error.status, error.code, error.message);
    throw error;
  }
}

export async function mistakes(client: ChromaClient, collection: Collection): Promise<void> {
  // @ts-expect-error no such field
  await collection.get({ lang: "en" });
  // @ts-expect-error ids are texts
  await collection.add([1, 2], [[1], [2]]);
  // @ts-expect-error the result has distances only after a query
  (await collection.get()).distances.length;
  // @ts-expect-error get has no distances
  await collection.get({ include: ["distances"] });
  // @ts-expect-error a name is needed
  await client.createCollection();
  // @ts-expect-error an embedding function is an object
  await client.createCollection("name", undefined, (texts: string[]) => texts);
  // @ts-expect-error no such option
  new ChromaClient({ pth: "http://localhost" });
}
