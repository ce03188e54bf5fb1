import assert from "node:assert/strict";
import fc from "fast-check";
import { chosenService } from "../../../../src/admin/console/choice.ts";
import { count, duration, list, percent } from "../../../../src/admin/console/format.ts";
import { type History, joinHistory, MEASURES, SHOWN_MS } from "../../../../src/admin/console/history.ts";
import { insightsOf } from "../../../../src/admin/console/insights.ts";
import { ServerSentEventParser } from "../../../../src/admin/console/server_sent_events.ts";
import type { NodeSeries } from "../../../../src/admin/detail_schemas.ts";
import { PlainFarm } from "../farm.ts";

Deno.test("server-sent events are found wherever the pieces are cut", () => {
  const text =
    'retry: 1000\n: run x\n\nevent: farm\ndata: {"a":1}\n\n: alive\n\nid: x-2\ndata: one\ndata: two\n\n';
  const wanted = [{ event: "farm", data: '{"a":1}', id: "" }, {
    event: "message",
    data: "one\ntwo",
    id: "x-2",
  }];
  fc.assert(fc.property(fc.array(fc.nat(text.length), { maxLength: 8 }), (cuts) => {
    const parser = new ServerSentEventParser();
    const ends = [...cuts.sort((a, b) => a - b), text.length];
    const events = ends.flatMap((end, i) => parser.push(text.slice(i === 0 ? 0 : ends[i - 1], end)));
    assert.deepEqual(events, wanted);
  }));
});

function answer(atMs: number[], node: string, value: (at: number) => number | null) {
  const series = Object.fromEntries(MEASURES.map((measure) => [measure, atMs.map(value)])) as NodeSeries;
  return { interval_ms: 1000, at_ms: atMs, nodes: { [node]: series } };
}

Deno.test("history is joined without gaps or repeats, also for nodes that come and go", () => {
  const first = joinHistory(undefined, answer([1000, 2000, 3000], "n1", (at) => at));
  const second = joinHistory(first, answer([3000, 4000], "n2", (at) => at));
  assert.deepEqual(second.atMs, [1000, 2000, 3000, 4000]);
  assert.deepEqual(second.nodes.n1.retained, [1000, 2000, 3000, null]);
  assert.deepEqual(second.nodes.n2.retained, [null, null, null, 4000]);
  assert.deepEqual(joinHistory(second, answer([], "n1", () => 0)), second);
});

Deno.test("history keeps what the charts show, and not more", () => {
  let history: History | undefined;
  for (let at = 0; at <= 2 * SHOWN_MS; at += 1000) {
    history = joinHistory(
      history,
      answer([at], "n1", () => 1),
    );
  }
  assert.equal(history!.atMs.length, SHOWN_MS / 1000 + 1);
  assert.equal(history!.nodes.n1.claimed.length, history!.atMs.length);
});

Deno.test("a node that gets far more than its share is named, with what it may come from", () => {
  const { status } = new PlainFarm();
  const seconds = [...Array(30).keys()].map((i) => i * 1000);
  const rate = (value: number): NodeSeries => ({
    ...answer(seconds, "n", () => value).nodes.n,
    claimed: seconds.map(() => null),
  });
  const calm = { atMs: seconds, nodes: { n1: rate(10), n2: rate(11), n3: rate(9) } };
  assert.deepEqual(insightsOf(status, calm), []);
  const hot = { atMs: seconds, nodes: { n1: rate(1), n2: rate(40), n3: rate(0) } };
  const [insight] = insightsOf(status, hot);
  assert.match(
    insight.message,
    /^n2 gets 98% of the new connections, though 33% of the clients are meant for it\.$/,
  );
  assert.match(insight.remedy, /affinity by client \(dns\)/);
  status.members[1].shares = { http: 0, dns: 0 };
  const drained = { ...rate(40), claimed: [...Array(28).fill(0.9), 0, 0] };
  const moved = { atMs: seconds, nodes: { n1: rate(1), n2: drained, n3: rate(0) } };
  assert.deepEqual(insightsOf(status, moved), [], "what it got while the share was its own is no excess");
  assert.deepEqual(insightsOf(status, { ...hot, atMs: seconds.slice(1) }), [], "nor do a few seconds");
  const quiet = { atMs: seconds, nodes: { n1: rate(0), n2: rate(1), n3: rate(0) } };
  assert.deepEqual(insightsOf(status, quiet), [], "a handful of connections tells nothing");
});

Deno.test("other files and other versions are told", () => {
  const { status } = new PlainFarm();
  status.members.forEach((member, i) => {
    member.digest = i === 2 ? "b" : "a";
    member.version = i === 1 ? "0.0.9" : status.version;
  });
  assert.deepEqual(insightsOf(status, undefined).map(({ message }) => message), [
    "The configuration of n3 differs from that of n1.",
    `Not all nodes run the same version: n2 runs 0.0.9, n1 runs ${status.version}.`,
  ]);
});

Deno.test("a service that is gone is not asked about", () => {
  const services = [{ name: "http" }, { name: "dns" }];
  assert.equal(chosenService(services, "dns"), "dns");
  assert.equal(chosenService(services, "smtp"), "http");
  assert.equal(chosenService(services, ""), "http");
  assert.equal(chosenService([], "dns"), "");
});

Deno.test("numbers read as people write them", () => {
  assert.deepEqual([0, 0.0004, 0.004, 0.3333, 0.9999, 1].map(percent), [
    "0%",
    "<0.1%",
    "0.4%",
    "33%",
    ">99.9%",
    "100%",
  ]);
  assert.deepEqual([0, 0.5, 7, 1204, 38_240, 250_000, 1.25e6].map(count), [
    "0",
    "0.5",
    "7",
    "1,204",
    "38.2 k",
    "250 k",
    "1.3 M",
  ]);
  assert.deepEqual([0.42, 40, 12_000, 180_000, 7.2e6, 3e8].map(duration), [
    "0.4 ms",
    "40 ms",
    "12 s",
    "3 min",
    "2 h",
    "3 d",
  ]);
  assert.deepEqual([[], ["a"], ["a", "b"], ["a", "b", "c"]].map(list), ["", "a", "a and b", "a, b and c"]);
});
