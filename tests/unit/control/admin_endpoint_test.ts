/** The admin endpoint of a node that goes on, on real sockets and files. */
import assert from "node:assert/strict";
import { askDaemon } from "../../../src/lab/api.ts";
import { type AdminEndpointParts, EnduringAdminEndpoint } from "../../../src/control/admin_endpoint.ts";
import { PlainFarm } from "../admin/farm.ts";

const RETRY_MS = 20;
const TOKENS = `monitor somebody ${"0".repeat(64)}\n`;

/** What an endpoint on this port needs, and what it tells. */
async function place(port: number) {
  const runtimeDir = await Deno.makeTempDir();
  const tokensFile = `${runtimeDir}/tokens`;
  const told: string[] = [];
  const parts: AdminEndpointParts = {
    farm: new PlainFarm(),
    admin: { listen: { host: "127.0.0.1", port }, tokensFile },
    runtimeDir,
    ticker: { latenessMsMax: 0 },
    record: ({ kind, message }) => told.push(`${kind}: ${message}`),
    debug: () => {},
  };
  const local = async () => (await askDaemon(`${runtimeDir}/admin.sock`, "GET", "/healthz")).status;
  const outer = () =>
    fetch(`http://127.0.0.1:${port}/api/v1/farm`).then(
      (response) => response.body?.cancel().then(() => response.status),
      () => undefined,
    );
  return {
    parts,
    tokensFile,
    told,
    local,
    outer,
    remove: () => Deno.remove(runtimeDir, { recursive: true }),
  };
}

/** A port that somebody has, until it is closed. */
function takenPort(): { port: number; taker: Deno.TcpListener } {
  const taker = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return { port: taker.addr.port, taker };
}

async function until(holds: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  while (!holds()) {
    assert.ok(performance.now() < deadlineMs, "in time");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

Deno.test("tokens that cannot be read: this host is answered, and everybody with a token once they can", async () => {
  const { port, taker } = takenPort();
  taker.close();
  const { parts, tokensFile, told, local, outer, remove } = await place(port);
  await Deno.writeTextFile(tokensFile, "broken", { mode: 0o600 });
  const endpoint = await EnduringAdminEndpoint.open(parts, RETRY_MS);
  try {
    assert.match(
      told.join(),
      /^admin\.not_opened: The admin endpoint answers on the socket of this host alone, .*tokens:1\)\. Write each/,
    );
    assert.equal(await local(), 200);
    assert.equal(await outer(), undefined);
    await Deno.writeTextFile(tokensFile, TOKENS);
    await until(() => told.length === 2);
    assert.equal(told[1], "admin.opened: The admin endpoint is open as it is configured.");
    assert.equal(await local(), 200);
    assert.equal(await outer(), 401);
  } finally {
    await endpoint.close();
    await remove();
  }
});

Deno.test("an address that somebody else has: this host is answered all the time, and everybody when it is free", async () => {
  const { port, taker } = takenPort();
  const { parts, tokensFile, told, local, outer, remove } = await place(port);
  await Deno.writeTextFile(tokensFile, TOKENS, { mode: 0o600 });
  const endpoint = await EnduringAdminEndpoint.open(parts, RETRY_MS);
  try {
    assert.match(told.join(), /Another program has this address: stop it/);
    const deadlineMs = performance.now() + 5 * RETRY_MS;
    while (performance.now() < deadlineMs) assert.equal(await local(), 200);
    assert.equal(told.length, 1);
    taker.close();
    await until(() => told.length === 2);
    assert.equal(await outer(), 401);
  } finally {
    await endpoint.close();
    await remove();
  }
});

Deno.test("an endpoint that is closed while it waits for better times opens nothing any more", async () => {
  const { port, taker } = takenPort();
  const { parts, told, local, remove } = await place(port);
  const endpoint = await EnduringAdminEndpoint.open(parts, RETRY_MS);
  await endpoint.close();
  taker.close();
  await assert.rejects(local());
  assert.equal(told.length, 1);
  await remove();
});
