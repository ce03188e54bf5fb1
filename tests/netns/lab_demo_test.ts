import assert from "node:assert/strict";
import { labUnavailable } from "../../src/lab/privilege.ts";
import { killProcessesOf } from "../../src/lab/sweep.ts";

const unavailable = await labUnavailable();
if (unavailable !== undefined) console.log(`skipped: ${unavailable}`);
const ignore = unavailable !== undefined;

interface Ended {
  readonly code: number;
  readonly output: string;
  /** Names of the labs whose directories are left. */
  readonly left: readonly string[];
  readonly links: boolean;
}

/** Runs the demo as a user would, with an own directory for temporary files, and interrupts it at a line. */
async function demo(args: readonly string[], interruptAt?: string): Promise<Ended> {
  const temporary = await Deno.makeTempDir();
  const links = await Deno.readTextFile("/proc/net/dev");
  const names = (text: string) => text.split("\n").map((line) => line.split(":")[0].trim()).sort().join();
  const main = new URL("../../src/main.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", main, "demo", ...args],
    env: { TMPDIR: temporary, NO_COLOR: "1" },
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), 110_000);
  let output = "";
  let interrupted = false;
  let lab: string | undefined;
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    output += text;
    lab ??= [...Deno.readDirSync(temporary)][0]?.name;
    if (interruptAt !== undefined && !interrupted && output.includes(interruptAt)) {
      interrupted = true;
      child.kill("SIGINT");
    }
  }
  const { code } = await child.status;
  clearTimeout(timer);
  assert.ok(lab !== undefined, "the demo made no lab");
  assert.deepEqual(await killProcessesOf(lab), [], "processes were left");
  const left = [...Deno.readDirSync(temporary)].map((entry) => entry.name);
  await Deno.remove(temporary, { recursive: true });
  return { code, output, left, links: names(await Deno.readTextFile("/proc/net/dev")) === names(links) };
}

Deno.test(
  { name: "the tour holds what it claims, in under a minute, and leaves nothing", ignore },
  async () => {
    const beganMs = performance.now();
    const { code, output, left, links } = await demo(["--once"]);
    assert.equal(code, 0, output);
    assert.ok(!output.includes("✗"), output);
    assert.match(output, /All \d+ checks held/);
    assert.ok(performance.now() - beganMs < 60_000, "it took more than a minute");
    assert.deepEqual(left, []);
    assert.ok(links);
  },
);

for (
  const [moment, line] of [
    ["while it starts", "1. Start the farm"],
    ["while requests run", "2. Requests spread"],
    ["while a node is dying", "n2 dies"],
  ]
) {
  Deno.test({ name: `Ctrl-C ${moment} leaves nothing`, ignore }, async () => {
    const { code, left, links } = await demo(["--once"], line);
    assert.equal(code, 130);
    assert.deepEqual(left, []);
    assert.ok(links);
  });
}

Deno.test({ name: "without --once it names its consoles, and Ctrl-C ends it well", ignore }, async () => {
  const { code, output, left } = await demo(["--nodes", "2"], "lost 0");
  assert.equal(code, 0, output);
  assert.match(output, /n1 {2}http:\/\/127\.0\.0\.1:\d+\//);
  assert.match(output, /\nDone, nothing is left\.\n$/);
  assert.deepEqual(left, []);
});
