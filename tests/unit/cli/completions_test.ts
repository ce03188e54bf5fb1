import assert from "node:assert/strict";
import { completionScript, SHELLS } from "../../../src/cli/completions.ts";
import { terminal } from "../../../src/cli/output.ts";
import { buildProgram } from "../../../src/cli/program.ts";

const program = () => buildProgram(terminal());

/** What bash offers for the last of these words. */
async function completeInBash(words: string[]): Promise<string[]> {
  const script = `${completionScript(program(), "bash")}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _vipfarm; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { code, stdout, stderr } = await new Deno.Command("bash", {
    args: ["--norc", "-c", script, "bash", ...words],
    env: { LC_ALL: "C" },
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trimEnd().split("\n");
}

/** Whether the program can be started here. */
function isHere(command: string): boolean {
  try {
    return new Deno.Command(command, { args: ["--version"], stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}

Deno.test("every verb and every option of the command line is in every shell's script", () => {
  for (const shell of SHELLS) {
    const script = completionScript(program(), shell);
    for (const verb of program().createHelp().visibleCommands(program())) {
      assert.ok(script.includes(verb.name()), `${shell}: ${verb.name()}`);
      for (const { long, hidden } of verb.options) {
        if (hidden) continue;
        assert.ok(
          long && script.includes(shell === "fish" ? `-l ${long.slice(2)}` : long),
          `${shell}: ${long}`,
        );
      }
    }
  }
});

Deno.test({
  name: "bash completes verbs, options, shells and files",
  ignore: !isHere("bash"),
  fn: async () => {
    assert.deepEqual(await completeInBash(["vipfarm", "dr"]), ["drain"]);
    assert.deepEqual(await completeInBash(["vipfarm", "check", "--n"]), ["--node"]);
    assert.deepEqual(await completeInBash(["vipfarm", "completions", ""]).then((words) => words.slice(-3)), [
      ...SHELLS,
    ]);
    assert.deepEqual(await completeInBash(["vipfarm", "help", "vers"]), ["version"]);
    assert.deepEqual(
      await completeInBash(["vipfarm", "check", "-c", "/etc/passw"]).then((all) => all.sort()[0]),
      "/etc/passwd",
    );
    assert.deepEqual(await completeInBash(["vipfarm", "check", "--node", "n"]), [""]);
    assert.deepEqual(await completeInBash(["vipfarm", "token", "--role", "m"]), ["monitor"]);
    assert.deepEqual(await completeInBash(["vipfarm", "events", "--severity", ""]), [
      "info",
      "warning",
      "error",
    ]);
  },
});

for (const shell of ["zsh", "fish"] as const) {
  Deno.test({
    name: `${shell} reads its script without complaint`,
    ignore: !isHere(shell),
    fn: async () => {
      const file = await Deno.makeTempFile();
      try {
        await Deno.writeTextFile(file, completionScript(program(), shell));
        const { code, stderr } = await new Deno.Command(shell, { args: ["-n", file] }).output();
        assert.equal(code, 0, new TextDecoder().decode(stderr));
      } finally {
        await Deno.remove(file);
      }
    },
  });
}
