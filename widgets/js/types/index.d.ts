// The types of this package, kept by hand; test/types.test.js compares them with the code.

export type MetadataValue = string | number | boolean | bigint;
export type Metadata = Record<string, MetadataValue>;
/** A vector; its numbers are stored as float32. Float32Arrays travel fastest. */
export type Vector = number[] | Float32Array | Float64Array;
export type OneOrMany<T> = T | T[];
export type Include = "documents" | "embeddings" | "metadatas" | "distances";

/** A filter on metadata: `{ lang: "en" }`, `{ year: { $gte: 2000 } }`, `{ $and: [..., ...] }`. */
export type Where = { [key: string]: unknown };
/** A filter on documents: `{ $contains: "text" }`, `{ $or: [..., ...] }`. */
export type WhereDocument = { [operator: string]: unknown };

/** Makes vectors of texts, one for each. */
export interface EmbeddingFunction {
  generate(texts: string[]): PromiseLike<ArrayLike<ArrayLike<number>>>;
}

/** Fields that every call takes in its object form. */
export interface CallOptions {
  /** Ends the call: it then rejects with the signal's reason. */
  signal?: AbortSignal | null;
  /** Milliseconds for this call, second attempts included; 0: no limit. */
  timeout?: number | null;
}

export interface CollectionInfo {
  name: string;
  id?: string;
  metadata: Metadata | null;
  [more: string]: unknown;
}

/** Lists side by side; null for what was not included. */
export interface GetResult {
  ids: string[];
  embeddings: number[][] | null;
  documents: (string | null)[] | null;
  metadatas: (Metadata | null)[] | null;
  [more: string]: unknown;
}

/** As GetResult, with one list inside for each query, nearest first. */
export interface QueryResult {
  ids: string[][];
  embeddings: number[][][] | null;
  documents: (string | null)[][] | null;
  metadatas: (Metadata | null)[][] | null;
  distances: number[][] | null;
  [more: string]: unknown;
}

export interface ChromaClientOptions {
  /** Address of the server; default `http://localhost:8000`. Or give host, port and ssl. */
  path?: string;
  host?: string;
  port?: number | string;
  ssl?: boolean;
  /** Sent as `Authorization: Bearer ...`. */
  token?: string;
  /** The same in the form of Chroma's client, with HTTP's basic authentication besides. */
  auth?:
    | {
        provider: "token";
        credentials: string;
        tokenHeaderType?: "AUTHORIZATION" | "X_CHROMA_TOKEN";
        providerOptions?: { headerType?: "AUTHORIZATION" | "X_CHROMA_TOKEN" };
      }
    | { provider: "basic"; credentials: string | { username: string; password: string } };
  headers?: Record<string, string>;
  /** Passed on to fetch. A `signal` in it ends every call of the client. */
  fetchOptions?: RequestInit;
  /** What is called instead of the global fetch. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** Milliseconds for a call, second attempts included; default 120000, 0: no limit. */
  timeout?: number;
  /** How often a call that may be repeated is tried again after a broken connection or an overload; default 2. */
  retries?: number;
  tenant?: string;
  database?: string;
}

export interface CreateCollection extends CallOptions {
  name: string;
  metadata?: Metadata | null;
  embeddingFunction?: EmbeddingFunction | null;
  /** Of the index: `{ hnsw: { space: "cosine" } }`. */
  configuration?: Record<string, unknown> | null;
}

export declare class ChromaClient {
  constructor(path?: string);
  constructor(options: ChromaClientOptions);

  /** The server's clock, in nanoseconds since 1970 (as exact as a number can say it). */
  heartbeat(options?: CallOptions): Promise<number>;
  version(options?: CallOptions): Promise<string>;
  /** Delete everything, if the server allows it. */
  reset(options?: CallOptions): Promise<boolean>;
  persist(options?: CallOptions): Promise<unknown>;
  /** Run SQL that reads, if the server allows it. */
  rawSql(sql: string): Promise<unknown>;
  rawSql(options: { sql: string } & CallOptions): Promise<unknown>;

  listCollections(options?: { limit?: number | null; offset?: number | null } & CallOptions): Promise<CollectionInfo[]>;
  createCollection(
    name: string,
    metadata?: Metadata | null,
    embeddingFunction?: EmbeddingFunction | null,
  ): Promise<Collection>;
  createCollection(options: CreateCollection): Promise<Collection>;
  getOrCreateCollection(
    name: string,
    metadata?: Metadata | null,
    embeddingFunction?: EmbeddingFunction | null,
  ): Promise<Collection>;
  getOrCreateCollection(options: CreateCollection): Promise<Collection>;
  getCollection(name: string, embeddingFunction?: EmbeddingFunction | null): Promise<Collection>;
  getCollection(
    options: { name: string; embeddingFunction?: EmbeddingFunction | null } & CallOptions,
  ): Promise<Collection>;
  deleteCollection(name: string): Promise<unknown>;
  deleteCollection(options: { name: string } & CallOptions): Promise<unknown>;
}

export interface Items extends CallOptions {
  ids: OneOrMany<string>;
  embeddings?: OneOrMany<Vector> | null;
  metadatas?: OneOrMany<Metadata | null> | null;
  documents?: OneOrMany<string | null> | null;
}

export interface Conditions extends CallOptions {
  ids?: OneOrMany<string> | null;
  where?: Where | null;
  whereDocument?: WhereDocument | null;
}

export interface Get extends Conditions {
  limit?: number | null;
  offset?: number | null;
  include?: OneOrMany<Exclude<Include, "distances">> | null;
}

export interface Query extends Conditions {
  queryEmbeddings?: OneOrMany<Vector> | null;
  /** Used where there are no queryEmbeddings; needs an embedding function. */
  queryTexts?: OneOrMany<string> | null;
  /** Default 10. */
  nResults?: number | null;
  include?: OneOrMany<Include> | null;
}

/** A collection on a server: made by ChromaClient, not by `new`. */
export declare class Collection {
  private constructor();
  name: string;
  id: string | undefined;
  metadata: Metadata | null;
  embeddingFunction: EmbeddingFunction | undefined;

  count(options?: CallOptions): Promise<number>;

  /** Resolves to false if every id was there already; what is there stays as it is. */
  add(
    ids: OneOrMany<string>,
    embeddings?: OneOrMany<Vector> | null,
    metadatas?: OneOrMany<Metadata | null> | null,
    documents?: OneOrMany<string | null> | null,
    incrementIndex?: boolean,
  ): Promise<boolean>;
  add(items: Items & { incrementIndex?: boolean | null }): Promise<boolean>;

  upsert(
    ids: OneOrMany<string>,
    embeddings?: OneOrMany<Vector> | null,
    metadatas?: OneOrMany<Metadata | null> | null,
    documents?: OneOrMany<string | null> | null,
    incrementIndex?: boolean,
  ): Promise<boolean>;
  upsert(items: Items & { incrementIndex?: boolean | null }): Promise<boolean>;

  update(
    ids: OneOrMany<string>,
    embeddings?: OneOrMany<Vector> | null,
    metadatas?: OneOrMany<Metadata | null> | null,
    documents?: OneOrMany<string | null> | null,
  ): Promise<boolean>;
  update(items: Items): Promise<boolean>;

  get(
    ids?: OneOrMany<string> | null,
    where?: Where | null,
    limit?: number | null,
    offset?: number | null,
    include?: OneOrMany<Exclude<Include, "distances">> | null,
    whereDocument?: WhereDocument | null,
  ): Promise<GetResult>;
  get(options: Get): Promise<GetResult>;

  query(
    queryEmbeddings: OneOrMany<Vector> | null | undefined,
    nResults?: number | null,
    where?: Where | null,
    queryTexts?: OneOrMany<string> | null,
    whereDocument?: WhereDocument | null,
    include?: OneOrMany<Include> | null,
  ): Promise<QueryResult>;
  query(options: Query): Promise<QueryResult>;

  /** The first items, 10 if nothing else is said. */
  peek(limit?: number | null): Promise<GetResult>;
  peek(options: { limit?: number | null } & CallOptions): Promise<GetResult>;

  /** Delete the items that meet all conditions; without any, all items. */
  delete(
    ids?: OneOrMany<string> | null,
    where?: Where | null,
    whereDocument?: WhereDocument | null,
  ): Promise<unknown>;
  delete(options: Conditions): Promise<unknown>;

  modify(name?: string | null, metadata?: Metadata | null): Promise<unknown>;
  modify(options: { name?: string | null; metadata?: Metadata | null } & CallOptions): Promise<unknown>;

  createIndex(options?: CallOptions): Promise<boolean>;
}

/** Base of all errors of this client. */
export declare class ChromaError extends Error {
  constructor(message: string, about?: { status?: number; code?: string; cause?: unknown });
  /** Of the answer (HTTP); undefined if nothing was sent or answered. */
  status: number | undefined;
  /** The server's name for it, such as "InvalidDimension". */
  code: string | undefined;
}
/** No answer: nobody listens, or the connection broke. */
export declare class ChromaConnectionError extends ChromaError {}
/** No answer in time. */
export declare class ChromaTimeoutError extends ChromaConnectionError {}
/** 400, 413, 422, and what is refused before anything is sent. */
export declare class ChromaInvalidArgumentError extends ChromaError {}
export declare class ChromaUnauthorizedError extends ChromaError {}
export declare class ChromaForbiddenError extends ChromaError {}
export declare class ChromaNotFoundError extends ChromaError {}
/** Something to be created is there already. */
export declare class ChromaUniqueError extends ChromaError {}
export declare class ChromaOverloadedError extends ChromaError {
  constructor(message: string, about?: { status?: number; code?: string; cause?: unknown; retryAfter?: number });
  /** Seconds after which the server may be asked again. */
  retryAfter: number | undefined;
}
/** The server cannot do this; also: it does not speak API v1. */
export declare class ChromaNotSupportedError extends ChromaError {}
/** The server failed, or what answers is no Chroma server. */
export declare class ChromaServerError extends ChromaError {}
