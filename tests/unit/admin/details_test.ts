/** Checks, services, buckets, connections, configuration, history, log level, the live view, and lists of events. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { BUCKETS } from "../../../src/core/limits.ts";
import { PlainFarm, withServer } from "./farm.ts";
import { blocks, take } from "./sse.ts";

async function read(url: string, init?: RequestInit) {
  const response = await fetch(url, init);
  return { status: response.status, headers: response.headers, body: await response.json() };
}

Deno.test("checks and services: what is down, who serves what", async () => {
  const farm = new PlainFarm();
  farm.status.members[1].checks_down = [{ check: "web", reason: "connection refused" }];
  farm.status.members[2].state = "dead";
  await withServer({}, async ({ url }) => {
    const { body } = await read(`${url}/api/v1/checks`);
    assert.equal(body.node, "n1");
    assert.equal(body.checks[0].reason, "answered 200 in 3 ms");
    assert.deepEqual(body.others, [{ node: "n2", down: [{ check: "web", reason: "connection refused" }] }]);
    const { services } = (await read(`${url}/api/v1/services`)).body;
    const [http, dns] = services;
    assert.deepEqual([http.ready, dns.ready, dns.reason], [true, false, "weight 0 in dns"]);
    assert.deepEqual([http.checks, dns.checks], [["web"], []]);
    assert.deepEqual(http.nodes.map(({ node }: { node: string }) => node), ["n1", "n2"]);
    assert.equal(http.nodes[0].claimed, http.nodes[0].share);
    assert.equal(http.nodes[1].claimed, null);
  }, farm);
});

Deno.test("the bucket map has an owner for each bucket, and is not sent twice", async () => {
  await withServer({}, async ({ url }) => {
    const { body, headers } = await read(`${url}/api/v1/buckets`);
    assert.equal(body.service, "http");
    assert.equal(Buffer.from(body.owners, "base64").length, BUCKETS);
    assert.equal(Buffer.from(body.claimed, "base64").length, BUCKETS / 8);
    const again = await fetch(`${url}/api/v1/buckets?service=http`, {
      headers: { "if-none-match": headers.get("etag")! },
    });
    assert.deepEqual([again.status, await again.text()], [304, ""]);
    assert.equal((await read(`${url}/api/v1/buckets?service=nope`)).body.error.code, "unknown_service");
  });
});

Deno.test("connections come a page at a time", async () => {
  await withServer({}, async ({ url }) => {
    let after = "";
    let seen = 0;
    do {
      const { status, body } = await read(`${url}/api/v1/flows?limit=100${after}`);
      assert.equal(status, 200);
      assert.equal(body.total, 250);
      seen += body.flows.length;
      after = body.next === null ? "" : `&after=${body.next}`;
    } while (after !== "");
    assert.equal(seen, 250);
    for (const query of ["limit=0", "limit=1001", "limit=x", "after=zz", "place=here"]) {
      assert.equal((await read(`${url}/api/v1/flows?${query}`)).status, 400, query);
    }
  });
});

Deno.test("the configuration says which nodes have another", async () => {
  const farm = new PlainFarm();
  farm.status.members[0].digest = "0123456789abcdef";
  farm.status.members[1].digest = "ffff456789abcdef";
  await withServer({}, async ({ url }) => {
    const { body } = await read(`${url}/api/v1/config`);
    assert.equal(body.digest, "0123456789abcdef");
    assert.deepEqual(body.nodes.map(({ same }: { same: boolean | null }) => same), [true, false, null]);
  }, farm);
});

Deno.test("the log level can be changed, and the change is written down", async () => {
  await withServer({}, async ({ url, farm }) => {
    assert.deepEqual((await read(`${url}/api/v1/log-level`)).body, { level: "info" });
    const put = (body: unknown) =>
      read(`${url}/api/v1/log-level`, {
        method: "PUT",
        body: JSON.stringify(body),
        headers: { "content-type": "application/json" },
      });
    assert.deepEqual((await put({ level: "debug" })).body, { level: "debug" });
    assert.equal(farm.logLevel, "debug");
    assert.equal((await put({ level: "loud" })).status, 400);
    const [event, ...others] = farm.events.list().events;
    assert.deepEqual([event.kind, event.details?.value, others.length], ["admin.action", "debug", 0]);
  });
});

Deno.test("the history is given after a moment", async () => {
  await withServer({}, async ({ url }) => {
    assert.equal((await read(`${url}/api/v1/history?after=17`)).body.interval_ms, 1000);
    assert.equal((await read(`${url}/api/v1/history?after=-1`)).status, 400);
  });
});

Deno.test("the live view begins with the farm, and brings it anew with each event", async () => {
  await withServer({}, async ({ url, farm }) => {
    const response = await fetch(`${url}/api/v1/watch`);
    const stream = blocks(response.body!);
    const [first] = await take(stream, 1);
    assert.equal(first.event, "farm");
    assert.equal(JSON.parse(first.data).farm, "web");
    farm.status.members[2].state = "dead";
    farm.events.record({ severity: "error", kind: "member.dead", message: "n3 is dead", node: "n3" });
    for (;;) {
      const [block] = await take(stream, 1);
      if (block.event === "farm") continue; // the second was over first
      assert.equal(JSON.parse(block.data).kind, "member.dead");
      break;
    }
    const [news] = await take(stream, 1);
    assert.equal(JSON.parse(news.data).members[2].state, "dead");
    await take(stream, 2); // goes on without events
    await stream.return(undefined);
  });
});

Deno.test("events are filtered by severity, kind and node, and listed from either end", async () => {
  await withServer({}, async ({ url, farm }) => {
    for (let i = 1; i <= 6; i++) {
      farm.events.record({ severity: "info", kind: "member.joined", message: `${i}`, node: "n2" });
      farm.events.record({ severity: "warning", kind: "member.suspect", message: `${i}`, node: "n3" });
      farm.events.record({ severity: "error", kind: "membership.odd", message: `${i}` });
    }
    const list = async (query: string) => (await read(`${url}/api/v1/events?format=json&${query}`)).body;
    assert.equal((await list("")).events.length, 18);
    assert.equal((await list("kind=member")).events.length, 12);
    assert.equal((await list("kind=member.suspect")).events.length, 6);
    assert.equal((await list("severity=warning")).events.length, 12);
    assert.equal((await list("severity=warning&node=n3")).events.length, 6);
    assert.deepEqual((await list("node=n3&limit=2")).events.map(({ id }: { id: number }) => id), [14, 17]);
    let cursor = `${farm.events.run}-0`;
    const ids: number[] = [];
    for (;;) {
      const page = await list(`node=n2&limit=4&after=${cursor}`);
      ids.push(...page.events.map(({ id }: { id: number }) => id));
      cursor = page.cursor;
      if (!page.more) break;
    }
    assert.deepEqual(ids, [1, 4, 7, 10, 13, 16]);
    assert.equal(cursor, `${farm.events.run}-18`);
    const stream = blocks((await fetch(`${url}/api/v1/events?severity=error`)).body!);
    const errors = await take(stream, 6);
    assert.ok(errors.every(({ data }) => JSON.parse(data).severity === "error"));
    await stream.return(undefined);
  });
});
