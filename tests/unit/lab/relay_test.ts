import assert from "node:assert/strict";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { askDaemon } from "../../../src/lab/api.ts";
import { Relay } from "../../../src/lab/relay.ts";

/** What a relay answers to these header lines, in two requests on one connection: the second is the one looked at. */
async function secondStatus(port: string, lines: readonly string[]): Promise<string | undefined> {
  const socket = connect(Number(port), "127.0.0.1");
  socket.write(`GET /first HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
  socket.write(["GET /second HTTP/1.1", ...lines, "Connection: close", "", ""].join("\r\n"));
  return [...(await text(socket)).matchAll(/HTTP\/1\.1 (\d+)/g)][1]?.[1];
}

Deno.test("a relay carries HTTP between the loopback and a Unix socket, and ends with its owner", async () => {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/admin.sock`;
  const seen: string[] = [];
  const streamEnded = Promise.withResolvers<void>();
  const server = Deno.serve({ path, onListen: () => {} }, async (request) => {
    const { pathname } = new URL(request.url);
    seen.push(pathname);
    if (pathname === "/stream") {
      const body = new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode("data: 1\n\n")),
        cancel: () => streamEnded.resolve(),
      });
      return new Response(body, { headers: { "content-type": "text/event-stream" } });
    }
    return Response.json({ method: request.method, body: await request.text() });
  });
  {
    await using relay = new Relay(path, 0);
    const { port } = new URL(relay.url);
    for (const body of ["one", "x".repeat(300_000)]) {
      const headers = { connection: "close", origin: `http://127.0.0.1:${port}` };
      const answer = await fetch(relay.url, { method: "POST", body, headers });
      assert.deepEqual(await answer.json(), { method: "POST", body });
    }

    const events = await fetch(`${relay.url}stream`);
    const reader = events.body!.getReader();
    assert.equal(new TextDecoder().decode((await reader.read()).value), "data: 1\n\n");
    await reader.cancel();
    await streamEnded.promise;

    for (const host of ["127.0.0.1", "localhost", "[::1]"]) {
      assert.equal(await secondStatus(port, [`Host: ${host}:${port}`]), "200", host);
    }
    seen.length = 0;
    for (
      const lines of [
        [`Host: evil.example:${port}`],
        ["Host: 127.0.0.1:1"],
        ["Host: 127.0.0.1"],
        [`Host: 127.0.0.1:${port}`, "Origin: http://evil.example"],
        [`Host: 127.0.0.1:${port}`, "Origin: null"],
      ]
    ) assert.equal(await secondStatus(port, lines), "403", lines.join());
    assert.ok(!seen.includes("/second"), "a refused request was passed on");
  }
  assert.deepEqual(await askDaemon(path, "PUT", "/x", 5), {
    status: 200,
    body: { method: "PUT", body: "5" },
  });
  await server.shutdown();
  await assert.rejects(askDaemon(path, "GET", "/"), /the daemon did not answer/);
  {
    await using relay = new Relay(path, 0);
    const answer = await fetch(relay.url);
    assert.deepEqual([answer.status, (await answer.json()).error.code], [502, "node_unreachable"]);
  }
  await Deno.remove(directory, { recursive: true });
});
