import assert from "node:assert/strict";
import { parseConfig } from "../../../src/config/load.ts";

const farm = (more: string) =>
  parseConfig(
    `farm: web
secret_file: secret
interface: eth0
virtual_ips: [{ address: 192.0.2.100 }]
uncovered: owner
${more}`,
    "/etc/vipfarm/farm.yaml",
  );

Deno.test("scripts, recovery and notification in the units that the names say; paths start beside the file", () => {
  const { config, problems } = farm(`application:
  prestart: scripts/prepare.sh
  start: [/usr/local/bin/web, start, --quiet]
  stop: /usr/local/bin/stop
  timeout: 2m
  user: www-data
  recovery: { restarts: 5, within: 1h, backoff: 500ms }
notify:
  script: notify.sh
  webhook: https://example.com/hook
  mail: { to: [root, admin@example.com] }
  severity: warning
maintenance_file: false
state_dir: state
`);
  assert.deepEqual(problems, []);
  assert.deepEqual(config?.application, {
    scripts: {
      prestart: ["/etc/vipfarm/scripts/prepare.sh"],
      start: ["/usr/local/bin/web", "start", "--quiet"],
      stop: ["/usr/local/bin/stop"],
    },
    user: "www-data",
    timeoutMs: 120_000,
    recovery: { restarts: 5, withinMs: 3_600_000, backoffMs: 500, backoffMsMax: 60_000 },
  });
  assert.deepEqual(config?.notify, {
    script: ["/etc/vipfarm/notify.sh"],
    webhook: { url: "https://example.com/hook", timeoutMs: 5_000 },
    mail: { to: ["root", "admin@example.com"], sendmail: "/usr/sbin/sendmail" },
    severity: "warning",
    events: ["state", "application", "member", "check", "rule", "program"],
  });
  assert.equal(config?.maintenanceFile, undefined);
  assert.equal(config?.stateDir, "/etc/vipfarm/state");
});

Deno.test("a systemd unit is an application, an empty section is none", () => {
  const { config } = farm("application: { systemd_unit: nginx.service }");
  assert.deepEqual(config?.application?.systemdUnit, "nginx.service");
  assert.equal(config?.application?.recovery.restarts, 3);
  assert.equal(farm("application: {}").config?.application, undefined);
});

Deno.test("a file says the same wherever its node keeps its state", () => {
  const digest = (more: string) => farm(more).config?.digest;
  assert.equal(digest("state_dir: /srv/state\nmaintenance_file: /tmp/rest"), digest(""));
  assert.notEqual(digest("application: { systemd_unit: nginx.service }"), digest(""));
});
