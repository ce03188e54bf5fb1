/** The sections `checks` and `rules`: what is looked at, how often, and what a failure does. */
import { z } from "zod";
import { CHECKS_MAX, RULES_MAX } from "../core/limits.ts";
import {
  between,
  choice,
  duration,
  expecting,
  filePath,
  interfaceName,
  list,
  name,
  portNumber,
  section,
  someOf,
  unicastAddress,
} from "./schema_values.ts";
import { hostAddress, identifier } from "./checks_values.ts";
import { CHECK_NAME_PATTERN, HOST_PATTERN, STATUS_PATTERN } from "./checks_values.ts";

/** Bounds and defaults of a check's timing. */
export const CHECK_INTERVAL_DEFAULT = "1s";
/** Below 50 ms a check is mostly its own load; above an hour it tells nothing in time. */
export const CHECK_INTERVAL_MS = { min: 50, max: 3_600_000 } as const;
export const CHECK_DELAY_MS_MAX = 3_600_000;
const DELAY_MS = { min: 0, max: CHECK_DELAY_MS_MAX } as const;
/** Runs in a row: more than a hundred is a long interval written in another way. */
const RUNS_MAX = 100;
/** Processes: what one scan compares with. */
const PROCESSES_MAX = 100_000;
const ARGUMENTS_MAX = 64;
const STATUS_RANGES_MAX = 32;
const ADDRESSES_MAX = 32;
const SERVICES_NAMED_MAX = 32;
/** Longest text to look for, and longest datagram to send: what fits in one Ethernet frame. */
const TEXT_LENGTH_MAX = 1_400;

const text = (what: string) => expecting(z.string().min(1).max(TEXT_LENGTH_MAX), what);
const runs = () => expecting(z.int().min(1).max(RUNS_MAX), `a whole number from 1 to ${RUNS_MAX}`);
const pattern = (what: string) =>
  expecting(
    z.string().min(1).max(TEXT_LENGTH_MAX).refine((source) => {
      try {
        new RegExp(source, "u");
        return true;
      } catch {
        return false;
      }
    }),
    `a regular expression for ${what}`,
  );
const hex = (what: string) =>
  expecting(z.string().regex(/^([0-9A-Fa-f]{2}){1,700}$/), `${what} in hexadecimal, such as 01ff00`);

const address = hostAddress().optional().describe(
  "address to ask; default: the first virtual IP of the first service that the check is for, which is this node's own " +
    "when the node itself asks",
);

const http = {
  address,
  port: portNumber().optional().describe("port to ask; default: 80, or 443 with https"),
  method: choice(["GET", "HEAD", "OPTIONS"]).default("GET").describe("GET, HEAD or OPTIONS"),
  path: expecting(
    z.string().regex(/^\/[\x21-\x7e]{0,1399}$/),
    "a path that begins with /, without spaces, such as /healthz",
  ).default("/").describe("path to ask for"),
  host: expecting(z.string().regex(HOST_PATTERN), "a host name, such as www.example.com").optional().describe(
    "name in the Host header; default: the address",
  ),
  status: someOf(
    expecting(
      z.union([
        z.int().min(100).max(599),
        z.string().regex(STATUS_PATTERN).refine((range) => {
          const [from, to = from] = range.split("-").map(Number);
          return from <= to;
        }),
      ]),
      "a status from 100 to 599 or an ascending range such as 200-299",
    ),
    STATUS_RANGES_MAX,
    "statuses or ranges, such as [200-299, 401]",
  ).default(["200-399"]).describe(
    "statuses of a good answer and ascending ranges of them, such as [200-299, 401]; redirections are not followed",
  ),
  body_contains: text("a text to look for").optional().describe(
    "text in the first 64 KiB of the answer's body",
  ),
  body_matches: pattern("the body").optional().describe(
    "regular expression for the first 64 KiB of the answer's body",
  ),
};

/** One section for each kind of check: exactly one of them is in a check. */
export const checkKinds = {
  tcp: section({ address, port: portNumber().describe("port to connect to") }).describe(
    "a TCP connection can be made",
  ),
  http: section(http).describe("an HTTP server gives a good answer"),
  https: section({
    ...http,
    server_name: expecting(z.string().regex(HOST_PATTERN), "a host name, such as www.example.com").optional()
      .describe("name that TLS asks for (SNI) and the certificate must have; default: host"),
    verify: expecting(z.boolean(), "true or false").default(true).describe(
      "whether the certificate is verified",
    ),
    ca_file: filePath("a file with certificates in PEM").optional().describe(
      "certificates to trust in place of the system's",
    ),
  }).describe("an HTTPS server gives a good answer"),
  ping: section({ address: hostAddress().describe("address to ask") }).describe(
    "a host answers ICMP echo requests",
  ),
  interface: section({
    name: interfaceName().optional().describe("interface; default: `interface` of the node"),
    addresses: list(hostAddress(), ADDRESSES_MAX, "addresses").default([]).describe(
      "addresses that must be on it",
    ),
  }).describe("a network interface is up, with a carrier and its addresses; changes are noticed at once"),
  process: section({
    name: text("the name of a program").optional().describe(
      "name of the program's file, without folder, such as nginx",
    ),
    arguments: pattern("the command line").optional().describe(
      "regular expression for the whole command line, arguments with a space between",
    ),
    pid_file: filePath("a file with the number of a process").optional().describe(
      "file with the process number, read at every run",
    ),
    systemd_unit: expecting(
      z.string().regex(/^[\w:.@\\-]{1,250}\.(service|scope|slice)$/),
      "a systemd unit with its type, such as nginx.service",
    ).optional().describe("systemd unit whose processes are counted"),
    at_least: expecting(z.int().min(0).max(PROCESSES_MAX), `a whole number from 0 to ${PROCESSES_MAX}`)
      .default(1)
      .describe("fewest processes"),
    at_most: expecting(z.int().min(0).max(PROCESSES_MAX), `a whole number from 0 to ${PROCESSES_MAX}`)
      .optional()
      .describe("most processes; default: any number"),
  }).describe("a process runs; its end is noticed at once"),
  exec: section({
    command: someOf(
      expecting(z.string().max(4_095).regex(/^[^\0]*$/), "a text"),
      ARGUMENTS_MAX,
      "texts: the program's full path and its arguments, such as [/usr/local/bin/check, --fast]",
    ).describe("program with its full path, and its arguments; no shell is between"),
    user: expecting(z.string().regex(/^[\w.-]{1,32}\$?$/), "the name of a user of this host").optional()
      .describe("user who runs it; default: the daemon's"),
    weight_by_exit: expecting(z.boolean(), "true or false").default(false).describe(
      "whether exit statuses from 2 mean success, with a weight of the status less 2 for the services, as in keepalived",
    ),
  }).describe("a program of yours ends with status 0"),
  dns: section({
    server: hostAddress().describe("address of the name server"),
    port: portNumber().default(53).describe("its UDP port"),
    name: expecting(z.string().regex(HOST_PATTERN), "a host name, such as www.example.com").describe(
      "name to ask for",
    ),
    type: choice(["A", "AAAA"]).default("A").describe("A (IPv4) or AAAA (IPv6)"),
    expect: list(hostAddress(), ADDRESSES_MAX, "addresses").default([]).describe(
      "addresses of which one must be in the answer; default: any will do",
    ),
  }).describe("a name server knows a name"),
  udp: section({
    address,
    port: portNumber().describe("port to send to"),
    send: text("a text to send").optional().describe("text to send"),
    send_hex: hex("bytes to send").optional().describe("bytes to send, in place of `send`"),
    expect: text("a text that the answer contains").optional().describe(
      "text in the answer; default: any answer will do",
    ),
    expect_hex: hex("bytes that the answer contains").optional().describe(
      "bytes in the answer, in place of `expect`",
    ),
  }).describe("a UDP service answers"),
  farm: section({
    members: expecting(z.int().min(1).max(32), "a whole number from 1 to 32").default(1).describe(
      "fewest members in view, this node included",
    ),
    gateway: unicastAddress().optional().describe("address that must answer pings, such as the router's"),
  }).describe("this node is in contact with the farm and with its network"),
};

const services = someOf(name(), SERVICES_NAMED_MAX, "names of services").optional();

const check = section({
  name: expecting(z.string().regex(CHECK_NAME_PATTERN), identifier).describe(
    `name in status, events and rules: ${identifier}`,
  ),
  tcp: checkKinds.tcp.optional().describe(checkKinds.tcp.description ?? ""),
  http: checkKinds.http.optional().describe(checkKinds.http.description ?? ""),
  https: checkKinds.https.optional().describe(checkKinds.https.description ?? ""),
  ping: checkKinds.ping.optional().describe(checkKinds.ping.description ?? ""),
  interface: checkKinds.interface.optional().describe(checkKinds.interface.description ?? ""),
  process: checkKinds.process.optional().describe(checkKinds.process.description ?? ""),
  exec: checkKinds.exec.optional().describe(checkKinds.exec.description ?? ""),
  dns: checkKinds.dns.optional().describe(checkKinds.dns.description ?? ""),
  udp: checkKinds.udp.optional().describe(checkKinds.udp.description ?? ""),
  farm: checkKinds.farm.optional().describe(checkKinds.farm.description ?? ""),
  services: services.describe("services that it is for; default: all"),
  interval: duration("1s").default(CHECK_INTERVAL_DEFAULT).describe(
    `time between runs, ${between(CHECK_INTERVAL_MS)}`,
  ),
  timeout: duration("800ms").optional().describe(
    "longest run, at least 10ms and less than the interval; default: four fifths of it",
  ),
  rise: runs().default(2).describe("good runs in a row until it is up again"),
  fall: runs().optional().describe(
    "failed runs in a row until it is down, a fifth of the interval apart; default: 2, and 1 for process and interface, " +
      "where the kernel knows",
  ),
  start_delay: duration("0s").default("0s").describe(
    `time before the first run, ${between(DELAY_MS)}`,
  ),
  warm_up: duration("200ms").optional().describe(
    `the first run comes within this time, at random, ${between(DELAY_MS)}; default: a fifth of the interval`,
  ),
  on_failure: choice(["leave", "fail", "restart", "stop", "none"]).default("leave").describe(
    "leave (no new flows, open connections stay), fail (nothing stays), restart or stop (the application), none",
  ),
  last_resort: choice(["keep", "drop"]).default("keep").describe(
    "a service that fails on every node: keep (it is served all the same) or drop (it is not)",
  ),
});

const rule = section({
  name: name().optional().describe("name in status and events; default: its number, such as #1"),
  when: expecting(
    z.string().min(1).max(2_000),
    "a condition, such as check.db.down && check.gateway.up",
  ).describe(
    "condition in CEL over check.NAME.up, .down and .pending, farm.members, node.name and node.state (stopped, starting, waiting, up, draining, stopping, failed)",
  ),
  do: choice(["leave", "fail", "restart", "stop"]).describe("leave, fail, restart or stop, as in a check"),
  after: duration("2s").default("0s").describe(
    `how long the condition must hold without a break, ${between(DELAY_MS)}`,
  ),
  services: services.describe("services that it is for; default: all"),
  last_resort: choice(["keep", "drop"]).default("keep").describe("keep or drop, as in a check"),
});

export const checks = list(check, CHECKS_MAX, "checks, such as [{ name: web, tcp: { port: 80 } }]");
export const rules = list(rule, RULES_MAX, "rules, such as [{ when: check.web.down, do: restart }]");

export type CheckEntry = z.output<typeof check>;
export type RuleEntry = z.output<typeof rule>;
