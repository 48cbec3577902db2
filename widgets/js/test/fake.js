// A server that answers what a test says, and keeps what it was asked.

import { createServer } from "node:http";

/**
 * Run a test against a server. `answer(request, count)` gives { status, body, text, headers } (all optional), null to
 * break the connection, "silence" to say nothing.
 */
export async function withServer(answer, test) {
  const asked = [];
  const server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const text = Buffer.concat(parts).toString();
    const { method = "", url = "", headers } = request;
    asked.push({ method, url, headers, text, body: text === "" ? undefined : JSON.parse(text) });
    const said = await answer(asked.at(-1), asked.length);
    if (said === "silence") return;
    if (said === null) return void request.socket.destroy();
    const { status = 200, body, text: plain, headers: more = {} } = said;
    response.writeHead(status, { "Content-Type": "application/json", ...more });
    response.end(plain ?? JSON.stringify(body));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const { port } = server.address();
  try {
    await test(`http://127.0.0.1:${port}`, asked);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

/** Answers as a server does that does what it is asked. */
export function obliging({ method, url, body }) {
  const path = url.replace(/\?.*/, "");
  if (path.endsWith("/pre-flight-checks")) return { body: { max_batch_size: 1000, supports_base64_encoding: true } };
  if (path.endsWith("/heartbeat")) return { text: '{"nanosecond heartbeat":1795335903779247221}' };
  if (path.endsWith("/version")) return { body: "0.0.0" };
  if (path === "/api/v1/collections" && method === "GET") return { body: [{ name: "one", id: "1", metadata: null }] };
  const made = { id: "some-id", metadata: body?.metadata ?? null };
  if (path === "/api/v1/collections") return { body: { name: body.name, ...made } };
  if (path.split("/").length === 5 && method === "GET") return { body: { name: path.split("/")[4], ...made } };
  return { body: path.endsWith("/count") ? 3 : true };
}
