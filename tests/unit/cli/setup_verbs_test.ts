/** The verbs that make a farm, as processes: what they write, refuse and say. */
import assert from "node:assert/strict";
import { seal } from "../../../src/cli/invitation.ts";
import { FARM, MAIN, TOP, vipfarm, withFarm } from "./command_line.ts";

Deno.test("keygen makes a new secret each time, and a file only for its owner, never over another", () =>
  withFarm(async (directory) => {
    const first = await vipfarm(directory, ["keygen"]);
    const second = await vipfarm(directory, ["keygen"]);
    assert.equal(first.code, 0);
    assert.match(first.out, /^[A-Za-z0-9+/]{64}\n$/);
    assert.notEqual(first.out, second.out);

    assert.equal((await vipfarm(directory, ["keygen", "--output", "new"])).code, 0);
    assert.equal((await Deno.stat(`${directory}/new`)).mode! & 0o777, 0o600);
    const text = await Deno.readTextFile(`${directory}/new`);
    const again = await vipfarm(directory, ["keygen", "--output", "new"]);
    assert.equal(again.code, 1);
    assert.match(again.err, /there is such a file already/);
    assert.equal(await Deno.readTextFile(`${directory}/new`), text);
  }));

Deno.test("init writes a file that check accepts, and says what to do next on stderr", () =>
  withFarm(async (directory) => {
    const { code, out, err } = await vipfarm(directory, [
      ...["init", "--interface", "no-such-if0", "--vip", "192.0.2.100", "--vip", "2001:db8::100"],
      ...["--service", "http=80,443", "--service", "dns=53,5000-5010/udp", "--secret-file", "secret"],
    ]);
    assert.equal(code, 0);
    assert.match(err, /^warning: this host has no interface no-such-if0, .*\nNext:\n {2}1\. vipfarm keygen/);
    await Deno.writeTextFile(`${directory}/made.yaml`, out);
    const check = await vipfarm(directory, ["check", "-c", "made.yaml"]);
    assert.equal(check.code, 0, check.err);
    assert.match(check.out, /virtual IPs 2, services 2/);

    const file = await vipfarm(directory, ["init", "--output", "farm.yaml"]);
    assert.equal(file.code, 1);
    assert.match(file.err, /replace the file with --force/);
    assert.equal(await Deno.readTextFile(`${directory}/farm.yaml`), FARM);
  }));

Deno.test("init with a file: a secret beside it, which stays when --force replaces the file", () =>
  withFarm(async (directory) => {
    const first = await vipfarm(directory, ["init", "--vip", "192.0.2.100", "--output", "sub/new.yaml"]);
    assert.equal(first.code, 1);
    assert.match(first.err, /Make the directory first/);
    await Deno.mkdir(`${directory}/sub`);
    const made = await vipfarm(directory, ["init", "--vip", "192.0.2.100", "--output", "sub/new.yaml"]);
    assert.equal(made.code, 0, made.err);
    assert.match(
      made.err,
      /^Wrote sub\/new\.yaml; the secret sub\/secret is new\.\nNext:\n {2}1\. vipfarm preflight/,
    );
    assert.equal((await Deno.stat(`${directory}/sub/secret`)).mode! & 0o777, 0o600);
    const secret = await Deno.readTextFile(`${directory}/sub/secret`);
    assert.equal((await vipfarm(directory, ["check", "-c", "sub/new.yaml"])).code, 0);

    const again = ["init", "--vip", "192.0.2.101", "--output", "sub/new.yaml"];
    assert.equal((await vipfarm(directory, again)).code, 1);
    assert.match(
      (await vipfarm(directory, [...again, "--force"])).err,
      /secret sub\/secret was there already/,
    );
    assert.match(await Deno.readTextFile(`${directory}/sub/new.yaml`), /address: 192\.0\.2\.101/);
    assert.equal(await Deno.readTextFile(`${directory}/sub/secret`), secret);
  }));

Deno.test("invite and join carry file and secret; nothing is replaced unasked, nothing is read without the passphrase", () =>
  withFarm(async (directory) => {
    await Deno.writeTextFile(`${directory}/pass`, "correct horse battery\n");
    await Deno.writeTextFile(`${directory}/other`, "incorrect horse battery\n");
    await Deno.writeTextFile(`${directory}/short`, "h-o-r-s-e b-a-t-t-e\n");
    const pass = ["--passphrase-file", "pass"];
    await Deno.chmod(`${directory}/pass`, 0o644);
    const open = await vipfarm(directory, ["invite", "-c", "farm.yaml", ...pass]);
    assert.equal(open.err, "warning: others may read the passphrase in pass: chmod 600 pass\n");
    await Deno.chmod(`${directory}/pass`, 0o600);
    const invited = await vipfarm(directory, ["invite", "-c", "farm.yaml", ...pass]);
    assert.equal(invited.code, 0, invited.err);
    assert.equal(invited.err, "");
    await Deno.writeTextFile(`${directory}/invitation`, `Hello,\n\n${invited.out.replaceAll(/^/gm, "> ")}\n`);
    await Deno.mkdir(`${directory}/n2`);
    const join = ["join", "invitation", "--output", "n2/vipfarm.yaml", "--node", "n2"];

    const short = await vipfarm(directory, ["invite", "-c", "farm.yaml", "--passphrase-file", "short"]);
    assert.equal(short.code, 1);
    assert.match(short.err, /it has 10 characters, without blanks and hyphens.*\n.*a good one is made then/);
    const joinedShort = await vipfarm(directory, [...join, "--passphrase-file", "short"]);
    assert.match(
      joinedShort.err,
      /it has 10 characters.*\n.*leave --passphrase-file out: it is asked for then/,
    );
    for (const missing of [["join", "missing"], [...join, "--passphrase-file", "missing"]]) {
      const { code, err } = await vipfarm(directory, missing);
      assert.equal(code, 1);
      assert.match(err, /error: read \w+: there is no such file \(missing\)\n$/);
    }
    const wrong = await vipfarm(directory, [...join, "--passphrase-file", "other"]);
    assert.equal(wrong.code, 1);
    assert.match(wrong.err, /the passphrase is another one/);
    assert.equal((await vipfarm(directory, join)).code, 2, "nobody is there to ask");
    assert.deepEqual([...Deno.readDirSync(`${directory}/n2`)], []);

    const joined = await vipfarm(directory, [...join, ...pass]);
    assert.equal(joined.code, 0, joined.err);
    assert.match(joined.err, /^The configuration goes to n2\/vipfarm\.yaml, the secret to n2\/secret\.\n/);
    assert.match(joined.err, /^n2\/vipfarm\.yaml and n2\/secret are those of the farm web\./m);
    assert.equal(await Deno.readTextFile(`${directory}/n2/vipfarm.yaml`), FARM);
    const secretOf = async (path: string) => (await Deno.readTextFile(`${directory}/${path}`)).trim();
    assert.equal(await secretOf("n2/secret"), await secretOf("secret"));
    assert.equal((await Deno.stat(`${directory}/n2/secret`)).mode! & 0o777, 0o600);
    assert.equal((await vipfarm(directory, [...join, ...pass])).code, 0, "the same once more");

    await Deno.writeTextFile(`${directory}/n2/vipfarm.yaml`, "farm: another\n");
    const refused = await vipfarm(directory, [...join, ...pass]);
    assert.equal(refused.code, 1);
    assert.match(refused.err, /there is another file of that name.*\n.*--force/);
    assert.equal((await vipfarm(directory, [...join, ...pass, "--force"])).code, 0);
    assert.equal(await Deno.readTextFile(`${directory}/n2/vipfarm.yaml`), FARM);
  }));

Deno.test("join writes no secret to another place than beside the file, unless told, and nothing that is none", () =>
  withFarm(async (directory) => {
    const passphrase = "correct horse battery";
    await Deno.writeTextFile(`${directory}/pass`, passphrase);
    const elsewhere = `${directory}/elsewhere`;
    const config = FARM.replace("secret_file: secret", `secret_file: ${elsewhere}`);
    const secret = (await Deno.readTextFile(`${directory}/secret`)).trim();
    const invite = (secret: string) =>
      Deno.writeTextFile(`${directory}/invitation`, seal({ farm: "web", config, secret }, passphrase));
    await Deno.mkdir(`${directory}/n2`);
    const join = (...more: string[]) =>
      vipfarm(directory, [
        ...["join", "invitation", "-o", "n2/farm.yaml", "--node", "n2", "--passphrase-file", "pass", ...more],
      ]);
    const placed = ["--secret-file", elsewhere];
    for (const text of ["ssh-ed25519 AAAA", "c2hvcnQ="]) {
      await invite(text);
      assert.match((await join(...placed)).err, /read invitation: its secret has (15 characters|5 bytes)/);
    }
    await invite(secret);
    assert.match((await join()).err, /elsewhere than beside itself.*\n.*--secret-file/);
    assert.equal((await join("--secret-file", `${directory}/other`)).code, 1);
    assert.deepEqual([...Deno.readDirSync(`${directory}/n2`)], []);
    const joined = await join(...placed);
    assert.equal(joined.code, 0, joined.err);
    assert.equal(await Deno.readTextFile(elsewhere), `${secret}\n`);
  }));

Deno.test("init on a terminal asks, says what is wrong with an answer, and asks again", () =>
  withFarm(async (directory) => {
    const config = new URL("deno.json", TOP).pathname;
    const command = [
      Deno.execPath(),
      "run",
      "-A",
      "--config",
      config,
      MAIN,
      "init",
      "--interface",
      "no-such-if0",
    ];
    // script(1) gives the program a terminal.
    const child = new Deno.Command("script", {
      args: ["--quiet", "--return", "--command", command.join(" "), "/dev/null"],
      cwd: directory,
      stdin: "piped",
      stdout: "piped",
      signal: AbortSignal.timeout(30_000),
    }).spawn();
    const writer = child.stdin.getWriter();
    const answers = ["", "10.0.0.0/8", "192.0.2.100 2001:db8::100", "http=80,443 dns=53/udp", "asked.yaml"];
    let shown = "";
    for await (const chunk of child.stdout) {
      // Without what moves the cursor.
      // deno-lint-ignore no-control-regex
      shown += new TextDecoder().decode(chunk).replaceAll(/\x1b\[\d*[A-Z]/g, "");
      // One answer for each question.
      if (!shown.endsWith(": ") || answers.length === 0) continue;
      shown += "\n";
      await writer.write(new TextEncoder().encode(`${answers.shift()}\n`));
    }
    assert.equal((await child.status).code, 0, shown);
    assert.match(shown, /Expected a unicast address/);
    const text = await Deno.readTextFile(`${directory}/asked.yaml`);
    assert.match(text, /^farm: web$/m);
    assert.match(text, /address: "2001:db8::100"/);
    assert.equal((await vipfarm(directory, ["check", "-c", "asked.yaml"])).code, 0);
  }));
