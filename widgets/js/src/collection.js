import { named } from "./arguments.js";
import { ChromaInvalidArgumentError } from "./errors.js";
import { embedded, items, listed, mayPack, sent, texts, vectors } from "./items.js";

/** @import { Transport, Limits } from "./transport.js" */
/** @import { Embedder, Vector } from "./items.js" */

const ITEMS = ["ids", "embeddings", "metadatas", "documents"];

/** A collection on a server: made by ChromaClient, not by `new`. */
export class Collection {
  #transport;

  /**
   * @param {Transport} transport
   * @param {{ name: string, id?: string, metadata?: any }} info
   * @param {Embedder} [embeddingFunction]
   */
  constructor(transport, info, embeddingFunction) {
    this.#transport = transport;
    this.name = info.name;
    this.id = info.id;
    this.metadata = info.metadata ?? null;
    this.embeddingFunction = embeddingFunction;
  }

  /** @param {unknown[]} args */
  async count(...args) {
    return this.#call("GET", "count", undefined, { limits: named("count", args, []) });
  }

  /** @param {unknown[]} args */
  async add(...args) {
    const { incrementIndex, ...fields } = named("add", args, [...ITEMS, "incrementIndex"]);
    return this.#write("add", fields, { increment_index: incrementIndex });
  }

  /** @param {unknown[]} args */
  async upsert(...args) {
    const { incrementIndex, ...fields } = named("upsert", args, [...ITEMS, "incrementIndex"]);
    return this.#write("upsert", fields, { increment_index: incrementIndex });
  }

  /** @param {unknown[]} args */
  async update(...args) {
    return this.#write("update", named("update", args, ITEMS));
  }

  /** @param {unknown[]} args */
  async get(...args) {
    const order = ["ids", "where", "limit", "offset", "include", "whereDocument"];
    const { ids, where, limit, offset, include, whereDocument, ...limits } = named("get", args, order);
    const asked = listed(ids);
    const none = asked?.length === 0; // of an empty list, Chroma 0.3 makes SQL that is wrong
    const body = {
      ids: none ? undefined : asked,
      where,
      limit: none ? 0 : limit,
      offset,
      include: listed(include),
      where_document: whereDocument,
    };
    return this.#call("POST", "get", body, { again: true, limits });
  }

  /** @param {unknown[]} args */
  async peek(...args) {
    const { limit = 10, ...limits } = named("peek", args, ["limit"]);
    return this.#call("POST", "get", { limit }, { again: true, limits });
  }

  /** @param {unknown[]} args */
  async query(...args) {
    const order = ["queryEmbeddings", "nResults", "where", "queryTexts", "whereDocument", "include"];
    const fields = named("query", args, order, ["ids"]);
    const { queryEmbeddings, nResults = 10, where, queryTexts, whereDocument, include, ids, ...limits } = fields;
    const body = {
      query_embeddings: sent(await this.#queryVectors(queryEmbeddings, queryTexts), false),
      n_results: nResults,
      where,
      where_document: whereDocument,
      include: listed(include),
      ids: listed(ids),
    };
    return this.#call("POST", "query", body, { again: true, limits });
  }

  /** @param {unknown[]} args */
  async delete(...args) {
    const { ids, where, whereDocument, ...limits } = named("delete", args, ["ids", "where", "whereDocument"]);
    const asked = listed(ids);
    if (ids === undefined && where === undefined && whereDocument === undefined && namesACondition(args)) {
      throw new ChromaInvalidArgumentError(
        "delete: every condition is null or undefined, which would delete all items. To do that, call delete().",
      );
    }
    if (asked?.length === 0) return []; // Chroma 0.3 takes no ids for all ids
    return this.#call("POST", "delete", { ids: asked, where, where_document: whereDocument }, { limits });
  }

  /** @param {unknown[]} args */
  async modify(...args) {
    const { name, metadata, ...limits } = named("modify", args, ["name", "metadata"]);
    const answer = await this.#call("PUT", "", { new_name: name, new_metadata: metadata }, { limits });
    this.name = name ?? this.name;
    this.metadata = metadata ?? this.metadata;
    return answer;
  }

  /** @param {unknown[]} args */
  async createIndex(...args) {
    const limits = named("createIndex", args, []);
    return this.#transport.call("POST", `/collections/${encodeURIComponent(this.name)}/create_index`, { limits });
  }

  /**
   * @param {string} call
   * @param {Record<string, any>} given
   * @param {Record<string, unknown>} [extra]
   */
  async #write(call, { signal, timeout, ...fields }, extra = {}) {
    const { ids, embeddings, metadatas, documents } = await items(call, fields, this.embeddingFunction);
    if (call !== "update" && embeddings === undefined) {
      throw new ChromaInvalidArgumentError(`${call}: needs embeddings or documents`);
    }
    const limits = { signal, timeout };
    const packed = mayPack(embeddings) && (await this.#transport.packs(limits));
    const body = { ids, embeddings: sent(embeddings, packed), metadatas, documents, ...extra };
    return this.#call("POST", call, body, { again: call !== "add", limits });
  }

  /**
   * @param {any} embeddings
   * @param {any} queryTexts
   * @returns {Promise<Vector[]>}
   */
  async #queryVectors(embeddings, queryTexts) {
    const given = vectors("query", "queryEmbeddings", embeddings);
    if (given?.length === 0) throw new ChromaInvalidArgumentError("query: queryEmbeddings holds no vector");
    if (given !== undefined) return given;
    const asked = texts("query", "queryTexts", listed(queryTexts));
    if (asked === undefined) throw new ChromaInvalidArgumentError("query: needs queryEmbeddings or queryTexts");
    return embedded("query", asked, this.embeddingFunction);
  }

  /**
   * @param {string} method
   * @param {string} call
   * @param {Record<string, unknown> | undefined} body
   * @param {{ again?: boolean, limits: Limits }} about
   */
  #call(method, call, body, about) {
    // Names change; before Chroma 0.3.23 collections had no ids.
    const place = `/collections/${encodeURIComponent(this.id ?? this.name)}`;
    return this.#transport.call(method, call === "" ? place : `${place}/${call}`, { body, ...about });
  }
}

/**
 * Whether a caller of delete wrote a condition at all.
 *
 * @param {unknown[]} args
 */
function namesACondition(args) {
  const [first] = args;
  if (typeof first !== "object" || first === null) return args.length > 0;
  return Object.keys(first).some((key) => key !== "signal" && key !== "timeout");
}
