/** What the API shows of buckets, connections, the configuration and the last minutes. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { bucketMap } from "../../../src/control/bucket_map.ts";
import { configView, HIDDEN } from "../../../src/control/config_view.ts";
import { flowsPage, type OpenConnection } from "../../../src/control/flow_list.ts";
import { History } from "../../../src/control/history.ts";
import { memberStatus } from "../../../src/control/member_status.ts";
import { ConnectionCount, Rates } from "../../../src/control/own_report.ts";
import { type FarmConfig } from "../../../src/config/load.ts";
import { parseAddress } from "../../../src/core/address.ts";
import { BUCKETS } from "../../../src/core/limits.ts";
import { CLAIM, CONTESTED, RETAINED } from "../../../src/dataplane/shared.ts";
import { type MemberStatus } from "../../../src/admin/source.ts";
import { type Report } from "../../../src/control/report.ts";
import { type MemberView } from "../../../src/membership/types.ts";

const members = ["n1", "n2"].map((name) => ({ name, weight: 100, column: new Float64Array(0) }));

Deno.test("the bucket map says who owns each, and what moves", () => {
  const owner = new Uint8Array(BUCKETS).map((_, bucket) => bucket & 1);
  const flags = new Uint8Array(BUCKETS).map((_, bucket) => bucket & 1 ? 0 : CLAIM);
  flags[0] = 0; // awaited
  flags[2] |= CONTESTED;
  flags[3] = RETAINED;
  const map = bucketMap("n1", "http", { members, owner }, flags, true);
  assert.deepEqual(map.counts, { claimed: BUCKETS / 2 - 1, contested: 1, retained: 1, awaited: 1 });
  assert.deepEqual(map.nodes, ["n1", "n2"]);
  assert.deepEqual(new Uint8Array(Buffer.from(map.owners, "base64")), owner);
  assert.equal(Buffer.from(map.contested!, "base64")[0], 1 << 2);
  assert.equal(Buffer.from(map.retained!, "base64")[0], 1 << 3);
  const silent = bucketMap("n1", undefined, { members, owner }, flags, false);
  assert.equal(silent.claimed, null);
  assert.equal(silent.counts.awaited, BUCKETS / 2);
});

Deno.test("connections come in pages that leave none out and give none twice", () => {
  const all: OpenConnection[] = Array.from({ length: 500 }, (_, index) => ({
    table: 1 + index % 2,
    bucket: (index * 7919) % 100,
    virtualIp: index % 2,
    virtualPort: 80,
    client: index % 3 === 0
      ? parseAddress(`2001:db8::${index.toString(16)}`)!.bytes
      : Uint8Array.of(198, 51, 100, index & 255),
    clientPort: 1024 + index,
  }));
  const context = {
    node: "n1",
    services: ["http", "dns"],
    virtualIps: ["192.0.2.100", "2001:db8::100"],
    flags: (_table: number, bucket: number) =>
      bucket < 30 ? RETAINED : bucket < 60 ? CLAIM | CONTESTED : CLAIM,
    owners: () => ({ members, owner: new Uint8Array(BUCKETS).fill(1) }),
  };
  const seen: string[] = [];
  let after: string | undefined;
  do {
    const page = flowsPage((visit) => all.forEach(visit), { after, limit: 7 }, context);
    assert.equal(page.total, 300);
    assert.ok(page.flows.length <= 7);
    for (const { client, client_port, place, owner, bucket } of page.flows) {
      seen.push(`${client} ${client_port}`);
      assert.equal(place, bucket < 30 ? "retained" : "contested");
      assert.equal(owner, "n2");
    }
    after = page.next ?? undefined;
  } while (after !== undefined);
  assert.equal(seen.length, 300);
  assert.equal(new Set(seen).size, 300);
  const dns = flowsPage(
    (visit) => all.forEach(visit),
    { service: "dns", place: "all", limit: 1000 },
    context,
  );
  assert.equal(dns.total, 250);
  assert.equal(dns.next, null);
  assert.deepEqual(flowsPage(() => {}, { limit: 10 }, context), {
    node: "n1",
    flows: [],
    total: 0,
    next: null,
  });
});

Deno.test("the configuration is shown without secrets", () => {
  const view = configView({
    farm: "web",
    digest: "d",
    servicesDigest: 1,
    secretFile: "/etc/vipfarm/secret",
    drainOnStopMs: 500,
    virtualIps: [{ address: parseAddress("192.0.2.100")!, mode: "multicast" }],
    nodes: { n1: { weight: 1 } },
    checks: {
      headers: { "x-any": "value" },
      url: "http://me:pass@example/",
      argv: ["check", "--password=hunter2"],
      password: "hunter2",
      tokensFile: undefined,
    },
    notify: {
      script: [
        "/opt/password.sh",
        "--verbose",
        "--api-key",
        "hunter2",
        "--token-file",
        "/f",
        "-H",
        "Cookie: a b",
      ],
      webhook: { url: "https://hooks.example:8443/services/T0/B0/hunter2?key=hunter2", timeoutMs: 5000 },
    },
  } as unknown as FarmConfig);
  assert.deepEqual(view, {
    farm: "web",
    secret_file: "/etc/vipfarm/secret",
    drain_on_stop_ms: 500,
    virtual_ips: [{ address: "192.0.2.100", mode: "multicast" }],
    nodes: { n1: { weight: 1 } },
    checks: {
      headers: { "x-any": HIDDEN },
      url: `http://${HIDDEN}@example/`,
      argv: ["check", `--password=${HIDDEN}`],
      password: HIDDEN,
      tokens_file: undefined,
    },
    notify: {
      script: [
        ...[
          "/opt/password.sh",
          "--verbose",
          "--api-key",
          HIDDEN,
          "--token-file",
          "/f",
          "-H",
          `Cookie: ${HIDDEN}`,
        ],
      ],
      webhook: { url: `https://hooks.example:8443/${HIDDEN}`, timeout_ms: 5000 },
    },
  });
});

const status = (name: string, more: Partial<MemberStatus>): MemberStatus => ({
  name,
  state: "up",
  reason: "",
  self: false,
  incarnation: 1,
  weight: 1,
  weights: {},
  shares: {},
  ...more,
});

Deno.test("the history is bounded, and says where it knows nothing", () => {
  const history = new History();
  for (let second = 1; second <= 700; second++) {
    history.sample(second * 1000, [
      status("n1", { claimed: { a: 0.5, b: 0.1 }, flows_per_s: second }),
      ...(second > 690 ? [status("n2", { state: second > 695 ? "dead" : "up", retained: 3 })] : []),
    ]);
  }
  const all = history.since();
  assert.equal(all.at_ms.length, 600);
  assert.equal(all.nodes.n1.flows_per_s.length, 600);
  assert.equal(all.nodes.n1.claimed[0], 0.3);
  assert.equal(all.nodes.n1.lateness_ms[0], null);
  assert.deepEqual(all.nodes.n2.retained.slice(-11), [null, 3, 3, 3, 3, 3, null, null, null, null, null]);
  assert.deepEqual(history.since(699_000).at_ms, [700_000]);
  assert.deepEqual(history.since(700_000), { interval_ms: 1000, at_ms: [], nodes: {} });
});

Deno.test("connections are counted now and then, the less often the longer it takes", () => {
  const count = new ConnectionCount();
  let nowMs = 0, times = 0, tookMs = 1;
  const sample = () =>
    count.sample(() => nowMs, () => {
      nowMs += tookMs;
      return ++times;
    });
  for (nowMs = 0; nowMs < 10_000; nowMs += 500) sample();
  assert.equal(times, 5);
  tookMs = 10; // two thousandths of five seconds
  for (nowMs = 20_000; nowMs < 40_000; nowMs += 500) sample();
  assert.equal(times, 9);
  assert.equal(count.now, 9);
});

Deno.test("rates are what came between two looks", () => {
  const rates = new Rates();
  const counters = (accepted: number, newFlows: number) => [{
    interface: "eth0",
    captured: 0,
    verdicts: { accepted, accepted_held: accepted, not_owner: 1e6 },
    ringDrops: 0,
    tunWriteErrors: 0,
    newFlows,
  }];
  rates.sample(1_000, counters(100, 10));
  assert.deepEqual(rates.now, { flows_per_s: 0, packets_per_s: 0 });
  rates.sample(3_000, counters(200, 40));
  assert.deepEqual(rates.now, { flows_per_s: 15, packets_per_s: 100 });
});

const CONTEXT = {
  services: ["a"],
  share: () => 0,
  weightInFile: () => 100,
  digest: "d",
  heardAgoMs: () => 40,
  nowMs: 10_000,
  wallMs: 0,
};

Deno.test("a member was heard when the networks heard it last; one that is missed, when the view did", () => {
  const ago = (state: string, heardAgoMs: number | undefined) => {
    const view = { name: "n2", state, reason: "", weights: [1, 0], sinceMs: 0, lastHeardMs: 9_000 };
    const context = { ...CONTEXT, heardAgoMs: () => heardAgoMs };
    return memberStatus(view as unknown as MemberView, undefined, context).last_heard_ms;
  };
  assert.equal(ago("up", 40), 40);
  assert.equal(ago("up", undefined), 1_000);
  assert.equal(ago("suspect", 40), 1_000);
  assert.equal(ago("dead", 40), 1_000);
});

Deno.test("a member that takes no new flows says why, as far as it is known", () => {
  const view = {
    name: "n2",
    state: "draining",
    reason: "its weight is 0",
    weights: [1, 0],
    sinceMs: 0,
  } as unknown as MemberView;
  const reason = (report: Partial<Report> | undefined, weight = 100) =>
    memberStatus(
      view,
      report && { claimed: [], retained: 0, digest: "d", ...report } as unknown as Report,
      { ...CONTEXT, weightInFile: () => weight },
    ).reason;
  assert.equal(reason(undefined), "its weight is 0");
  assert.equal(
    reason({ state: "draining", reason: "drained by hand" }),
    "takes no new flows: drained by hand",
  );
  assert.equal(reason({ state: "up" }), "takes no new flows: weight 0 by hand");
  assert.equal(reason({ state: "up" }, 0), "takes no new flows: weight 0 in the configuration file");
  assert.equal(reason({ state: "up", digest: "other" }), "its weight is 0");
  assert.equal(reason({ state: "up", down: [{ check: "web", reason: "x" }] }), "its weight is 0");
});
