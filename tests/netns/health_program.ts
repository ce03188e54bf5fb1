/**
 * The checks of a node, without the node: `health_program.ts FILE` runs the checks of a configuration where it is started,
 * and prints a line of JSON for each change and each event, with the time on the clock of this boot. A line on standard
 * input is another file to take up; the end of the input ends it in order.
 */

import { boottimeMs } from "../../ffi/clock.ts";
import { forNode, parseConfig } from "../../src/config/load.ts";
import { openChecks } from "../../src/control/checks.ts";
import { lines } from "../../src/core/lines.ts";

const encoder = new TextEncoder();
const print = (line: unknown) => Deno.stdout.writeSync(encoder.encode(`${JSON.stringify(line)}\n`));

function read(path: string) {
  const { config, problems } = parseConfig(Deno.readTextFileSync(path), path);
  if (config === undefined) throw new Error(JSON.stringify(problems));
  return config;
}

await using resources = new AsyncDisposableStack();
const config = read(Deno.args[0]);
const health = openChecks({
  config,
  node: forNode(config, "n1"),
  assumeUp: false,
  members: () => 2,
  nodeState: () => "up",
  record: (event) => print({ atMs: boottimeMs(), event }),
  onChange: (state) => print({ atMs: boottimeMs(), state }),
  onFailure: (error) => print({ atMs: boottimeMs(), failure: error.message }),
}, resources);
health.start();
for await (const line of lines(Deno.stdin.readable)) {
  if (line === "status") {
    print({ atMs: boottimeMs(), state: health.state(), rssBytes: Deno.memoryUsage().rss });
  } else health.reconfigure(read(line).checks);
}
