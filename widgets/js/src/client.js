import { named } from "./arguments.js";
import { Collection } from "./collection.js";
import { ChromaInvalidArgumentError, ChromaServerError } from "./errors.js";
import { isRecord } from "./kinds.js";
import { Transport } from "./transport.js";

const OPTIONS = [
  "path",
  "host",
  "port",
  "ssl",
  "token",
  "auth",
  "headers",
  "fetchOptions",
  "fetch",
  "timeout",
  "retries",
  "tenant",
  "database",
];

/** A client of a server. */
export class ChromaClient {
  #transport;
  #scope;

  /** @param {string | Record<string, any>} [options] */
  constructor(options = {}) {
    const given = typeof options === "string" ? { path: options } : options;
    if (!isRecord(given)) throw new ChromaInvalidArgumentError("new ChromaClient: takes an address or options");
    const unknown = Object.keys(given).find((name) => !OPTIONS.includes(name));
    if (unknown !== undefined) {
      throw new ChromaInvalidArgumentError(`new ChromaClient: no option ${unknown}, only ${OPTIONS.join(", ")}`);
    }
    const { path, host, port, ssl, token, auth, headers = {}, tenant, database } = /** @type {any} */ (given);
    const { fetchOptions = {}, timeout = 120_000, retries = 2 } = /** @type {any} */ (given);
    this.#transport = new Transport({
      base: addressOf({ path, host, port, ssl }),
      headers: { ...authorization(token, auth), ...headers },
      fetchOptions,
      fetch: /** @type {any} */ (given).fetch ?? globalThis.fetch.bind(globalThis),
      timeout,
      retries,
    });
    this.#scope = { tenant, database };
  }

  /** @param {unknown[]} args */
  async heartbeat(...args) {
    const answer = await this.#transport.call("GET", "/heartbeat", { limits: named("heartbeat", args, []) });
    return Number(answer["nanosecond heartbeat"]);
  }

  /** @param {unknown[]} args */
  async version(...args) {
    return this.#transport.call("GET", "/version", { limits: named("version", args, []) });
  }

  /** @param {unknown[]} args */
  async reset(...args) {
    return this.#transport.call("POST", "/reset", { limits: named("reset", args, []) });
  }

  /** @param {unknown[]} args */
  async persist(...args) {
    return this.#transport.call("POST", "/persist", { limits: named("persist", args, []) });
  }

  /** @param {unknown[]} args */
  async rawSql(...args) {
    const { sql, ...limits } = named("rawSql", args, ["sql"]);
    return this.#transport.call("POST", "/raw_sql", { body: { raw_sql: sql }, limits });
  }

  /** @param {unknown[]} args */
  async listCollections(...args) {
    const { limit, offset, ...limits } = named("listCollections", args, [], ["limit", "offset"]);
    return this.#transport.call("GET", "/collections", { query: { ...this.#scope, limit, offset }, limits });
  }

  /** @param {unknown[]} args */
  async createCollection(...args) {
    return this.#create("createCollection", args, undefined);
  }

  /** @param {unknown[]} args */
  async getOrCreateCollection(...args) {
    return this.#create("getOrCreateCollection", args, true);
  }

  /** @param {unknown[]} args */
  async getCollection(...args) {
    const { name, embeddingFunction, ...limits } = named("getCollection", args, ["name", "embeddingFunction"]);
    const path = `/collections/${encodeURIComponent(checkedName("getCollection", name))}`;
    return this.#collection(await this.#transport.call("GET", path, { query: this.#scope, limits }), embeddingFunction);
  }

  /** @param {unknown[]} args */
  async deleteCollection(...args) {
    const { name, ...limits } = named("deleteCollection", args, ["name"]);
    const path = `/collections/${encodeURIComponent(checkedName("deleteCollection", name))}`;
    return this.#transport.call("DELETE", path, { query: this.#scope, limits });
  }

  /**
   * @param {string} call
   * @param {unknown[]} args
   * @param {true | undefined} orGet
   */
  async #create(call, args, orGet) {
    const fields = named(call, args, ["name", "metadata", "embeddingFunction"], ["configuration"]);
    const { name, metadata, embeddingFunction, configuration, ...limits } = fields;
    // Callers of the positional form write {} to get to the third argument.
    const kept = isRecord(metadata) && Object.keys(metadata).length === 0 ? undefined : metadata;
    const body = { name: checkedName(call, name), metadata: kept, configuration, get_or_create: orGet };
    const answer = await this.#transport.call("POST", "/collections", { body, query: this.#scope, limits });
    return this.#collection(answer, embeddingFunction);
  }

  /**
   * @param {any} info
   * @param {any} embeddingFunction
   */
  #collection(info, embeddingFunction) {
    if (typeof info?.name !== "string") {
      const said = JSON.stringify(info)?.slice(0, 200);
      throw new ChromaServerError(`The server answers, but not as a Chroma server does: ${said}`);
    }
    return new Collection(this.#transport, info, embeddingFunction);
  }
}

/**
 * @param {string} call
 * @param {unknown} name
 * @returns {string}
 */
function checkedName(call, name) {
  if (typeof name === "string" && name !== "") return name;
  throw new ChromaInvalidArgumentError(`${call}: needs the name of a collection, a string`);
}

/**
 * @param {{ path?: string, host?: string, port?: number | string, ssl?: boolean }} where
 * @returns {string} without a slash at its end
 */
function addressOf({ path, host, port, ssl }) {
  if (path !== undefined && (host !== undefined || port !== undefined || ssl !== undefined)) {
    throw new ChromaInvalidArgumentError("new ChromaClient: give the path, or host, port and ssl");
  }
  const name = host?.includes(":") && !host.startsWith("[") ? `[${host}]` : (host ?? "localhost"); // IPv6
  const address = path ?? `${ssl ? "https" : "http"}://${name}:${port ?? 8000}`;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== "" || url.hash !== "") {
    throw new ChromaInvalidArgumentError(`new ChromaClient: not an address of a server: ${JSON.stringify(address)}`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new ChromaInvalidArgumentError("new ChromaClient: credentials go into token or auth, not into the address");
  }
  return url.href.replace(/\/+$/, "").replace(/\/api\/v1$/, "");
}

/**
 * The headers that say who asks.
 *
 * @param {string | undefined} token
 * @param {any} auth as Chroma's client takes it: { provider: "token" | "basic", credentials, ... }
 * @returns {Record<string, string>}
 */
function authorization(token, auth) {
  if (token !== undefined) return { Authorization: `Bearer ${token}` };
  if (auth === undefined) return {};
  const { provider, credentials, tokenHeaderType, providerOptions } = auth;
  if (provider === "token" && typeof credentials === "string") {
    const header = tokenHeaderType ?? providerOptions?.headerType ?? "AUTHORIZATION";
    return header === "X_CHROMA_TOKEN" ? { "X-Chroma-Token": credentials } : { Authorization: `Bearer ${credentials}` };
  }
  if (provider === "basic") {
    const pair = typeof credentials === "string" ? credentials : `${credentials?.username}:${credentials?.password}`;
    return { Authorization: `Basic ${btoa(String.fromCharCode(...new TextEncoder().encode(pair)))}` };
  }
  throw new ChromaInvalidArgumentError('new ChromaClient: auth is { provider: "token" or "basic", credentials }');
}
