/** Programs that manage the host's interfaces, and would take the virtual IPs off a TUN device that they do not know. */
import { existsSync } from "node:fs";
import type { Finding } from "./finding.ts";
import { FIRST_TUN_NAME, TUN_PATTERN } from "./tun_name.ts";

/** Where they run, and where their settings are. In this order, a file hides those of its name that come later. */
const NETWORKD = {
  running: "/run/systemd/netif/state",
  directories: [
    "/etc/systemd/network",
    "/run/systemd/network",
    "/usr/local/lib/systemd/network",
    "/usr/lib/systemd/network",
  ],
};
const NETWORK_MANAGER = {
  running: "/run/NetworkManager",
  directories: ["/etc/NetworkManager/conf.d", "/run/NetworkManager/conf.d", "/usr/lib/NetworkManager/conf.d"],
  files: ["/etc/NetworkManager/NetworkManager.conf"],
};

export function networkManagerFindings(): Finding[] {
  return [...networkdFindings(), ...networkManagerDaemonFindings()];
}

function networkdFindings(): Finding[] {
  if (!existsSync(NETWORKD.running)) return [];
  const files = filesOf(NETWORKD.directories, ".network");
  const taken = firstForTun(files);
  if (taken === undefined || taken.unmanaged) {
    return [{ ok: true, what: "systemd-networkd leaves the TUN device alone" }];
  }
  return [{
    ok: false,
    what:
      `systemd-networkd would manage the TUN device ${FIRST_TUN_NAME} by ${taken.path}, and take its addresses away`,
    remedy: "Make /etc/systemd/network/05-vipfarm.network with the lines " +
      `[Match], Name=${TUN_PATTERN}, [Link], Unmanaged=yes; then networkctl reload.`,
  }];
}

function networkManagerDaemonFindings(): Finding[] {
  if (!existsSync(NETWORK_MANAGER.running)) return [];
  const texts = [
    ...filesOf(NETWORK_MANAGER.directories, ".conf").map(({ text }) => text),
    ...NETWORK_MANAGER.files.flatMap((path) => read(path) ?? []),
  ];
  if (texts.some(leavesTunAlone)) return [{ ok: true, what: "NetworkManager leaves the TUN device alone" }];
  return [{
    ok: "warning",
    what: `NetworkManager runs here and was not told to leave ${TUN_PATTERN} alone`,
    remedy: "Make /etc/NetworkManager/conf.d/vipfarm.conf with the lines " +
      `[keyfile], unmanaged-devices=interface-name:${TUN_PATTERN}; then nmcli general reload.`,
  }];
}

/** A settings file with its text. */
export interface SettingsFile {
  readonly path: string;
  readonly text: string;
}

/** The first .network file in the order of names whose [Match] fits to the TUN device (systemd.network(5)). Pure. */
export function firstForTun(
  files: readonly SettingsFile[],
): { readonly path: string; readonly unmanaged: boolean } | undefined {
  for (const { path, text } of files) {
    const match = section(text, "Match");
    // Without a condition a file fits to nothing, with a warning.
    if (match.length > 0 && match.every(([key, value]) => fitsTun(key, value))) {
      const unmanaged = section(text, "Link").some(([key, value]) =>
        key === "Unmanaged" && /^(1|yes|true|on)$/i.test(value)
      );
      return { path, unmanaged };
    }
  }
  return undefined;
}

function fitsTun(key: string, value: string): boolean {
  const patterns = value.split(/\s+/);
  const fits = (text: string) => {
    const inverted = patterns[0]?.startsWith("!") ?? false;
    const found = patterns.map((each) => each.replace(/^!/, "")).some((each) => glob(each).test(text));
    return inverted ? !found : found;
  };
  switch (key) {
    case "Name":
      return fits(FIRST_TUN_NAME);
    case "Type":
      return fits("none");
    case "Kind":
    case "Driver":
      return fits("tun");
    default:
      // MAC addresses, paths, SSIDs: a TUN device has none. Conditions on the host may hold.
      return !/^(MACAddress|PermanentMACAddress|Path|Property|SSID|BSSID|WLANInterfaceType)$/.test(key);
  }
}

function glob(pattern: string): RegExp {
  const escaped = pattern.replaceAll(/[.+^${}()|\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".");
  return new RegExp(`^${escaped.replaceAll("[!", "[^")}$`);
}

/** Whether a NetworkManager.conf(5) names the TUN device among those that it leaves alone. Pure. */
export function leavesTunAlone(text: string): boolean {
  const named = (list: string) =>
    list.split(/[;,]/).some((each) => {
      const name = /^interface-name:=?(.+)$/.exec(each.trim())?.[1];
      return name !== undefined && glob(name).test(FIRST_TUN_NAME);
    });
  return section(text, "keyfile").some(([key, value]) => key === "unmanaged-devices" && named(value));
}

/** Keys and values of one section of an ini file. */
function section(text: string, wanted: string): Array<readonly [string, string]> {
  const found: Array<readonly [string, string]> = [];
  let name = "";
  for (const line of text.split("\n").map((each) => each.trim())) {
    const heading = /^\[([^\]]+)\]$/.exec(line);
    if (heading !== null) name = heading[1];
    const at = line.indexOf("=");
    if (name !== wanted || at < 0 || /^[#;]/.test(line)) continue;
    found.push([line.slice(0, at).trim(), line.slice(at + 1).trim()]);
  }
  return found;
}

/** Files by name, each name once, from the first directory that has it. */
function filesOf(directories: readonly string[], ending: string): SettingsFile[] {
  const paths = new Map<string, string>();
  for (const directory of directories) {
    for (const name of names(directory)) {
      if (name.endsWith(ending) && !paths.has(name)) paths.set(name, `${directory}/${name}`);
    }
  }
  return [...paths].sort(([a], [b]) => a < b ? -1 : 1).flatMap(([, path]) => {
    const text = read(path);
    return text === undefined ? [] : [{ path, text }];
  });
}

function names(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map(({ name }) => name);
  } catch {
    return [];
  }
}

function read(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}
