import assert from "node:assert/strict";
import { PlainFarm, type Served, withServer } from "./farm.ts";

async function ask(served: Served, method: string, path: string, body?: unknown) {
  const response = await fetch(served.url + path, {
    method,
    body: body === undefined ? undefined : JSON.stringify(body),
    headers: body === undefined ? {} : { "content-type": "application/json" },
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.startsWith("application/json");
  return { status: response.status, body: isJson ? JSON.parse(text) : text, headers: response.headers };
}

/** Every refusal has a code, a sentence and a remedy. */
function assertFailure(answer: { status: number; body: unknown }, status: number, code: string): void {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  const { error } = answer.body as { error: Record<string, string> };
  assert.deepEqual(Object.keys(error).sort(), ["code", "message", "remedy"]);
  assert.equal(error.code, code);
  assert.ok(error.message.length > 5 && error.remedy.length > 5);
}

Deno.test("the daemon lives; it is ready only while it takes new flows, also by service", async () => {
  await withServer({}, async (served) => {
    assert.deepEqual((await ask(served, "GET", "/healthz")).body, "ok\n");
    assert.equal((await ask(served, "GET", "/readyz")).status, 200);
    assert.equal((await ask(served, "GET", "/readyz?service=http")).status, 200);
    const dns = await ask(served, "GET", "/readyz?service=dns");
    assert.deepEqual([dns.status, dns.body], [503, { ready: false, reason: "weight 0 in dns" }]);
    served.farm.readiness = { ready: false, reason: "the lease has run out" };
    assert.equal((await ask(served, "GET", "/readyz")).status, 503);
    assert.equal((await ask(served, "GET", "/healthz")).status, 200);
    assertFailure(await ask(served, "GET", "/readyz?service=nope"), 404, "unknown_service");
  });
});

Deno.test("the farm is given as the source has it", async () => {
  await withServer({}, async (served) => {
    const { status, body } = await ask(served, "GET", "/api/v1/farm");
    assert.equal(status, 200);
    assert.deepEqual(body, JSON.parse(JSON.stringify(served.farm.status)));
  });
});

Deno.test("explain names bucket, owner and runner-up", async () => {
  await withServer({}, async (served) => {
    const { status, body } = await ask(
      served,
      "GET",
      "/api/v1/explain?client=198.51.100.7&port=5&service=http",
    );
    assert.equal(status, 200);
    assert.equal(body.bucket, 7 * 257 + 5);
    assert.deepEqual([body.owner, body.runner_up, body.service, body.port], ["n2", "n3", "http", 5]);
    assert.equal(body.scores[0].score, null); // JSON has no infinity
    const six = await ask(served, "GET", "/api/v1/explain?client=2001:DB8:0::7&service=dns");
    assert.equal(six.body.client, "2001:db8::7");
    const none = await ask(served, "GET", "/api/v1/explain?client=198.51.100.7&port=5");
    assert.equal(none.body.service, null);
    served.farm.status.services.pop();
    const only = await ask(served, "GET", "/api/v1/explain?client=198.51.100.7&port=5");
    assert.equal(only.body.service, "http", "the only service is the default");
  });
});

Deno.test("explain refuses what it cannot answer, with the remedy", async () => {
  await withServer({}, async (served) => {
    const explain = (query: string) => ask(served, "GET", `/api/v1/explain?${query}`);
    assertFailure(await explain(""), 400, "invalid_request");
    for (const client of ["nonsense", "1.2.3", "1.2.3.4:80", "[::1]", "01.2.3.4", "fe80::1%25eth0"]) {
      assertFailure(await explain(`client=${client}&port=1&service=http`), 400, "invalid_request");
    }
    for (const port of ["0", "65536", "-1", "1.5", "x", "", "99999999"]) {
      assertFailure(await explain(`client=1.2.3.4&port=${port}&service=http`), 400, "invalid_request");
    }
    assertFailure(await explain("client=1.2.3.4&port=1&service=nope"), 404, "unknown_service");
    assertFailure(await explain("client=1.2.3.4&service=http"), 400, "port_required");
    assertFailure(await explain("client=0.0.0.0&port=1&service=http"), 409, "cannot_explain");
  });
});

Deno.test("actions reach the farm and are written down with who and from where", async () => {
  await withServer({}, async (served) => {
    const drained = await ask(served, "POST", "/api/v1/nodes/n2/drain");
    assert.deepEqual(drained.body, {
      node: "n2",
      verb: "drain",
      outcome: "done",
      message: "n2 has weight 0 now",
    });
    assert.equal((await ask(served, "POST", "/api/v1/nodes/n2/drain")).body.outcome, "unchanged");
    assert.equal((await ask(served, "POST", "/api/v1/nodes/n2/resume")).body.outcome, "done");
    assert.equal((await ask(served, "PUT", "/api/v1/nodes/n2/weight", { weight: 7 })).body.outcome, "done");
    assert.deepEqual(served.farm.orders, [
      { node: "n2", verb: "drain", value: undefined },
      { node: "n2", verb: "drain", value: undefined },
      { node: "n2", verb: "resume", value: undefined },
      { node: "n2", verb: "weight", value: 7 },
    ]);
    const actions = served.farm.events.list().events;
    assert.deepEqual(actions.map(({ kind }) => kind), Array(4).fill("admin.action"));
    assert.equal(actions[3].node, "n2");
    assert.deepEqual(actions[3].details, {
      verb: "weight",
      value: 7,
      who: "anonymous",
      role: "admin",
      from: "127.0.0.1",
      outcome: "done",
    });
  });
});

Deno.test("an order that the farm refuses is a conflict, and written down", async () => {
  await withServer({}, async (served) => {
    served.farm.unreachable.add("n3");
    assertFailure(await ask(served, "POST", "/api/v1/nodes/n3/drain"), 409, "node_unreachable");
    const [event] = served.farm.events.list().events;
    assert.equal(event.severity, "warning");
    assert.equal(event.details?.outcome, "refused");
  });
});

Deno.test("taking away the last node that serves asks for force", async () => {
  await withServer({}, async (served) => {
    await ask(served, "POST", "/api/v1/nodes/n2/drain");
    await ask(served, "POST", "/api/v1/nodes/n3/drain");
    const before = served.farm.orders.length;
    assertFailure(await ask(served, "POST", "/api/v1/nodes/n1/drain"), 409, "last_serving_node");
    assertFailure(
      await ask(served, "PUT", "/api/v1/nodes/n1/weight", { weight: 0 }),
      409,
      "last_serving_node",
    );
    assertFailure(
      await ask(served, "POST", "/api/v1/nodes/n1/drain?force=false"),
      409,
      "last_serving_node",
    );
    assertFailure(await ask(served, "POST", "/api/v1/nodes/n1/drain?force=yes"), 400, "invalid_request");
    assert.equal(served.farm.orders.length, before);
    assert.equal((await ask(served, "PUT", "/api/v1/nodes/n1/weight", { weight: 5 })).status, 200);
    assert.equal((await ask(served, "POST", "/api/v1/nodes/n1/drain?force=true")).status, 200);
    assert.equal(
      (await ask(served, "POST", "/api/v1/nodes/n1/drain")).status,
      200,
      "nobody serves: nothing to lose",
    );
  });
});

Deno.test("what is not there is refused: nodes, verbs, applications, paths", async () => {
  await withServer({}, async (served) => {
    assertFailure(await ask(served, "POST", "/api/v1/nodes/n9/drain"), 404, "unknown_node");
    assertFailure(await ask(served, "PUT", "/api/v1/nodes/n9/weight", { weight: 1 }), 404, "unknown_node");
    assertFailure(await ask(served, "POST", "/api/v1/nodes/n1/explode"), 400, "invalid_request");
    for (const verb of ["start", "stop", "restart"]) {
      assertFailure(await ask(served, "POST", `/api/v1/nodes/n1/${verb}`), 409, "order_refused");
    }
    for (const path of ["/api/v1/nodes/n1/drain", "/nope", "/api", "/api/v1/nodes//drain"]) {
      assertFailure(await ask(served, "GET", path), 404, "not_found");
    }
    assertFailure(await ask(served, "DELETE", "/api/v1/farm"), 404, "not_found");
    assert.deepEqual(served.farm.orders.map(({ verb }) => verb), ["start", "stop", "restart"]);
  });
});

Deno.test("a weight must be a whole number from 0 to 1000 in a JSON body, and nothing besides", async () => {
  await withServer({}, async (served) => {
    for (
      const body of [
        {},
        { weight: -1 },
        { weight: 1001 },
        { weight: 1.5 },
        { weight: "5" },
        {
          weight: 5,
          force: true,
        },
        [],
        null,
      ]
    ) {
      assertFailure(await ask(served, "PUT", "/api/v1/nodes/n1/weight", body), 400, "invalid_request");
    }
    const put = (body: string, type: string) =>
      fetch(`${served.url}/api/v1/nodes/n1/weight`, {
        method: "PUT",
        body,
        headers: { "content-type": type },
      })
        .then(async (response) => ({ status: response.status, body: await response.json() }));
    assertFailure(await put("{", "application/json"), 400, "malformed_request");
    assertFailure(await put("weight=5", "application/x-www-form-urlencoded"), 415, "unsupported_media_type");
    assertFailure(await put('{"weight":5}', "text/plain"), 415, "unsupported_media_type");
    assert.deepEqual(served.farm.orders, []);
  });
});

Deno.test("what nobody foresaw is a 500 in the same shape, reported, and tells the client nothing", async () => {
  const reported: Error[] = [];
  const farm = new PlainFarm();
  await withServer({ report: (error) => reported.push(error) }, async (served) => {
    farm.broken = true;
    const answer = await ask(served, "GET", "/api/v1/farm");
    assertFailure(answer, 500, "internal");
    assert.ok(!JSON.stringify(answer.body).includes("broken"));
    assert.equal(reported.length, 1);
    assert.match(reported[0].message, /the farm is broken/);
    farm.broken = false;
  }, farm);
});
