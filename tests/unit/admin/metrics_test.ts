import assert from "node:assert/strict";
import { PlainFarm, type Served, withServer } from "./farm.ts";

/** Reads the text exposition format: sample → value, and the names with help and type. */
async function scrape({ url }: Served) {
  const response = await fetch(`${url}/metrics`);
  assert.match(response.headers.get("content-type")!, /^text\/plain/);
  const samples = new Map<string, number>();
  const help = new Map<string, string>();
  const types = new Map<string, string>();
  for (const line of (await response.text()).split("\n")) {
    if (line === "") continue;
    const [, keyword, name, rest] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (keyword === "HELP") help.set(name, rest);
    else if (keyword === "TYPE") types.set(name, rest);
    else {
      const at = line.lastIndexOf(" ");
      samples.set(line.slice(0, at), Number(line.slice(at + 1)));
    }
  }
  return { samples, help, types };
}

Deno.test("every metric has our prefix, a help text, and a unit that fits its type", async () => {
  await withServer({}, async (served) => {
    const { samples, help, types } = await scrape(served);
    const names = new Set([...samples.keys()].map((sample) => sample.replace(/\{.*/, "")));
    assert.ok(names.size >= 20);
    for (const name of names) {
      assert.match(name, /^vipfarm_[a-z_]+$/);
      assert.ok(help.get(name.replace(/_(bucket|sum|count)$/, ""))?.endsWith("."), name);
      const family = name.replace(/_seconds_(bucket|sum|count)$/, "_seconds");
      const expected = name.endsWith("_total") ? "counter" : name === family ? "gauge" : "histogram";
      assert.equal(types.get(family), expected, name);
    }
  });
});

Deno.test("a scrape shows the values of that moment, and what is gone leaves no trace", async () => {
  const farm = new PlainFarm();
  farm.heartbeats = {
    ...farm.heartbeats,
    lost: { n2: 4, n3: 0, gone: 9 },
    latenessMsMax: 2.5,
    membership: { suspicions: 1, deaths: 2, silences: 3, rejoins: 4, recordings: 5, membersRefused: 6 },
  };
  await withServer({}, async (served) => {
    const first = (await scrape(served)).samples;
    assert.equal(first.get('vipfarm_packets_total{interface="eth0",verdict="not_owner"}'), 8);
    assert.equal(first.get('vipfarm_packets_captured_total{interface="eth0"}'), 12);
    assert.equal(first.get('vipfarm_ring_drops_total{interface="eth0"}'), 1);
    assert.equal(first.get('vipfarm_tun_write_errors_total{interface="eth0"}'), 2);
    assert.equal(first.get('vipfarm_heartbeats_refused_total{reason="forged"}'), 3);
    assert.equal(first.get('vipfarm_heartbeats_lost_total{member="n2"}'), 4);
    assert.equal(first.get('vipfarm_heartbeats_lost_total{member="n3"}'), 0);
    assert.equal(first.get('vipfarm_heartbeats_lost_total{member="gone"}'), undefined);
    assert.equal(first.get("vipfarm_heartbeat_lateness_seconds"), 0.0025);
    assert.equal(first.get("vipfarm_deaths_total"), 2);
    assert.equal(first.get('vipfarm_build_info{version="0.1.0",farm="web",node="n1"}'), 1);
    assert.equal(first.get("vipfarm_ready"), 1);
    assert.equal(first.get('vipfarm_members{state="up"}'), 3);

    farm.datapath = [{ ...farm.datapath[0], captured: 20, verdicts: { accepted: 12, not_owner: 8 } }];
    farm.readiness = { ready: false, reason: "drained" };
    farm.status.members.pop();
    farm.status.members[1].state = "dead";
    farm.events.record({ severity: "error", kind: "member.died", message: "n2 died" });
    const second = (await scrape(served)).samples;
    assert.equal(second.get('vipfarm_packets_captured_total{interface="eth0"}'), 20);
    assert.equal(second.get('vipfarm_packets_total{interface="eth0",verdict="accepted"}'), 12);
    assert.equal(second.get("vipfarm_ready"), 0);
    assert.equal(second.get('vipfarm_member_state{member="n2",state="dead"}'), 1);
    assert.equal(second.get('vipfarm_member_state{member="n2",state="up"}'), undefined);
    assert.ok(![...second.keys()].some((sample) => sample.includes('"n3"')));
    assert.equal(second.get('vipfarm_events_total{severity="error",kind="member.died"}'), 1);
  }, farm);
});

Deno.test("checks, connections, takeovers and configurations have their metrics", async () => {
  const farm = new PlainFarm();
  Object.assign(farm.status.members[0], { connections: 118, retained: 7, digest: "0123456789abcdef" });
  Object.assign(farm.status.members[0], { application: { state: "up", reason: "" } });
  farm.status.members[1].digest = "another";
  farm.datapath = [{ ...farm.datapath[0], newFlows: 55 }];
  let observe: (durationMs: number) => void = () => {};
  Object.assign(farm, { onTakeover: (given: typeof observe) => observe = given });
  await withServer({ loopLagMs: () => 12 }, async (served) => {
    observe(470);
    const { samples } = await scrape(served);
    assert.equal(samples.get('vipfarm_check_up{check="web",kind="http"}'), 1);
    assert.equal(samples.get('vipfarm_check_runs_total{check="web"}'), 12);
    assert.equal(samples.get("vipfarm_connections"), 118);
    assert.equal(samples.get("vipfarm_connections_retained"), 7);
    assert.equal(samples.get('vipfarm_new_flows_total{interface="eth0"}'), 55);
    assert.equal(samples.get('vipfarm_application_state{state="up"}'), 1);
    assert.equal(samples.get('vipfarm_config_same{member="n1"}'), 1);
    assert.equal(samples.get('vipfarm_config_same{member="n2"}'), 0);
    assert.equal(samples.get('vipfarm_config_same{member="n3"}'), undefined);
    assert.equal(samples.get('vipfarm_takeover_seconds_bucket{le="0.25"}'), 0);
    assert.equal(samples.get('vipfarm_takeover_seconds_bucket{le="0.5"}'), 1);
    assert.equal(samples.get("vipfarm_takeover_seconds_sum"), 0.47);
    assert.equal(samples.get("vipfarm_event_loop_lag_seconds"), 0.012);
  }, farm);
});

Deno.test("requests are counted by route, never by path", async () => {
  await withServer({}, async (served) => {
    for (const path of ["/api/v1/nodes/n1/drain", "/api/v1/nodes/n2/drain", "/api/v1/nodes/x/drain"]) {
      await (await fetch(served.url + path, { method: "POST" })).body?.cancel();
    }
    for (let i = 0; i < 20; i++) await (await fetch(`${served.url}/no/${i}`)).body?.cancel();
    const samples = [...(await scrape(served)).samples].filter(([name]) =>
      name.startsWith("vipfarm_admin_requests_total")
    );
    const find = (...parts: string[]) =>
      samples.find(([name]) => parts.every((part) => name.includes(part)))?.[1];
    assert.equal(find('route="/api/v1/nodes/:name/:verb"', 'status="200"'), 2);
    assert.equal(find('route="/api/v1/nodes/:name/:verb"', 'status="404"'), 1);
    assert.equal(find('method="GET"', 'status="404"'), 20);
    assert.equal(samples.length, 3);
  });
});

Deno.test("two endpoints in one process do not share a registry", async () => {
  await withServer({}, async (first) => {
    await withServer({}, async (second) => {
      await (await fetch(`${first.url}/healthz`)).body?.cancel();
      const { samples } = await scrape(second);
      assert.ok(![...samples.keys()].some((sample) => sample.includes("/healthz")));
    });
  });
});
