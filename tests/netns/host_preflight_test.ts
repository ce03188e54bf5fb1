import assert from "node:assert/strict";
import type { Finding } from "../../src/host/preflight.ts";
import { Lab } from "../../src/lab/lab.ts";
import { lines } from "../../src/lab/lines.ts";
import { labUnavailable } from "../../src/lab/privilege.ts";

const unavailable = await labUnavailable();
if (unavailable !== undefined) console.log(`skipped: ${unavailable}`);
const ignore = unavailable !== undefined;

/** Runs the real preflight inside a node's namespace; `around` puts the program into something, as nsenter(1) does. */
async function preflight(
  lab: Lab,
  overrides: Record<string, unknown> = {},
  around: readonly string[] = [],
): Promise<Finding[]> {
  const config = `${lab.directory}/farm.yaml`;
  await Deno.writeTextFile(config, lab.configText(overrides));
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
    await lab.run("n1", [...around, Deno.execPath(), "run", "-A", "--quiet", "--config", settings, program]),
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

  // As `docker run -p 8080:80` does it.
  await lab.run("n1", [
    "sh",
    "-c",
    `set -e
    iptables -t nat -N DOCKER
    iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
    iptables -t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80`,
  ]);
  const translated = (await preflight(lab)).filter(({ what }) => what.includes("translates"));
  assert.deepEqual(translated.map(({ ok }) => ok), ["warning"]);
  assert.match(translated[0].what, /iptables nat PREROUTING translates packets of the service http to 10\./);
  await lab.run("n1", ["sh", "-c", "iptables -t nat -F && iptables -t nat -X"]);

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
  const own = bad.find(({ what }) => what.startsWith("10.86.70.100 is configured on lo of this host"));
  assert.match(own?.remedy ?? "", /^Choose another virtual IP; or, .*: ip address del 10/);
  assert.match(told, /chain inet wall input drops heartbeats on eth0/);
  assert.match(told, /chain inet wall input drops packets of the service http to 10\.86\.70\.100/);
  assert.match(told, /can be read or changed by others/);
  assert.ok(bad.filter(({ ok }) => ok !== true).every(({ remedy }) => remedy !== undefined));

  await lab.run("n1", ["ip", "link", "set", "eth0", "down"]);
  assert.match(failures(await preflight(lab)), /eth0 is down/);
});

Deno.test(
  { name: "what others on the LAN, other programs and other firewalls do is found too", ignore },
  async () => {
    await using lab = await Lab.create({ nodes: 2, clients: 1 });
    const admin = { listen: "127.0.0.1:9010" };
    const free = await preflight(lab, { admin, quorum: { witness: "10.86.70.101" } });
    assert.deepEqual(free.filter(({ ok }) => ok === false), []);
    assert.ok(free.some(({ what }) => what === "the witness 10.86.70.101 answers pings"));
    assert.equal(free.filter(({ what }) => what.startsWith("heartbeat group")).length, 1, "the one in use");
    const silent = await preflight(lab, { quorum: { witness: "10.86.70.250" } });
    assert.match(failures(silent), /^the witness 10\.86\.70\.250 does not answer pings/m);
    assert.ok(
      free.some(({ what }) => what === "10.86.70.100 on eth0: nobody answers for it"),
      JSON.stringify(free),
    );
    assert.ok(free.some(({ what }) => what === "fd86:70::100 on eth0: nobody answers for it"));
    assert.ok(free.some(({ what }) => what === "127.0.0.1 port 9010 is free for the admin endpoint"));

    const bare = failures(await preflight(lab, {}, ["setpriv", "--bounding-set=-net_raw,-net_admin"]));
    assert.match(bare, /CAP_NET_ADMIN is missing/);
    assert.match(bare, /CAP_NET_RAW is missing/);
    assert.match(bare, /it could not be asked whether 10\.86\.70\.100, fd86:70::100 is in use/);

    // The other node runs: in this farm, under the name of this node; another time in another farm.
    await lab.startNode(2, { args: ["--node", "n1"] });
    const twin = failures(await preflight(lab));
    assert.match(twin, /another host \(10\.86\.70\.\d+\) is the node n1 already/);
    const answered = await preflight(lab);
    assert.ok(answered.some(({ what }) => what === "10.86.70.100 on eth0: a farm answers for it"));
    assert.ok(answered.some(({ what }) => what === "fd86:70::100 on eth0: a farm answers for it"));
    const services = failures(
      await preflight(lab, { services: [{ name: "dns", protocol: "udp", ports: [53] }] }),
    );
    assert.match(services, /n1 has other virtual IPs or services in its file/);
    await lab.node(2).stopDaemon();
    await lab.startNode(2, { config: { farm: "other" } });
    assert.match(failures(await preflight(lab)), /another farm sends to the same group and port: 10\.86/);
    await lab.node(2).stopDaemon();

    // A client took the addresses; a program took the ports; a second interface leads to the same network.
    await lab.run("c1", [
      "sh",
      "-c",
      "ip address add 10.86.70.100/32 dev eth0; ip -6 address add fd86:70::100 dev eth0 nodad",
    ]);
    const script = "Deno.listen({ hostname: '127.0.0.1', port: 9010 }); " +
      "(await import('node:dgram')).createSocket('udp4').bind(4886, '0.0.0.0'); console.log('taken'); setInterval(() => {}, 1e6)";
    const taker = lab.spawn("n1", [Deno.execPath(), "eval", script], { stdout: "piped" });
    assert.equal((await lines(taker.child.stdout).next()).value, "taken");
    const own = lab.node(1).station.ipv4.replace(/\d+$/, "240");
    await lab.run("n1", [
      "sh",
      "-c",
      `ip link add v0 type veth peer name v1; ip link set v0 up; ip address add ${own}/24 dev v0;
     sysctl -qw net.ipv4.conf.all.rp_filter=1; iptables-legacy -P INPUT DROP;
     iptables-legacy -A INPUT -i eth0 -p tcp -m multiport --dports 8080,8081 -j ACCEPT`,
    ]);
    const peers = [lab.node(1), lab.node(2)].map(({ station }) => station.ipv4);
    const bad = await preflight(lab, { admin, heartbeat: { peers } });
    const told = failures(bad);
    const mac = /link\/ether (\S+)/.exec(await lab.run("c1", ["ip", "link", "show", "dev", "eth0"]))![1];
    assert.match(told, new RegExp(`10\\.86\\.70\\.100 is in use on eth0: ${mac} answers for it`));
    assert.match(told, /fd86:70::100 is in use on eth0: \S+ answers for it/);
    assert.match(told, /127\.0\.0\.1 port 9010 is taken by another program: no admin endpoint/);
    assert.match(told, /EADDRINUSE/);
    assert.match(told, /rp_filter of eth0 is strict/);
    assert.match(told, /chain iptables-legacy filter INPUT drops heartbeats on eth0/);
    assert.match(told, /chain iptables-legacy filter INPUT drops packets of the service http/);
    assert.ok(bad.filter(({ ok }) => ok !== true).every(({ remedy }) => remedy !== undefined), told);

    // systemd-networkd and NetworkManager, as far as their files tell.
    const place = (files: Record<string, string>) => [
      "unshare",
      "--mount",
      "sh",
      "-c",
      "mount -t tmpfs none /run && mkdir -p /run/systemd/netif /run/systemd/network /run/NetworkManager/conf.d && " +
      "touch /run/systemd/netif/state && " +
      Object.entries(files).map(([path, text]) => `printf '${text}' > ${path}`).join(" && ") +
      ' && exec "$0" "$@"',
    ];
    const managed = await preflight(
      lab,
      {},
      place({
        "/run/systemd/network/10-all.network": "[Match]\\nName=*\\n[Network]\\nDHCP=yes\\n",
      }),
    );
    assert.match(
      failures(managed),
      /systemd-networkd would manage the TUN device vipfarm0 by .*10-all\.network/,
    );
    assert.match(failures(managed), /NetworkManager runs here and was not told/);
    const left = await preflight(
      lab,
      {},
      place({
        "/run/systemd/network/05-vipfarm.network": "[Match]\\nName=vipfarm*\\n[Link]\\nUnmanaged=yes\\n",
        "/run/systemd/network/10-all.network": "[Match]\\nName=*\\n[Network]\\nDHCP=yes\\n",
        "/run/NetworkManager/conf.d/vipfarm.conf": "[keyfile]\\nunmanaged-devices=interface-name:vipfarm*\\n",
      }),
    );
    assert.ok(
      left.some(({ ok, what }) => ok === true && /systemd-networkd leaves the TUN device alone/.test(what)),
    );
    assert.ok(
      left.some(({ ok, what }) => ok === true && /NetworkManager leaves the TUN device alone/.test(what)),
    );
  },
);

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
