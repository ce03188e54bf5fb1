/** Every action: who may, what is refused, and the trace that it leaves. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createAdminApp } from "../../../src/admin/app.ts";
import { TokenStore } from "../../../src/admin/tokens.ts";
import { PlainFarm } from "./farm.ts";

const ROLES = ["monitor", "control", "admin"] as const;
const tokens = TokenStore.parse(
  ROLES.map((role) => `${role} my-${role} ${createHash("sha256").update(`${role}-token`).digest("hex")}`)
    .join("\n"),
  "tokens",
);

interface Operation {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly needed: (typeof ROLES)[number];
}

/** Every operation of the API's own document that acts, with what makes it go through. */
async function actions(): Promise<Operation[]> {
  const { paths } = await (await createAdminApp(new PlainFarm()).request("/openapi.json")).json();
  const found: Operation[] = [];
  for (const [path, methods] of Object.entries<Record<string, { parameters?: unknown }>>(paths)) {
    for (const method of Object.keys(methods).filter((name) => name !== "get")) {
      const verbs = path.includes("{verb}")
        ? ["drain", "resume", "start", "stop", "restart", "reload"]
        : [""];
      for (const verb of verbs) {
        found.push({
          method: method.toUpperCase(),
          path: path.replace("{name}", "n2").replace("{verb}", verb),
          body: path.endsWith("weight")
            ? { weight: 7 }
            : path.endsWith("log-level")
            ? { level: "error" }
            : undefined,
          needed: verb === "reload" || path.endsWith("log-level") ? "admin" : "control",
        });
      }
    }
  }
  return found;
}

Deno.test("every action is refused without the role for it, done with it, and written down in both cases", async () => {
  const all = await actions();
  assert.equal(all.length, 8);
  for (const { method, path, body, needed } of all) {
    for (const role of [undefined, ...ROLES]) {
      const farm = new PlainFarm();
      const app = createAdminApp(farm, { tokens });
      const headers: Record<string, string> = body === undefined
        ? {}
        : { "content-type": "application/json" };
      if (role !== undefined) headers.authorization = `Bearer ${role}-token`;
      const request = new Request(`http://127.0.0.1${path}`, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      const { status } = await app.fetch(request, { peer: { kind: "tcp", address: "192.0.2.9" } });
      const seen = `${method} ${path} as ${role}: ${status}`;
      const [event] = farm.events.list().events;
      if (role === undefined) {
        assert.equal(status, 401, seen);
      } else if (ROLES.indexOf(role) < ROLES.indexOf(needed)) {
        assert.equal(status, 403, seen);
        assert.equal(event.kind, "admin.forbidden", seen);
      } else {
        // No application is configured behind this farm: that is for the node to say.
        assert.equal(status, /start|stop/.test(path) ? 409 : 200, seen);
        assert.equal(event.kind, "admin.action", seen);
      }
      if (role === undefined || status === 403) {
        assert.deepEqual([farm.orders, farm.logLevel], [[], "info"], seen);
      }
      if (role !== undefined) {
        assert.deepEqual([event.details?.who, event.details?.role, event.details?.from], [
          `my-${role}`,
          role,
          "192.0.2.9",
        ], seen);
      }
    }
  }
});

async function post(
  farm: PlainFarm,
  path: string,
): Promise<{ status: number; code?: string; message?: string }> {
  const response = await createAdminApp(farm).request(`http://127.0.0.1/api/v1/nodes/${path}`, {
    method: "POST",
  });
  const { error } = await response.json();
  return { status: response.status, code: error?.code, message: error?.message };
}

Deno.test("who takes the last serving node away must say so twice; the refusal is written down", async () => {
  for (const verb of ["drain", "stop", "restart"]) {
    const farm = new PlainFarm();
    for (const member of farm.status.members.slice(1)) member.shares = { http: 0, dns: 0 };
    const refused = await post(farm, `n1/${verb}`);
    assert.deepEqual([refused.status, refused.code], [409, "last_serving_node"], verb);
    assert.match(refused.message!, /no new client is served/);
    assert.deepEqual(farm.orders, []);
    const [event] = farm.events.list().events;
    assert.deepEqual([event.details?.outcome, event.severity], ["refused", "info"]);
    await post(farm, `n1/${verb}?force=true`);
    assert.equal(farm.orders.length, 1);
    await post(farm, `n2/${verb}`);
    assert.equal(farm.orders.length, 2, "it serves nobody: nothing is lost");
  }
});

Deno.test("a node that is gone is answered for at once", async () => {
  const farm = new PlainFarm();
  farm.status.members[2].state = "dead";
  const { status, code } = await post(farm, "n3/drain");
  assert.deepEqual([status, code, farm.orders.length], [409, "node_gone", 0]);
  farm.unreachable.add("n2");
  assert.equal((await post(farm, "n2/drain")).code, "node_unreachable");
  assert.equal(farm.events.list().events.at(-1)?.severity, "warning");
  assert.equal((await post(farm, "n22/drain")).code, "unknown_node");
  assert.equal(farm.events.list().events.at(-1)?.severity, "info");
});
