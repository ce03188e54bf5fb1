/** The command line as a process: exit codes, what goes to stdout and what to stderr. */
import assert from "node:assert/strict";
import { clientArgument } from "../../../src/cli/arguments.ts";
import { explain } from "../../../src/cli/explain.ts";
import { deriveKeys } from "../../../src/core/keys.ts";
import { AFFINITY, FlowHash } from "../../../src/ownership/flow_hash.ts";
import { Columns } from "../../../src/ownership/rendezvous.ts";
import { OwnerTable } from "../../../src/ownership/table.ts";
import project from "../../../deno.json" with { type: "json" };
import { FARM, MAIN, TOP, vipfarm, withFarm } from "./command_line.ts";

Deno.test("check: a valid file is 0, with the answer on stdout and warnings on stderr", () =>
  withFarm(async (directory) => {
    const { code, out, err } = await vipfarm(directory, ["check", "-c", "farm.yaml", "--node", "n1"]);
    assert.equal(code, 0);
    assert.equal(out, "farm.yaml: ok: farm web, virtual IPs 1, services 2, nodes 3\n");
    assert.match(
      err,
      /^farm\.yaml:3:12: warning: this host has no interface no-such-if0, .*nodes\.n1\.interface\n$/,
    );
    const other = await vipfarm(directory, ["check", "-c", "farm.yaml", "--node", "n7"]);
    assert.equal(other.code, 0);
    assert.match(other.err, /^farm\.yaml:6:1: warning: no node n7 is listed.* expected one of n1, n2, n3/m);
  }));

Deno.test("check reads what is piped into it, run does not: it must read it again", () =>
  withFarm(async (directory) => {
    const shell = async (verb: string, ...args: string[]) => {
      const line = `"$0" run --no-prompt --config "$1" -A "$2" ${verb} -c /dev/stdin ${args.join(" ")}`;
      const { code, stdout, stderr } = await new Deno.Command("sh", {
        args: ["-c", `cat farm.yaml | ${line}`, Deno.execPath(), new URL("deno.json", TOP).pathname, MAIN],
        cwd: directory,
      }).output();
      return { code, out: new TextDecoder().decode(stdout), err: new TextDecoder().decode(stderr) };
    };
    const check = await shell("check", "--node", "n1");
    assert.match(check.err, /the secret \/dev\/secret does not exist/);
    const run = await shell("run", "--node", "n1", "--runtime-dir", "run");
    assert.equal(run.code, 1);
    assert.match(run.err, /^\/dev\/stdin:1:1: this is no regular file, expected a YAML file/);
  }));

Deno.test("check: every problem on a line of stderr, nothing on stdout, exit 1", () =>
  withFarm(async (directory) => {
    await Deno.writeTextFile(`${directory}/farm.yaml`, `${FARM.replace("53]", "0]")}uncoverd: drop\n`);
    await Deno.chmod(`${directory}/secret`, 0o644);
    const { code, out, err } = await vipfarm(directory, ["check", "--config", "farm.yaml"]);
    assert.equal(code, 1);
    assert.equal(out, "");
    const errors = err.trimEnd().split("\n").filter((line) => !line.includes(": warning: "));
    assert.deepEqual(errors.map((line) => /^farm\.yaml:(\d+:\d+): .*, expected /.exec(line)?.[1]), [
      "2:14",
      "5:67",
      "7:1",
    ]);
    assert.match(errors[0], /chmod 600/);
    assert.match(errors[2], /did you mean `uncovered`\?$/);
  }));

Deno.test("check: a tokens file that others may read is an error, as it is for the daemon", () =>
  withFarm(async (directory) => {
    const check = () => vipfarm(directory, ["check", "-c", "farm.yaml", "--node", "n1"]);
    await Deno.writeTextFile(`${directory}/farm.yaml`, `${FARM}admin: { tokens_file: tokens }\n`);
    assert.equal((await check()).code, 0, "it may be on the farm's hosts");
    await Deno.writeTextFile(`${directory}/tokens`, "");
    await Deno.chmod(`${directory}/tokens`, 0o644);
    const { code, err } = await check();
    assert.equal(code, 1);
    assert.match(
      err,
      /^farm\.yaml:7:23: `admin\.tokens_file`: others may read it.*mode 644\), expected mode 0600: chmod 600/m,
    );
    await Deno.chmod(`${directory}/tokens`, 0o600);
    assert.equal((await check()).code, 0);
  }));

Deno.test("check: a file that is not there is 1, at line 1", () =>
  withFarm(async (directory) => {
    const { code, err } = await vipfarm(directory, ["check", "-c", "absent.yaml"]);
    assert.equal(code, 1);
    assert.match(err, /^absent\.yaml:1:1: there is no such file, expected .*vipfarm init/);
  }));

Deno.test("check and version need no FFI, no network, no processes and no writing", () =>
  withFarm(async (directory) => {
    const permissions = ["--allow-read", "--allow-env", "--allow-sys"];
    assert.equal((await vipfarm(directory, ["check", "-c", "farm.yaml"], { permissions })).code, 0);
    assert.equal((await vipfarm(directory, ["version"], { permissions })).code, 0);
  }));

Deno.test("usage errors are 2, say what was expected, and print nothing on stdout", () =>
  withFarm(async (directory) => {
    const cases: Array<[string[], RegExp]> = [
      [[], /^Usage: vipfarm VERB/],
      [["chek", "-c", "farm.yaml"], /unknown command 'chek'\n\(Did you mean check\?\)/],
      [["check"], /required option '-c, --config <FILE>' not specified/],
      [["check", "-c"], /argument missing/],
      [["check", "-c", "farm.yaml", "--nod", "n1"], /unknown option '--nod'\n\(Did you mean --node\?\)/],
      [["check", "-c", "farm.yaml", "more"], /too many arguments/],
      [["check", "-c", "farm.yaml", "--node", "a b"], /Expected 1 to 63 letters/],
      [["run"], /required option '-c, --config <FILE>' not specified/],
      [["explain", "-c", "farm.yaml"], /missing required argument/],
      [["explain", "192.0.2.7:99999", "-c", "farm.yaml"], /such as 203\.0\.113\.7:51000/],
      [
        ["explain", "192.0.2.7", "--offline", "-c", "farm.yaml", "--service", "http"],
        /such as 192\.0\.2\.7:51000/,
      ],
      [["explain", "192.0.2.7:1", "--offline"], /Add -c FILE/],
      [["explain", "192.0.2.7:1", "--offline", "-c", "farm.yaml", "--service", "dn"], /Did you mean dns\?/],
      [["help", "chek"], /unknown verb 'chek'\n\(Did you mean check\?\)/],
      [["help", "nosuch"], /unknown verb 'nosuch'\n\(`vipfarm help` lists the verbs\)/],
      [["init", "--vip", "10.0.0.0/8"], /unicast address/],
      [["init", "--vip", "10.0.0.1", "--vip", "10.0.0.1"], /--vip 10\.0\.0\.1 was given twice/],
      [["init", "--service", "http:80"], /NAME=PORTS/],
      [["init", "--vip", "10.0.0.1", "--service", "a=80", "--service", "b=80"], /overlap/],
      [["completions", "tcsh"], /bash, zsh, fish/],
      [["demo", "--nodes", "1"], /whole number from 2 to 32/],
    ];
    // Two at a time: enough to be quick, and kind to small machines.
    for (let index = 0; index < cases.length; index += 2) {
      await Promise.all(
        cases.slice(index, index + 2).map(async ([args, message]) => {
          const { code, out, err } = await vipfarm(directory, args);
          assert.equal(code, 2, `${args.join(" ")}: ${err}`);
          assert.equal(out, "", args.join(" "));
          assert.match(err, message);
        }),
      );
    }
  }));

Deno.test("a name in VIPFARM_NODE that no node can have is a usage error", () =>
  withFarm(async (directory) => {
    const { code, err } = await vipfarm(directory, ["check", "-c", "farm.yaml"], {
      env: { VIPFARM_NODE: "a/b" },
    });
    assert.equal(code, 2);
    assert.match(
      err,
      /^vipfarm: error: choose this node's name: .*\("a\/b"\)\n {2}Give another one with --node/,
    );
  }));

Deno.test("VIPFARM_NODE names the node, and --node goes before it", () =>
  withFarm(async (directory) => {
    await Deno.writeTextFile(
      `${directory}/farm.yaml`,
      FARM.replace("n1: {}", "n1: { interface: no-such-if1 }").replace(
        "n3: {}",
        "n3: { interface: no-such-if3 }",
      ),
    );
    const env = { VIPFARM_NODE: "n3" };
    assert.match(
      (await vipfarm(directory, ["check", "-c", "farm.yaml"], { env })).err,
      /no interface no-such-if3/,
    );
    const both = await vipfarm(directory, ["check", "-c", "farm.yaml", "--node", "n1"], { env });
    assert.match(both.err, /no interface no-such-if1/);
  }));

Deno.test("help is 0, on stdout, for the program and for every verb", () =>
  withFarm(async (directory) => {
    const whole = await vipfarm(directory, ["--help"]);
    assert.equal(whole.code, 0);
    assert.equal(whole.err, "");
    for (
      const verb of [
        ...["run", "check", "preflight", "explain", "status", "events", "drain", "resume", "start", "stop"],
        ...["restart", "weight", "keygen", "init", "invite", "join", "completions", "version", "demo"],
      ]
    ) assert.match(whole.out, new RegExp(`^  ${verb} `, "m"), verb);
    const verb = await vipfarm(directory, ["help", "run"]);
    assert.equal(verb.code, 0);
    assert.match(verb.out, /SIGHUP/);
    assert.match(verb.out, /Examples:/);
  }));

Deno.test("version tells the one in deno.json", () =>
  withFarm(async (directory) => {
    const text = await vipfarm(directory, ["version"]);
    assert.match(text.out, /^vipfarm \d+\.\d+\.\d+ \(.*deno \d+\.\d+\.\d+, \w+ \w+\)\n$/);
    const json = JSON.parse((await vipfarm(directory, ["version", "--json"])).out);
    assert.equal(json.version, project.version);
    assert.equal((await vipfarm(directory, ["--version"])).out, `vipfarm ${project.version}\n`);
  }));

Deno.test("explain from the file: the same owner every time, by weight, for each service", () =>
  withFarm(async (directory) => {
    const args = ["explain", "203.0.113.7:51000", "-c", "farm.yaml", "--offline"];
    const text = await vipfarm(directory, args);
    assert.equal(text.code, 0);
    assert.match(text.out, /^client: {4}203\.0\.113\.7:51000\nservice: {3}http \(tcp 80, 443\)\n/);
    assert.equal(text.out.match(/^bucket: +\d+\nowner: +n[123]\nrunner-up: +n[123]\nwhy: +\S/gm)?.length, 2);

    const both = JSON.parse((await vipfarm(directory, [...args, "--json"])).out);
    assert.deepEqual(both.map((each: { service: string }) => each.service), ["http", "dns"]);
    const http = JSON.parse((await vipfarm(directory, [...args, "--json", "--service", "http"])).out);
    assert.deepEqual(http, both[0]);
    assert.deepEqual(
      Object.fromEntries(
        http.scores.map((each: { name: string; weight: number }) => [each.name, each.weight]),
      ),
      { n1: 100, n2: 300, n3: 100 },
    );
    assert.equal(http.scores[0].name, http.owner);
    // Affinity client: the port does not matter.
    const other = await vipfarm(directory, [
      "explain",
      "203.0.113.7:1",
      "-c",
      "farm.yaml",
      "--offline",
      "--service",
      "dns",
      "--json",
    ]);
    assert.equal(JSON.parse(other.out).bucket, both[1].bucket);
    // Without the port the others are answered.
    const some = await vipfarm(directory, [
      "explain",
      "203.0.113.7",
      "-c",
      "farm.yaml",
      "--offline",
      "--json",
    ]);
    assert.equal(JSON.parse(some.out).bucket, both[1].bucket);
    assert.match(some.err, /^http: the client's port decides .* 203\.0\.113\.7:51000\.$/m);
  }));

Deno.test("explain from the file: of a service with flow_timeout the owner is that of the group, as in the daemon's tables", () =>
  withFarm(async (directory) => {
    const path = `${directory}/farm.yaml`;
    await Deno.writeTextFile(path, FARM.replace("weight: 7", "flow_timeout: 60s"));
    const secret = Uint8Array.fromBase64(await Deno.readTextFile(`${directory}/secret`));
    const { flowKey, rendezvousKey } = deriveKeys(secret, "web");
    const members = [["n1", 100], ["n2", 300], ["n3", 100]] as const;
    const columns = new Columns(rendezvousKey);
    const table = OwnerTable.build(
      members.map(([name, weight]) => ({ name, weight, column: columns.groupedOf(name) })),
    );
    const options = {
      ...{ config: path, service: "dns", offline: true, json: true } as const,
      ...{ runtimeDir: directory, runtimeDirIsGiven: false },
    };
    for (let host = 1; host <= 20; host++) {
      const client = clientArgument(`203.0.113.${host}`);
      let answer = "";
      const output = { answer: (text: string) => void (answer += text), note: () => {}, error: () => {} };
      await explain(client, options, output);
      const bucket = new FlowHash(flowKey).bucket(AFFINITY.client, client.client.bytes, 0, 4, 0);
      assert.equal(JSON.parse(answer).owner, members[table.owner[bucket]][0], client.client.text);
    }
  }));

Deno.test("explain says when nobody knows the members, and when nobody answers", () =>
  withFarm(async (directory) => {
    const nodes = FARM.split("\n").find((line) => line.startsWith("nodes:"))!;
    await Deno.writeTextFile(`${directory}/farm.yaml`, FARM.replace(nodes, ""));
    const unknown = await vipfarm(directory, ["explain", "203.0.113.7:1", "-c", "farm.yaml", "--offline"]);
    assert.equal(unknown.code, 1);
    assert.match(unknown.err, /lists no nodes/);

    await Deno.writeTextFile(`${directory}/farm.yaml`, FARM.replace(nodes, "nodes: { n1: { weight: 0 } }"));
    const nobody = await vipfarm(directory, ["explain", "203.0.113.7:1", "-c", "farm.yaml", "--offline"]);
    assert.equal(nobody.code, 1);
    assert.match(nobody.out, /^owner: {5}none$/m);
  }));

Deno.test("a daemon that cannot be reached is 3; with a file, explain answers from it and says so", () =>
  withFarm(async (directory) => {
    const named = ["--runtime-dir", directory];
    assert.equal((await vipfarm(directory, ["status", ...named])).code, 3);
    const live = await vipfarm(directory, ["explain", "203.0.113.7:1", "-c", "farm.yaml", ...named]);
    assert.equal(live.code, 3);
    assert.equal(live.out, "");
    assert.match(live.err, /^vipfarm: error: .*no daemon can be reached/);

    const notes: string[] = [];
    const output = { answer: () => {}, note: (text: string) => void notes.push(text), error: () => {} };
    const options = { config: `${directory}/farm.yaml`, runtimeDir: directory, runtimeDirIsGiven: false };
    assert.equal(await explain(clientArgument("203.0.113.7:1"), options, output), 0);
    assert.match(notes.join("\n"), /^From the file, .*: no daemon can be reached\.$/m);
  }));

Deno.test("run --undo with nothing to undo is 0", () =>
  withFarm(async (directory) => {
    const { code, out } = await vipfarm(directory, ["run", "--undo", "--runtime-dir", `${directory}/run`]);
    assert.equal(code, 0);
    assert.match(
      out,
      new RegExp(`^There was nothing to undo in ${directory}/run\\.\n.*another --runtime-dir`),
    );
    await assert.rejects(Deno.stat(`${directory}/run`), Deno.errors.NotFound);
  }));

Deno.test("a runtime directory that is a file, or too long for a socket, is refused before anything looks into it", () =>
  withFarm(async (directory) => {
    for (const more of [["--undo"], ["-c", "farm.yaml"]]) {
      const file = await vipfarm(directory, ["run", ...more, "--runtime-dir", "farm.yaml"]);
      assert.equal(file.code, 2);
      assert.match(
        file.err,
        /^vipfarm: error: take the runtime directory: this is no directory \(farm\.yaml\)\n.*--runtime-dir/,
      );
    }
    const long = await vipfarm(directory, [
      "run",
      "-c",
      "farm.yaml",
      "--runtime-dir",
      `/run/${"v".repeat(92)}`,
    ]);
    assert.equal(long.code, 2);
    assert.match(long.err, /Expected at most 96 bytes, for a Unix socket in it/);
  }));

Deno.test("no escape sequences where nobody reads them, with and without NO_COLOR", () =>
  withFarm(async (directory) => {
    for (const env of [{ NO_COLOR: "1", TERM: "xterm" }, { NO_COLOR: "", TERM: "xterm" }]) {
      for (const args of [["help"], ["nonsense"], ["keygen", "--output", "secret"]]) {
        const { out, err } = await vipfarm(directory, args, { env });
        // deno-lint-ignore no-control-regex
        assert.doesNotMatch(out + err, /\x1b/);
      }
    }
  }));
