import assert from "node:assert/strict";
import { askDaemon } from "../../../src/lab/api.ts";
import { Relay } from "../../../src/lab/relay.ts";

Deno.test("a relay carries HTTP between the loopback and a Unix socket, and ends with its owner", async () => {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/admin.sock`;
  const server = Deno.serve({ path, onListen: () => {} }, async (request) => {
    return Response.json({ method: request.method, body: await request.text() });
  });
  {
    using relay = new Relay(path, 0);
    for (const body of ["one", "x".repeat(300_000)]) {
      const answer = await fetch(relay.url, { method: "POST", body, headers: { connection: "close" } });
      assert.deepEqual(await answer.json(), { method: "POST", body });
    }
  }
  assert.deepEqual(await askDaemon(path, "PUT", "/x", 5), {
    status: 200,
    body: { method: "PUT", body: "5" },
  });
  await server.shutdown();
  await assert.rejects(askDaemon(path, "GET", "/"), /the daemon did not answer/);
  await Deno.remove(directory, { recursive: true });
});
