import assert from "node:assert/strict";
import { formatProblem, parseConfig } from "../../../src/config/load.ts";
import { checkApplicationHere } from "../../../src/host/application_check.ts";

async function problems(more: string, severity: "warning" | "error" = "error"): Promise<string[]> {
  const { config } = parseConfig(
    `farm: web
secret_file: secret
interface: eth0
uncovered: owner
virtual_ips: [{ address: 192.0.2.100 }]
${more}`,
    "farm.yaml",
  );
  assert.ok(config);
  return (await checkApplicationHere(config, severity)).map((problem) =>
    `${problem.severity} ${formatProblem(problem)}`
  );
}

Deno.test("scripts and users that this host does not have are told at their place", async () => {
  const found = await problems(`application:
  start: /nonexistent/start
  stop: [/etc/passwd, stop]
  poststop: /etc
  transition: /bin/true
  user: no-such-user
notify:
  script: /nonexistent/notify
`);
  assert.equal(found.length, 5);
  assert.match(found[0], /^error farm\.yaml:7:10: this host has no \/nonexistent\/start, expected a program/);
  assert.match(found[1], /^error farm\.yaml:8:9: \/etc\/passwd is not executable, .*chmod \+x/);
  assert.match(found[2], /^error farm\.yaml:9:13: \/etc is no file/);
  assert.match(
    found[3],
    /farm\.yaml:13:11: .*: this host has no \/nonexistent\/notify|farm\.yaml:13:11: this host has no/,
  );
  assert.match(found[4], /farm\.yaml:11:9: this host has no user no-such-user/);
  assert.match(found[3], /^warning/);
  assert.match((await problems("application: { start: /no, stop: /bin/true }", "warning"))[0], /^warning/);
});

Deno.test("a systemd unit needs systemd", async () => {
  const found = await problems("application: { systemd_unit: nginx.service }");
  const booted = (() => {
    try {
      return Deno.statSync("/run/systemd/system").isDirectory;
    } catch {
      return false;
    }
  })();
  if (booted) assert.deepEqual(found, []);
  else {assert.match(
      found[0],
      /farm\.yaml:6:\d+: systemd does not run on this host, expected start, stop and restart scripts/,
    );}
});
