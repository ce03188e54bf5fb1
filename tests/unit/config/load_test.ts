import assert from "node:assert/strict";
import fc from "fast-check";
import { FILE_BYTES_MAX, formatProblem, loadConfig, parseConfig } from "../../../src/config/load.ts";
import { newSecret } from "../../../src/config/secret.ts";

const SMALLEST = `farm: web
secret_file: secret
interface: eth0
virtual_ips: [{ address: 192.0.2.100 }]
services: [{ name: http, ports: [80] }]
`;

const WHOLE = `
farm: web
secret_file: /etc/vipfarm/secret
interface: eth0
virtual_ips:
  - address: 192.0.2.100
    mode: multicast
  - { address: "2001:DB8:0::64", mode: unicast, interface: eth1 }
services:
  - name: http
    virtual_ip: 192.0.2.100
    protocol: tcp
    ports: [80, 443, 8000-8100, "9000"]
    affinity: network
    weight: 50
  - name: dns
    virtual_ip: [192.0.2.100, 2001:db8::64]
    protocol: udp
    ports: [80, 53]
uncovered: owner
heartbeat:
  interval: 0.2s
  group: [ff02::1234, 239.1.2.3]
  port: 5000
  interfaces: [eth0, eth2]
  peers: [192.0.2.1, 2001:db8::1]
nodes:
  n1: { weight: 200, interface: ens3, services: { dns: { weight: 0 } } }
  n2:
  3: {}
datapath: tun
drain_on_stop: 2m
checks: []
application: {}
admin: { listen: "[::1]:9010", tokens_file: tokens }
`;

Deno.test("a whole file resolves to values in the units that the names say", () => {
  const { config, problems } = parseConfig(WHOLE, "/etc/vipfarm/farm.yaml");
  assert.deepEqual(problems, []);
  assert.ok(config);
  const { digest, servicesDigest, ...rest } = config;
  assert.match(digest, /^[0-9a-f]{64}$/);
  assert.ok(Number.isInteger(servicesDigest) && servicesDigest >= 0 && servicesDigest <= 0xffff_ffff);
  const plain = JSON.parse(
    JSON.stringify(rest, (_key, value) => value?.bytes && value.text ? value.text : value),
  );
  assert.deepEqual(plain, {
    farm: "web",
    secretFile: "/etc/vipfarm/secret",
    interface: "eth0",
    virtualIps: [
      { address: "192.0.2.100", mode: "multicast", interface: "eth0" },
      { address: "2001:db8::64", mode: "unicast", interface: "eth1" },
    ],
    services: [
      {
        name: "http",
        virtualIps: ["192.0.2.100"],
        protocol: "tcp",
        ports: [
          { from: 80, to: 80 },
          { from: 443, to: 443 },
          { from: 8000, to: 8100 },
          { from: 9000, to: 9000 },
        ],
        affinity: "network",
        weight: 50,
      },
      {
        name: "dns",
        virtualIps: ["192.0.2.100", "2001:db8::64"],
        protocol: "udp",
        ports: [{ from: 80, to: 80 }, { from: 53, to: 53 }],
        affinity: "connection",
        weight: 100,
      },
    ],
    uncovered: "owner",
    heartbeat: {
      intervalMs: 200,
      groups: { ipv4: "239.1.2.3", ipv6: "ff02::1234" },
      port: 5000,
      interfaces: ["eth0", "eth2"],
      peers: ["192.0.2.1", "2001:db8::1"],
    },
    nodes: {
      3: { services: {} },
      n1: { weight: 200, interface: "ens3", services: { dns: { weight: 0 } } },
      n2: { services: {} },
    },
    quorum: { kind: "off" },
    datapath: "tun",
    drainOnStopMs: 120_000,
    checks: { checks: [], rules: [], services: ["http", "dns"] },
    maintenanceFile: "/etc/vipfarm/maintenance",
    stateDir: "/var/lib/vipfarm",
    admin: { listen: { host: "::1", port: 9010 }, tokensFile: "/etc/vipfarm/tokens" },
  });
});

Deno.test("the smallest file gets every default", () => {
  const { config } = parseConfig(SMALLEST, "farm.yaml");
  assert.ok(config);
  assert.equal(config.uncovered, "drop");
  assert.equal(config.drainOnStopMs, 0);
  assert.deepEqual(config.heartbeat.interfaces, ["eth0"]);
  assert.equal(config.heartbeat.intervalMs, 100);
  assert.equal(config.heartbeat.port, 4886);
  assert.equal(config.heartbeat.groups.ipv4?.text, "239.255.86.70");
  assert.equal(config.heartbeat.groups.ipv6.text, "ff02::5646");
  assert.deepEqual(config.heartbeat.peers, []);
  assert.equal(config.virtualIps[0].mode, "multicast");
  assert.equal(config.services[0].protocol, "tcp");
  assert.equal(config.services[0].affinity, "connection");
  assert.equal(config.services[0].weight, 100);
  assert.deepEqual(config.admin, { listen: undefined });
  assert.deepEqual(config.nodes, {});
});

Deno.test("line breaks of Windows, a byte order mark and anchors change nothing", () => {
  const plain = parseConfig(SMALLEST, "f").config?.digest;
  assert.equal(parseConfig("\ufeff" + SMALLEST.replaceAll("\n", "\r\n"), "f").config?.digest, plain);
  const anchored = SMALLEST.replace("[80]", "[&port 80]");
  assert.equal(parseConfig(anchored, "f").config?.digest, plain);
});

Deno.test("a section without content counts as absent", () => {
  const { config, problems } = parseConfig(
    `${SMALLEST}heartbeat:\nnodes:\nadmin:\nchecks:\napplication:\n`,
    "f",
  );
  assert.deepEqual(problems, []);
  assert.equal(config?.digest, parseConfig(SMALLEST, "f").config?.digest);
});

Deno.test("an alias takes its problem's position from where it stands", () => {
  const text = SMALLEST.replace("farm: web", "farm: &x web") + "datapath: *x\n";
  const { problems } = parseConfig(text, "f");
  assert.deepEqual(problems.map(formatProblem), ['f:6:11: `datapath` is "web", expected tun']);
});

Deno.test("one run tells the problems of syntax, schema and meaning together", () => {
  const text = `farm: a b
secret_file: secret
interface: eth0
virtual_ips: [{ address: 192.0.2.100 }, { address: 192.0.2.100 }]
services: [{ name: http, ports: [80, 0] }, { name: web, ports: [80], wieght: 1 }]
datapath: tun
datapath: tun
heartbeat: { interval: 1ms }
`;
  const lines = parseConfig(text, "f").problems.map(({ line, column }) => `${line}:${column}`);
  assert.deepEqual(lines, ["1:7", "4:52", "5:38", "5:65", "5:70", "7:1", "8:24"]);
});

Deno.test("a message stays on one line and shows no control characters", () => {
  const { problems } = parseConfig(SMALLEST.replace("web", '"a\\nb\\e[31m\\u202e\\x85"'), "f");
  assert.equal(problems.length, 1);
  assert.match(
    formatProblem(problems[0]),
    /^f:1:7: `farm` is "a\\nb\\u001b\[31m\\u202e\\u0085", expected 1 to 63/,
  );
});

Deno.test("problems without end are cut off", () => {
  const keys = Array.from({ length: 1000 }, (_, index) => `key${index}: 1\n`).join("");
  const { problems } = parseConfig(SMALLEST + keys, "f");
  assert.equal(problems.length, 201);
  assert.match(problems[200].message, /^800 more problems/);
});

Deno.test("deep nesting is a problem, not a crash", () => {
  const { config, problems } = parseConfig("[".repeat(200_000), "f");
  assert.equal(config, undefined);
  assert.ok(problems.length > 0);
});

Deno.test("no text makes the parser throw, and every position lies in the text", () => {
  const words = fc.constantFrom(
    "farm",
    "services",
    "ports",
    "virtual_ips",
    "nodes",
    "address",
    ":",
    ": ",
    "\n",
    "\n  ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "&a ",
    "*a",
    "!!x ",
    '"',
    "'",
    "#",
    "\t",
    "80",
    "-1",
    "192.0.2.100",
    "null",
    "~",
    "__proto__",
    "constructor",
    "|",
    ">",
    "? ",
    "---\n",
    "<<",
  );
  const text = fc.oneof(fc.string(), fc.array(words, { maxLength: 60 }).map((parts) => parts.join("")));
  const edited = fc.tuple(fc.nat(WHOLE.length), fc.nat(12), fc.oneof(words, fc.string({ maxLength: 4 })))
    .map(([at, count, insert]) => WHOLE.slice(0, at) + insert + WHOLE.slice(at + count));
  fc.assert(
    fc.property(fc.oneof(text, edited), (input) => {
      const { config, problems } = parseConfig(input, "f");
      assert.notEqual(config === undefined, problems.every(({ severity }) => severity !== "error"));
      const lines = input.split(/\r\n|\r|\n/);
      for (const { line, column } of problems) {
        assert.ok(line >= 1 && line <= lines.length + 1, `line ${line} of ${lines.length}`);
        assert.ok(column >= 1 && column <= input.length + 1);
      }
      assert.ok(problems.every((problem) => !/[\n\r]/.test(formatProblem(problem))));
    }),
    { numRuns: 500 },
  );
});

async function withFiles(
  files: Record<string, { text: string | Uint8Array; mode?: number }>,
  test: (directory: string) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    for (const [name, { text, mode }] of Object.entries(files)) {
      const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
      await Deno.writeFile(`${directory}/${name}`, bytes);
      if (mode !== undefined) await Deno.chmod(`${directory}/${name}`, mode);
    }
    await test(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("a file with a good secret beside it loads", async () => {
  const files = { "farm.yaml": { text: SMALLEST }, secret: { text: newSecret(), mode: 0o600 } };
  await withFiles(files, async (directory) => {
    const { config, problems } = await loadConfig(`${directory}/farm.yaml`);
    assert.deepEqual(problems, []);
    assert.equal(config?.secretFile, `${directory}/secret`);
  });
});

const secrets: Array<[string, { text: string | Uint8Array; mode: number } | undefined, RegExp]> = [
  ["missing", undefined, /:2:14: the secret \S+ does not exist, .*vipfarm keygen --output '\S+'/],
  [
    "readable by others",
    { text: newSecret(), mode: 0o644 },
    /:2:14: .* \(mode 0644\), expected mode 0600: chmod 600 '/,
  ],
  ["readable by the group", { text: newSecret(), mode: 0o640 }, /\(mode 0640\)/],
  ["writable by others", { text: newSecret(), mode: 0o602 }, /\(mode 0602\)/],
  [
    "too short",
    { text: btoa("x".repeat(31)), mode: 0o600 },
    /has 31 bytes, expected 32 to 4096 random bytes/,
  ],
  [
    "empty",
    { text: "\n", mode: 0o600 },
    /is empty, expected 32 to .*move that file away and .*vipfarm keygen/,
  ],
  [
    "of five characters",
    { text: "hello", mode: 0o600 },
    /has 5 characters, which is too short, expected 32 to/,
  ],
  [
    "not base64",
    { text: "correct horse battery staple, correct? Correct horse!", mode: 0o600 },
    /is not base64/,
  ],
  ["much too long", { text: "A".repeat(20_000), mode: 0o600 }, /has 20000 bytes/],
];
for (const [what, secret, message] of secrets) {
  Deno.test(`a secret that is ${what} is refused with the remedy`, async () => {
    const files = { "farm.yaml": { text: SMALLEST }, ...(secret && { secret }) };
    await withFiles(files, async (directory) => {
      const { config, problems } = await loadConfig(`${directory}/farm.yaml`);
      assert.equal(config, undefined);
      assert.equal(problems.length, 1);
      assert.match(formatProblem(problems[0]), message);
    });
  });
}

Deno.test("a secret that is a directory is refused", async () => {
  await withFiles({ "farm.yaml": { text: SMALLEST } }, async (directory) => {
    await Deno.mkdir(`${directory}/secret`);
    const { problems } = await loadConfig(`${directory}/farm.yaml`);
    assert.match(problems[0].message, /is not a regular file/);
  });
});

Deno.test("a secret of one repeated byte is a warning", async () => {
  const files = { "farm.yaml": { text: SMALLEST }, secret: { text: btoa("\0".repeat(32)), mode: 0o600 } };
  await withFiles(files, async (directory) => {
    const { config, problems } = await loadConfig(`${directory}/farm.yaml`);
    assert.ok(config);
    assert.match(formatProblem(problems[0]), /:2:14: warning: .*easily guessed/);
  });
});

Deno.test("the secret is judged even where the rest of the file is wrong", async () => {
  const files = {
    "farm.yaml": { text: `${SMALLEST}zebra: 1\n` },
    secret: { text: newSecret(), mode: 0o644 },
  };
  await withFiles(files, async (directory) => {
    const { problems } = await loadConfig(`${directory}/farm.yaml`);
    assert.deepEqual(problems.map(({ line }) => line), [2, 6]);
  });
});

Deno.test("a configuration that cannot be read says why", async () => {
  const files = {
    "large.yaml": { text: "#".repeat(FILE_BYTES_MAX + 1) },
    "binary.yaml": { text: Uint8Array.of(0x66, 0xff, 0xfe) },
  };
  await withFiles(files, async (directory) => {
    const message = async (name: string) => (await loadConfig(`${directory}/${name}`)).problems[0].message;
    assert.match(await message("absent.yaml"), /no such file/);
    assert.match(await message("large.yaml"), /more than 1048576 bytes/);
    assert.match(await message("binary.yaml"), /not UTF-8/);
    assert.match(await message("."), /no regular file/);
  });
});

Deno.test("a named pipe is refused and not waited for; a link to a file is a file", async () => {
  await withFiles({ "farm.yaml": { text: SMALLEST } }, async (directory) => {
    await new Deno.Command("mkfifo", { args: [`${directory}/pipe`] }).output();
    await Deno.symlink("farm.yaml", `${directory}/link`);
    const message = async (name: string) => (await loadConfig(`${directory}/${name}`)).problems[0].message;
    assert.match(await message("pipe"), /^this is no regular file$/);
    assert.match(await message("link"), /^the secret .* does not exist/);
  });
});
