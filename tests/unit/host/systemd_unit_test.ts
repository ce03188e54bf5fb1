import assert from "node:assert/strict";

const UNIT = new URL("../../../config/systemd/vipfarm.service", import.meta.url);
/** Figure of `systemd-analyze security`, in tenths: 0 is a service that can do nothing, 100 one that may do everything. */
const EXPOSURE_MAX = 30;

const present = await new Deno.Command("systemd-analyze", { args: ["--version"], stdout: "null" }).output()
  .then(({ success }) => success, () => false);
if (!present) console.log("skipped: systemd-analyze is not installed");

Deno.test(
  { name: "systemd finds no fault in the unit, and little that it may do", ignore: !present },
  async () => {
    const directory = await Deno.makeTempDir();
    try {
      const path = `${directory}/vipfarm.service`;
      // The program need not be installed where this runs.
      const text = (await Deno.readTextFile(UNIT)).replaceAll("/usr/bin/vipfarm", "/bin/true");
      assert.ok(text.includes("ExecStart=/bin/true run"));
      await Deno.writeTextFile(path, text);
      const verify = await new Deno.Command("systemd-analyze", { args: ["verify", "--man=no", path] })
        .output();
      assert.equal(new TextDecoder().decode(verify.stderr), "");
      assert.equal(verify.code, 0);
      const args = ["security", "--offline=true", `--threshold=${EXPOSURE_MAX}`, "--no-pager", path];
      const security = await new Deno.Command("systemd-analyze", { args }).output();
      const figure = /Overall exposure level.*: (\S+)/.exec(new TextDecoder().decode(security.stdout));
      assert.equal(security.code, 0, `exposure ${figure?.[1]}`);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
);
