/** The Grafana dashboard and the alert rules fit the metrics, by name always, and by `promtool` where it is. */
import assert from "node:assert/strict";
import { PlainFarm, withServer } from "./farm.ts";
import { canRun } from "./programs.ts";

const root = new URL("../../../config/", import.meta.url);
const RULES = new URL("prometheus/vipfarm.rules.yml", root).pathname;
const rules = Deno.readTextFileSync(RULES);
const dashboard = JSON.parse(Deno.readTextFileSync(new URL("grafana/vipfarm.json", root)));
const PROMTOOL = "promtool";
const FORGED = "VipfarmForgedHeartbeats";
const withoutPromtool = !await canRun(PROMTOOL, "--version");

interface Panel {
  title: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets: Array<{ expr: string }>;
}
const panels: Panel[] = dashboard.panels;
const expressions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
  .concat(dashboard.annotations.list.map(({ expr }: { expr: string }) => expr));

async function metricsText(): Promise<string> {
  let text = "";
  await withServer({}, async ({ url }) => {
    text = await (await fetch(`${url}/metrics`)).text();
  }, new PlainFarm());
  return text;
}

async function promtool(args: string[], stdin?: string): Promise<{ success: boolean; said: string }> {
  const child = new Deno.Command(PROMTOOL, { args, stdin: "piped", stdout: "piped", stderr: "piped" })
    .spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(stdin ?? ""));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  return { success, said: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

Deno.test("rules and dashboard name only metrics that there are", async () => {
  const known = new Set<string>();
  for (const [, name, type] of (await metricsText()).matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    known.add(name);
    if (type === "histogram") { for (const part of ["bucket", "sum", "count"]) known.add(`${name}_${part}`); }
  }
  const named = [rules, ...expressions].flatMap((text) =>
    [...text.matchAll(/\bvipfarm_[a-z_]+/g)].map(([name]) => name)
  );
  assert.ok(named.length > 40);
  assert.deepEqual([...new Set(named)].filter((name) => !known.has(name)), []);
});

Deno.test("every alert says what to do", () => {
  const alerts = rules.split("- alert:").slice(1);
  assert.ok(alerts.length >= 10);
  for (const alert of alerts) {
    assert.match(alert, /severity: (warning|critical)[^]*summary: "[^"]+"\s+remedy: "[^"]+"/);
  }
});

Deno.test("the panels of the dashboard lie beside each other", () => {
  const taken = new Map<string, string>();
  for (const { title, gridPos: { x, y, w, h } } of panels) {
    assert.ok(x + w <= 24, title);
    for (let column = x; column < x + w; column++) {
      for (let row = y; row < y + h; row++) {
        assert.equal(taken.get(`${column} ${row}`), undefined, title);
        taken.set(`${column} ${row}`, title);
      }
    }
  }
});

Deno.test({
  name: "promtool: the rules, the expressions of the dashboard and the metrics themselves are sound",
  ignore: withoutPromtool,
  fn: async () => {
    const checked = await promtool(["check", "rules", RULES]);
    assert.ok(checked.success, checked.said);
    const directory = await Deno.makeTempDir();
    try {
      const plain = expressions.map((expression) =>
        expression.replaceAll("$__rate_interval", "5m").replaceAll("$__range", "1h").replaceAll("$farm", ".*")
      );
      const records = plain.map((expr, index) => ({ record: `dashboard:${index}`, expr }));
      const file = `${directory}/dashboard.yml`;
      await Deno.writeTextFile(file, JSON.stringify({ groups: [{ name: "dashboard", rules: records }] }));
      const parsed = await promtool(["check", "rules", file]);
      assert.ok(parsed.success, parsed.said);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
    const linted = await promtool(["check", "metrics"], await metricsText());
    assert.ok(linted.success, linted.said);
  },
});

/** Alerts that are up after ten minutes of these series: a text for the test of rules. */
function alertTest(series: Record<string, string>, alert: string, count: number): string {
  const expected = Array.from({ length: count }, () => ({}));
  return JSON.stringify({
    rule_files: [RULES],
    evaluation_interval: "10s",
    tests: [{
      interval: "10s",
      input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
      promql_expr_test: [{
        expr: `count(ALERTS{alertname="${alert}", alertstate="firing"}) or vector(0)`,
        eval_time: "10m",
        exp_samples: [{ labels: "{}", value: expected.length }],
      }],
    }],
  });
}

Deno.test({
  name: "promtool: alerts are up when they should be, and only then",
  ignore: withoutPromtool,
  fn: async () => {
    const farm = (ready: number[]) =>
      Object.fromEntries(ready.flatMap((value, index) => [
        [`vipfarm_ready{instance="n${index}",job="vipfarm"}`, `${value}x60`],
        [`vipfarm_build_info{instance="n${index}",job="vipfarm",farm="web",node="n${index}"}`, "1x60"],
      ]));
    const cases: Array<[Record<string, string>, string, number]> = [
      [farm([1, 1, 1]), "VipfarmNobodyServes", 0],
      [farm([0, 0]), "VipfarmNobodyServes", 1],
      [farm([1, 1, 0]), "VipfarmOneNodeServes", 0],
      [farm([1, 0, 0]), "VipfarmOneNodeServes", 1],
      [farm([1]), "VipfarmOneNodeServes", 0],
      [farm([1, 0, 0]), "VipfarmNotReady", 2],
      [{ 'up{job="vipfarm",instance="n1"}': "0x60" }, "VipfarmNodeDown", 1],
      [{ 'vipfarm_deaths_total{instance="n1"}': "0+0x50 1+0x10" }, "VipfarmMemberDied", 1],
      [{ 'vipfarm_deaths_total{instance="n1"}': "3x60" }, "VipfarmMemberDied", 0],
      [{ 'vipfarm_check_up{instance="n1",check="web",kind="http"}': "0x60" }, "VipfarmCheckDown", 1],
      [{ 'vipfarm_check_up{instance="n1",check="web",kind="http"}': "1x60" }, "VipfarmCheckDown", 0],
      [{ 'vipfarm_heartbeat_lateness_seconds{instance="n1"}': "0.001x60" }, "VipfarmHeartbeatsLate", 0],
      [{ 'vipfarm_heartbeat_lateness_seconds{instance="n1"}': "0.2x60" }, "VipfarmHeartbeatsLate", 1],
      [
        { 'vipfarm_warnings{instance="n1",kind="heartbeat.network_lost"}': "1x60" },
        "VipfarmHeartbeatNetworkLost",
        1,
      ],
      [{ 'vipfarm_heartbeats_refused_total{instance="n1",reason="duplicate"}': "0+100x60" }, FORGED, 0],
      [{ 'vipfarm_heartbeats_refused_total{instance="n1",reason="foreignFarm"}': "0+100x60" }, FORGED, 0],
      [{ 'vipfarm_heartbeats_refused_total{instance="n1",reason="headerCheck"}': "0+100x60" }, FORGED, 1],
      [{ 'vipfarm_application_state{instance="n1",state="failed"}': "1x60" }, "VipfarmApplicationFailed", 1],
    ];
    const directory = await Deno.makeTempDir();
    try {
      for (const [index, [series, alert, count]] of cases.entries()) {
        await Deno.writeTextFile(`${directory}/${index}.yml`, alertTest(series, alert, count));
      }
      const files = cases.map((_, index) => `${directory}/${index}.yml`);
      const { success, said } = await promtool(["test", "rules", ...files]);
      assert.ok(success, said);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
