/** The peers' benchmark in its smallest form, so that it does not rot between two runs of it. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { labUnavailable } from "../../src/lab/privilege.ts";
import { missingTools } from "../setup.ts";

const CONTENDERS = ["straight", "xt_cluster", "HAProxy", "vipfarm", "vipfarm (no fast path)"];
/** What the benchmark runs; nothing else that tests use must keep it from being tried. */
const USED = ["ip", "unshare", "sysctl", "curl", "iptables", "iperf3", "wrk", "nginx", "haproxy"];

const unavailable = await labUnavailable() ??
  missingTools().filter(({ probe }) => USED.includes(probe)).map(({ probe }) => `${probe} is missing`).at(0);
if (unavailable) console.error(`the peers' benchmark is not tried: ${unavailable}`);

Deno.test({
  name: "the peers' benchmark measures every contender and writes its report",
  ignore: unavailable !== undefined,
  async fn() {
    const out = await Deno.makeTempFile();
    try {
      const { success, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "-A", "--quiet", fileURLToPath(new URL("../bench/peers/main.ts", import.meta.url))],
          ...["--rounds", "1", "--settle", "1", "--seconds", "1", "--out", out],
        ],
        stdin: "null",
      }).output();
      assert.ok(success, new TextDecoder().decode(stderr));
      const report = await Deno.readTextFile(out);
      const ratios = report.split("## Medians")[0];
      for (const contender of CONTENDERS) {
        const row = ratios.split("\n").find((line) => line.startsWith(`| ${contender} `));
        assert.ok(row, `${contender} is not in the report:\n${report}`);
        const figures = row.split("|").slice(2, -1).map(Number);
        assert.equal(figures.length, 7, row);
        assert.ok(figures.every((figure) => figure > 0), row);
      }
    } finally {
      await Deno.remove(out);
    }
  },
});
