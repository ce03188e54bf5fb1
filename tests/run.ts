/**
 * Runs the whole test suite: `deno task test`; or with `--fast` what is quick and needs no privilege: `deno task ok`.
 * With further arguments they go to `deno test` as they are, and nothing else runs.
 *
 * The static checks come first, then the tests that may run beside each other, then, one after the other, those
 * that build farms in network namespaces: they need the cores for themselves. The last line sums it all up.
 */
import process from "node:process";
import { installMissing } from "./setup.ts";
import { addCounts, type Counts, countsOf, NO_COUNTS, parseSummary } from "./summary.ts";

const STATIC_CHECKS = [
  ["fmt", "--check"],
  ["lint", "--quiet"],
  ["check", "--quiet", "."],
];

const NAMESPACE_SUITES = ["tests/netns", "tests/browser"];
const FAST_SUITES = ["tests/unit", "tests/vectors"];

async function check(args: string[]): Promise<Counts> {
  const { success } = await new Deno.Command(Deno.execPath(), { args, stdin: "null" }).spawn().status;
  if (!success) console.error(`deno ${args.join(" ")} failed`);
  return success ? NO_COUNTS : countsOf({ failed: 1 });
}

/** Runs `deno test`, shows its output as it comes, and reads the counts from its closing line. */
async function test(...args: string[]): Promise<Counts> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", "--quiet", ...args],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const decoder = new TextDecoder();
  let tail = "";
  for await (const chunk of child.stdout) {
    process.stdout.write(chunk);
    // The closing line is short; what stands long before it is not needed.
    tail = (tail + decoder.decode(chunk, { stream: true })).slice(-4_096);
  }
  return parseSummary(tail, (await child.status).success);
}

async function runAll(fast: boolean): Promise<Counts> {
  let counts = NO_COUNTS;
  for (const args of STATIC_CHECKS) counts = addCounts(counts, await check(args));
  if (fast) return addCounts(counts, await test("--parallel", ...FAST_SUITES));
  counts = addCounts(counts, await test("--parallel", `--ignore=${NAMESPACE_SUITES.join()}`, "tests"));
  return addCounts(counts, await test(...NAMESPACE_SUITES));
}

const fast = Deno.args.includes("--fast");
const passedOn = Deno.args.filter((argument) => argument !== "--fast");
if (!fast) await installMissing();
const { passed, failed, skipped } = passedOn.length > 0 ? await test(...passedOn) : await runAll(fast);
console.log(`\n${passed} passed, ${failed} failed, ${skipped} skipped`);
// A run that ran nothing has shown nothing.
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
