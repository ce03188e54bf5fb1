import assert from "node:assert/strict";
import type { Finding } from "../../src/host/preflight.ts";
import { Lab } from "../../src/lab/lab.ts";
import { labUnavailable } from "../../src/lab/privilege.ts";

const unavailable = await labUnavailable();
if (unavailable !== undefined) console.log(`skipped: ${unavailable}`);
const ignore = unavailable !== undefined;

/** Runs the real preflight inside a node's namespace. */
async function preflight(lab: Lab): Promise<Finding[]> {
  const config = `${lab.directory}/farm.yaml`;
  await Deno.writeTextFile(config, lab.configText());
  const script = `
    import { parseConfig } from ${JSON.stringify(new URL("../../src/config/load.ts", import.meta.url).href)};
    import { preflight } from ${JSON.stringify(new URL("../../src/host/preflight.ts", import.meta.url).href)};
    const { config } = parseConfig(await Deno.readTextFile(${JSON.stringify(config)}), ${
    JSON.stringify(config)
  });
    console.log(JSON.stringify(await preflight(config, "n1")));
  `;
  const program = `${lab.directory}/preflight.ts`;
  await Deno.writeTextFile(program, script);
  const settings = new URL("../../deno.json", import.meta.url).pathname;
  return JSON.parse(
    await lab.run("n1", [Deno.execPath(), "run", "-A", "--quiet", "--config", settings, program]),
  );
}

function failures(findings: readonly Finding[]): string {
  return findings.filter(({ ok }) => ok !== true).map(({ what }) => what).join("\n");
}

Deno.test({
  name: "a node of the lab is ready; each thing that is then broken is found, with its remedy",
  ignore,
}, async () => {
  await using lab = await Lab.create({ nodes: 1 });
  const good = await preflight(lab);
  assert.ok(good.every(({ ok }) => ok !== false), failures(good));
  assert.ok(good.some(({ what }) => what.includes("heartbeat group 239.")), "the group is joined");

  await lab.run("n1", [
    "sh",
    "-c",
    `
    sysctl -qw net.ipv4.conf.all.arp_ignore=3
    ip address add 10.86.70.100/32 dev lo
    nft add table inet wall
    nft add chain inet wall input '{ type filter hook input priority 0; policy drop; }'
    chmod 644 ${lab.directory}/secret
  `,
  ]);
  const bad = await preflight(lab);
  const told = failures(bad);
  assert.match(told, /net\.ipv4\.conf\.all\.arp_ignore is 3 and overrules the interface/);
  assert.match(told, /10\.86\.70\.100 is configured on lo of this host/);
  assert.match(told, /chain inet wall input drops what no rule accepts/);
  assert.match(told, /can be read or changed by others/);
  assert.ok(bad.filter(({ ok }) => ok !== true).every(({ remedy }) => remedy !== undefined));

  await lab.run("n1", ["ip", "link", "set", "eth0", "down"]);
  assert.match(failures(await preflight(lab)), /eth0 is down/);
});

Deno.test({ name: "looking changes nothing", ignore }, async () => {
  await using lab = await Lab.create({ nodes: 1 });
  const state = () =>
    lab.run("n1", [
      "sh",
      "-c",
      "ip -o -d link; ip -o addr; ip maddr; sysctl -a -r '^net[.]ipv[46][.]conf' | sort",
    ]);
  const before = await state();
  await preflight(lab);
  assert.equal(await state(), before);
});
