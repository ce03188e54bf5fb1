import assert from "node:assert/strict";
import { EventLog } from "../../../src/admin/event_log.ts";
import { PlainFarm, withServer } from "./farm.ts";
import { blocks, take } from "./sse.ts";

const happened = (message: string) => ({ severity: "info", kind: "test.happened", message }) as const;

Deno.test("a stream gives what is kept, then what comes, with ids and a retry time", async () => {
  await withServer({}, async ({ farm, url }) => {
    farm.events.record(happened("before"));
    const response = await fetch(`${url}/api/v1/events`);
    assert.equal(response.status, 200);
    assert.match(response.headers.get("content-type")!, /^text\/event-stream/);
    assert.equal(response.headers.get("cache-control"), "no-store");
    const stream = blocks(response.body!);
    assert.equal((await stream.next()).value!.fields.retry, "1000");
    const [before] = await take(stream, 1);
    assert.equal(before.id, farm.events.cursor(1));
    assert.equal(JSON.parse(before.data).message, "before");
    farm.events.record(happened("after\nwith a line feed"));
    const [after] = await take(stream, 1);
    assert.equal(JSON.parse(after.data).message, "after\nwith a line feed");
    await stream.return(undefined);
  });
});

Deno.test("a reconnecting client gets what it has not seen; one of another run gets everything", async () => {
  await withServer({}, async ({ farm, url }) => {
    for (let i = 1; i <= 5; i++) farm.events.record(happened(`${i}`));
    const read = async (path: string, headers: Record<string, string>, count: number) => {
      const stream = blocks((await fetch(url + path, { headers })).body!);
      const taken = await take(stream, count);
      await stream.return(undefined);
      return taken.map(({ data }) => JSON.parse(data).message);
    };
    const last = { "last-event-id": farm.events.cursor(3) };
    assert.deepEqual(await read("/api/v1/events", last, 2), ["4", "5"]);
    assert.deepEqual(await read(`/api/v1/events?after=${farm.events.cursor(4)}`, {}, 1), ["5"]);
    assert.deepEqual(await read(`/api/v1/events?after=${farm.events.cursor(1)}`, last, 2), ["4", "5"]);
    const foreign = { "last-event-id": "otherrun-4" };
    assert.deepEqual(await read("/api/v1/events", foreign, 5), ["1", "2", "3", "4", "5"]);
    assert.deepEqual(await read("/api/v1/events", { "last-event-id": "🙃".codePointAt(0)!.toString() }, 1), [
      "1",
    ]);
  });
});

Deno.test("the list form gives a cursor, and what comes after it", async () => {
  await withServer({}, async ({ farm, url }) => {
    farm.events.record(happened("a"));
    for (const [path, accept] of [["?format=json", "*/*"], ["", "application/json"]]) {
      const list = await (await fetch(`${url}/api/v1/events${path}`, { headers: { accept } })).json();
      assert.deepEqual(list.events.map(({ message }: { message: string }) => message), ["a"]);
      assert.equal(list.missed, 0);
      assert.equal(list.cursor, farm.events.cursor(1));
    }
    const { cursor } = await (await fetch(`${url}/api/v1/events?format=json`)).json();
    farm.events.record(happened("b"));
    const next = await (await fetch(`${url}/api/v1/events?format=json&after=${cursor}`)).json();
    assert.deepEqual(next.events.map(({ message }: { message: string }) => message), ["b"]);
    const wrong = await fetch(`${url}/api/v1/events?format=json&after=yesterday`);
    assert.equal(wrong.status, 400);
    assert.equal((await wrong.json()).error.code, "invalid_request");
  });
});

Deno.test("a silent stream shows that it lives", async () => {
  await withServer({ keepAliveMs: 20 }, async ({ url }) => {
    const stream = blocks((await fetch(`${url}/api/v1/events`)).body!);
    await stream.next();
    assert.equal((await stream.next()).value!.comment, "alive");
    assert.equal((await stream.next()).value!.comment, "alive");
    await stream.return(undefined);
  });
});

Deno.test("streams are bounded, and a client that leaves makes room", async () => {
  await withServer({ streamsMax: 3 }, async ({ url }) => {
    const open = await Promise.all([1, 2, 3].map(() => fetch(`${url}/api/v1/events`)));
    const refused = await fetch(`${url}/api/v1/events`);
    assert.equal(refused.status, 429);
    assert.equal(refused.headers.get("retry-after"), "5");
    assert.equal((await refused.json()).error.code, "too_many_streams");
    assert.equal((await (await fetch(`${url}/api/v1/events?format=json`)).json()).missed, 0);
    await open[0].body!.cancel();
    let again = await fetch(`${url}/api/v1/events`);
    while (again.status === 429) { // the server learns of the leave through the socket
      await again.body!.cancel();
      again = await fetch(`${url}/api/v1/events`);
    }
    assert.equal(again.status, 200);
    for (const response of [again, open[1], open[2]]) await response.body!.cancel();
  });
});

Deno.test("HEAD on the stream takes no place", async () => {
  await withServer({ streamsMax: 1 }, async ({ url }) => {
    for (let i = 0; i < 5; i++) {
      const response = await fetch(`${url}/api/v1/events`, { method: "HEAD" });
      assert.equal(response.status, 200);
    }
    const metrics = await (await fetch(`${url}/metrics`)).text();
    assert.match(metrics, /^vipfarm_admin_event_streams 0$/m);
  });
});

Deno.test("a client that does not read holds nothing up, and is told what it missed when it does", async () => {
  const farm = new PlainFarm(new EventLog({ capacity: 50 }));
  await withServer({}, async ({ url }) => {
    const slow = await fetch(`${url}/api/v1/events`); // not read for now
    const quick = blocks((await fetch(`${url}/api/v1/events`)).body!);
    await quick.next();
    // More than all socket buffers on the way take, while the quick reader sees every one.
    const padding = "x".repeat(64 * 1024);
    const total = 400;
    let seen = 0;
    for (let i = 0; i < total; i++) {
      farm.events.record(happened(padding));
      seen += (await take(quick, 1)).length;
    }
    assert.equal(seen, total);
    await quick.return(undefined);
    let received = 0;
    let missed = 0;
    for await (const { fields } of blocks(slow.body!)) {
      if (fields.event === "missed") missed += JSON.parse(fields.data).missed;
      else if (fields.data !== undefined) received++;
      if (fields.id === farm.events.cursor(total)) break;
    }
    assert.ok(missed > 0, "the slow client was told");
    assert.equal(missed + received, total);
  }, farm);
});
