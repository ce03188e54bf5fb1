/**
 * What checks cost: 500 of them at an interval of a second, the servers in another process. Prints the share of one
 * core that the process of the checks takes, the event loop and all threads included.
 *
 *     deno task bench:checks [--seconds 10] [--count 500]
 */

import process from "node:process";
import { parseArgs } from "node:util";
import { boottimeMs, realtimeMs } from "../../ffi/clock.ts";
import { forNode, parseConfig } from "../../src/config/load.ts";
import { WatchThread } from "../../src/control/watcher.ts";
import { Health } from "../../src/health/health.ts";

/** What each of the checks looks at, by kind; ports are those of the server process. */
const KINDS: Readonly<Record<string, (ports: readonly number[]) => string>> = {
  tcp: ([tcp]) => `tcp: { address: 127.0.0.1, port: ${tcp} }`,
  http: ([, http]) => `http: { address: 127.0.0.1, port: ${http}, path: /healthz, body_contains: well }`,
  ping: () => "ping: { address: 127.0.0.1 }",
  interface: () => "interface: { name: lo }",
  process: () => `process: { name: ${PROGRAM} }`,
  exec: () => "exec: { command: [/bin/true] }",
};

/** A program that nobody else runs. */
const PROGRAM = "vipfarm-bench";

const SERVERS = `
const tcp = Deno.listen({ hostname: "127.0.0.1", port: 0 });
(async () => { for await (const connection of tcp) connection.close(); })();
const http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("all is well"));
console.log(tcp.addr.port, http.addr.port);
`;

export interface Cost {
  readonly kind: string;
  readonly count: number;
  /** Runs that took place, for each second. */
  readonly runsPerSecond: number;
  /** Of one core, from 0 to 1; without what the process takes when it checks nothing. */
  readonly share: number;
  readonly down: number;
}

/** Runs `count` checks of a kind for some seconds. */
export async function measure(kind: string, count: number, seconds: number): Promise<Cost> {
  const servers = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", SERVERS],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const directory = Deno.makeTempDirSync({ prefix: "vipfarm-bench-" });
  Deno.copyFileSync("/bin/sleep", `${directory}/${PROGRAM}`);
  const program = new Deno.Command(`${directory}/${PROGRAM}`, { args: ["infinity"] }).spawn();
  const reader = servers.stdout.getReader();
  try {
    const ports = new TextDecoder().decode((await reader.read()).value).trim().split(" ").map(Number);
    const checks = Array.from({ length: count }, (_, i) => `  - { name: c${i}, ${KINDS[kind](ports)} }`);
    const { config, problems } = parseConfig(
      `farm: bench
secret_file: secret
interface: lo
virtual_ips: [{ address: 192.0.2.100 }]
services: [{ name: http, ports: [80] }]
checks:${count === 0 ? " []" : `\n${checks.join("\n")}`}`,
      "bench.yaml",
    );
    if (config === undefined) throw new Error(JSON.stringify(problems));
    const watcher = new WatchThread((error) => {
      throw error;
    });
    const health = new Health(config.checks, {
      node: forNode(config, "n1").name,
      watcher,
      assumeUp: false,
      interfaceName: (name) => name ?? "lo",
      members: () => 1,
      nodeState: () => "up",
      nowMs: boottimeMs,
      wallMs: realtimeMs,
      chance: Math.random,
      record: () => {},
      onChange: () => {},
    });
    health.start();
    // The first interval spreads the checks, and has the code compiled.
    await elapsed(2_000);
    const runs = () => health.state().checks.reduce((sum, check) => sum + check.runs, 0);
    const before = { runs: runs(), cpu: process.cpuUsage(), ms: performance.now() };
    await elapsed(seconds * 1_000);
    const { user, system } = process.cpuUsage(before.cpu);
    const tookMs = performance.now() - before.ms;
    const { checks: after } = health.state();
    const cost = {
      kind,
      count,
      runsPerSecond: (runs() - before.runs) / tookMs * 1_000,
      share: (user + system) / 1_000 / tookMs,
      down: after.filter(({ state }) => state !== "up").length,
    };
    await health.close();
    await watcher.close();
    return cost;
  } finally {
    await reader.cancel();
    for (const child of [servers, program]) {
      child.kill("SIGKILL");
      await child.status;
    }
    Deno.removeSync(directory, { recursive: true });
  }
}

function elapsed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { seconds: { type: "string", default: "10" }, count: { type: "string", default: "500" } },
  });
  console.log("kind       checks  runs/s  of one core");
  for (const kind of Object.keys(KINDS)) {
    const count = kind === "exec" ? Number(values.count) / 10 : Number(values.count);
    const { runsPerSecond, share, down } = await measure(kind, count, Number(values.seconds));
    const figures = [
      `${count}`.padStart(6),
      runsPerSecond.toFixed(0).padStart(7),
      `${(share * 100).toFixed(1)}%`,
    ];
    console.log(`${kind.padEnd(10)} ${figures.join(" ")}${down > 0 ? `  (${down} not up)` : ""}`);
  }
}
