/** The file that a new farm starts from. Its comments are the descriptions of the schema. */
import { WEIGHT_DEFAULT } from "../core/limits.ts";
import { MAINTENANCE_FILE_DEFAULT, STATE_DIR_DEFAULT } from "./application_schema.ts";
import { descriptionAt, GROUP_DEFAULT, HEARTBEAT_PORT_DEFAULT, INTERVAL_DEFAULT } from "./schema.ts";
import { type Protocol } from "./farm_config.ts";

/** A service as the command line names it. */
export interface StarterService {
  readonly name: string;
  readonly protocol: Protocol;
  /** Ports and ranges as they stand in the file. */
  readonly ports: readonly string[];
}

export interface StarterOptions {
  readonly farm?: string;
  readonly interface?: string;
  readonly virtualIps?: readonly string[];
  readonly services?: readonly StarterService[];
  readonly secretFile?: string;
  /** A word on the first virtual IP, when it is only an example. */
  readonly addressNote?: string;
  /** Where an editor finds the JSON Schema, seen from the file. */
  readonly schema?: string;
}

/** An example address (RFC 5737) for whoever has named none. */
export const EXAMPLE_ADDRESS = "192.0.2.100";
const LINE_LENGTH = 100;

/** The text of a complete configuration: what must be set is set, the rest stands as comments with its default. */
export function starterFile(options: StarterOptions = {}): string {
  const lines: string[] = [
    ...(options.schema === undefined ? [] : [`# yaml-language-server: $schema=${options.schema}`]),
    "# vipfarm: one file for the whole farm, the same on every node.",
    "# Check it with: vipfarm check -c FILE        Lines that are commented out show the defaults.",
  ];
  const set = (indent: number, path: string[], text: string) => {
    const pad = " ".repeat(indent);
    lines.push(...comment(descriptionAt(path), pad), `${pad}${text}`);
  };
  const unset = (indent: number, path: string[], text: string) => set(indent, path, `# ${text}`);
  const gap = () => lines.push("");

  gap();
  set(0, ["farm"], `farm: ${scalar(options.farm ?? "web")}`);
  gap();
  set(0, ["secret_file"], `secret_file: ${scalar(options.secretFile ?? "/etc/vipfarm/secret")}`);
  gap();
  set(0, ["interface"], `interface: ${scalar(options.interface ?? "eth0")}`);

  gap();
  set(0, ["virtual_ips"], "virtual_ips:");
  for (const [index, address] of (options.virtualIps ?? [EXAMPLE_ADDRESS]).entries()) {
    const note = index === 0 && options.addressNote ? ` # ${options.addressNote}` : "";
    const entry = `- address: ${scalar(address)}${note}`;
    if (index > 0) lines.push(`  ${entry}`);
    else {
      set(2, ["virtual_ips", "0", "address"], entry);
      unset(4, ["virtual_ips", "0", "mode"], "mode: multicast");
      unset(4, ["virtual_ips", "0", "interface"], "interface: eth1");
    }
  }

  gap();
  set(0, ["services"], "services:");
  const services = options.services ?? [{ name: "http", protocol: "tcp", ports: ["80", "443"] }];
  for (const [index, service] of services.entries()) {
    const protocol = `protocol: ${service.protocol}`;
    const ports = `ports: [${service.ports.join(", ")}]`;
    if (index > 0) lines.push(`  - name: ${scalar(service.name)}`, `    ${protocol}`, `    ${ports}`);
    else {
      set(2, ["services", "0", "name"], `- name: ${scalar(service.name)}`);
      set(4, ["services", "0", "protocol"], protocol);
      set(4, ["services", "0", "ports"], ports);
      unset(
        4,
        ["services", "0", "virtual_ip"],
        `virtual_ip: ${(options.virtualIps ?? [EXAMPLE_ADDRESS])[0]}`,
      );
      unset(4, ["services", "0", "affinity"], "affinity: connection");
      unset(4, ["services", "0", "weight"], `weight: ${WEIGHT_DEFAULT}`);
    }
  }

  gap();
  unset(0, ["uncovered"], "uncovered: drop");
  gap();
  set(0, ["heartbeat"], "heartbeat:");
  set(2, ["heartbeat", "interval"], `interval: ${INTERVAL_DEFAULT}`);
  unset(2, ["heartbeat", "group"], `group: [${GROUP_DEFAULT.ipv4}, "${GROUP_DEFAULT.ipv6}"]`);
  unset(2, ["heartbeat", "port"], `port: ${HEARTBEAT_PORT_DEFAULT}`);
  unset(2, ["heartbeat", "interfaces"], `interfaces: [${scalar(options.interface ?? "eth0")}, eth1]`);
  unset(2, ["heartbeat", "peers"], "peers: [192.0.2.1, 192.0.2.2]");
  gap();
  unset(0, ["nodes"], "nodes:");
  lines.push("#   n1: { weight: 200 }", "#   n2: { interface: ens3 }");
  lines.push(`#   n3: { services: { ${scalar(services[0]?.name ?? "http")}: { weight: 0 } } }`);
  gap();
  unset(0, ["quorum"], "quorum: off");
  gap();
  unset(0, ["checks"], "checks:");
  const port = services.find(({ protocol }) => protocol === "tcp")?.ports[0]?.split("-")[0] ?? "80";
  lines.push(
    `#   - { name: answers, http: { port: ${port}, path: / } }`,
    "#   - { name: server, process: { name: nginx } }",
    "#   - { name: uplink, interface: {} }",
    "#   - { name: database, tcp: { address: 192.0.2.20, port: 5432 }, on_failure: none }",
  );
  gap();
  unset(0, ["rules"], "rules:");
  lines.push("#   - { name: no_data, when: check.database.down && check.uplink.up, do: leave, after: 5s }");
  gap();
  unset(0, ["application"], "application:");
  lines.push(
    "#   start: /etc/vipfarm/scripts/start",
    "#   stop: /etc/vipfarm/scripts/stop",
    "#   recovery: { restarts: 3, within: 10m, backoff: 1s, backoff_max: 1m }",
  );
  gap();
  unset(0, ["notify"], "notify:");
  lines.push(
    "#   script: /etc/vipfarm/scripts/notify.sh",
    "#   mail: { to: [root] }",
    "#   severity: warning",
  );
  gap();
  unset(0, ["maintenance_file"], `maintenance_file: ${MAINTENANCE_FILE_DEFAULT}`);
  gap();
  unset(0, ["state_dir"], `state_dir: ${STATE_DIR_DEFAULT}`);
  gap();
  unset(0, ["drain_on_stop"], "drain_on_stop: 0s");
  gap();
  unset(0, ["datapath"], "datapath: tun");
  gap();
  set(0, ["admin"], "admin:");
  set(2, ["admin", "listen"], "listen: 127.0.0.1:9010");
  unset(2, ["admin", "tokens_file"], "tokens_file: /etc/vipfarm/tokens");
  unset(2, ["admin", "tls"], "tls: { certificate: /etc/vipfarm/admin.crt, key: /etc/vipfarm/admin.key }");
  return `${lines.join("\n")}\n`;
}

/** Comment lines of a description, broken between words. */
function comment(text: string, pad: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && pad.length + 2 + line.length + 1 + word.length > LINE_LENGTH) {
      lines.push(`${pad}# ${line}`);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  if (line !== "") lines.push(`${pad}# ${line}`);
  return lines;
}

/** A plain word as it is; what YAML would read as something else, in quotes. */
function scalar(text: string): string {
  const isPlain = /^[A-Za-z/][\w./-]*$/.test(text) && !/^(true|false|null)$/i.test(text);
  const isAddress = /^\d+\.\d+\.\d+\.\d+$/.test(text);
  return isPlain || isAddress ? text : JSON.stringify(text);
}
