/** Reading what stands on the command line, where it is more than a plain word. */
import { type Command, InvalidArgumentError } from "commander";
import { type IpAddress, parseAddress } from "../core/address.ts";
import { EXIT, VipfarmError } from "../core/errors.ts";
import { type StarterService } from "../config/starter.ts";
import { RUNTIME_DIR_DEFAULT } from "./client.ts";
import { isPortRange, isUnicast, isVirtualIp, NAME_PATTERN, parsePorts, PORT_MAX } from "../config/values.ts";

/** `sun_path` of unix(7) has 108 bytes, with a null at its end; the socket in the directory is `/admin.sock`. */
const RUNTIME_DIR_BYTES_MAX = 107 - "/admin.sock".length;

/** Adds `-c, --config FILE`, without which the verb is not understood. */
export function withConfig(verb: Command): Command {
  return verb.requiredOption("-c, --config <FILE>", "the farm's configuration");
}

/** Adds `--node NAME`. */
export function withNode(verb: Command): Command {
  return verb.option(
    "--node <NAME>",
    "this node's name (default: $VIPFARM_NODE, else the host name)",
    nameArgument,
  );
}

/** Adds `--runtime-dir DIR`. */
export function withRuntimeDir(verb: Command): Command {
  return verb.option(
    "--runtime-dir <DIR>",
    "where this host's daemon keeps its socket and notes",
    runtimeDirArgument,
    RUNTIME_DIR_DEFAULT,
  );
}

function runtimeDirArgument(text: string): string {
  if (new TextEncoder().encode(text).length > RUNTIME_DIR_BYTES_MAX) {
    throw new InvalidArgumentError(
      `Expected at most ${RUNTIME_DIR_BYTES_MAX} bytes, for a Unix socket in it.`,
    );
  }
  return text;
}

/** A name in the configuration, such as a node's or a farm's. */
export function nameArgument(text: string): string {
  if (!NAME_PATTERN.test(text)) {
    throw new InvalidArgumentError("Expected 1 to 63 letters, digits, dots, underscores or hyphens.");
  }
  return text;
}

/**
 * The name of this node: `--node`, else VIPFARM_NODE, else the host name.
 * @throws VipfarmError with `EXIT.usage` if that cannot be a node name
 */
export function ownNodeName(option: string | undefined): string {
  const fromEnvironment = Deno.env.get("VIPFARM_NODE");
  const name = option ?? (fromEnvironment ? fromEnvironment : Deno.hostname());
  if (NAME_PATTERN.test(name)) return name;
  throw new VipfarmError({
    operation: "choose this node's name",
    problem: "a node name is 1 to 63 letters, digits, dots, underscores or hyphens",
    value: JSON.stringify(name.slice(0, 100)),
    remedy: "Give another one with --node NAME or in VIPFARM_NODE.",
    exitCode: EXIT.usage,
  });
}

/** A whole number within bounds, for commander's `argParser`. */
export function integerBetween(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

/** A client, with the port that it calls from where one was given. */
export interface ClientArgument {
  readonly client: IpAddress;
  readonly port?: number;
}

/** `192.0.2.7`, `192.0.2.7:51000`, `2001:db8::7`, `[2001:db8::7]:51000`. */
export function clientArgument(text: string): ClientArgument {
  const match = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(text) ?? /^([^:]+):(\d{1,5})$/.exec(text);
  const client = parseAddress(match?.[1] ?? text);
  const port = match?.[2] === undefined ? undefined : Number(match[2]);
  if (!client || !isUnicast(client) || (port !== undefined && port > PORT_MAX)) {
    throw new InvalidArgumentError(
      "Expected an address and port such as 203.0.113.7:51000 or [2001:db8::7]:51000.",
    );
  }
  return port === undefined ? { client } : { client, port };
}

/** Collects a repeated option through a reader of one value. */
export function collect<T>(
  reader: (text: string) => T,
): (text: string, before: readonly T[] | undefined) => T[] {
  return (text, before) => [...before ?? [], reader(text)];
}

/** `http=80,443`, `dns=53/udp`, `web=8000-8100/tcp`. */
export function serviceArgument(text: string): StarterService {
  const match = /^([^=]+)=([\d,-]+)(?:\/(tcp|udp))?$/.exec(text);
  const ports = match?.[2].split(",") ?? [];
  const isValid = match && NAME_PATTERN.test(match[1]) && ports.every((each) => {
    const range = parsePorts(each);
    return range !== undefined && isPortRange(range);
  });
  if (!isValid) {
    throw new InvalidArgumentError("Expected NAME=PORTS[/PROTOCOL], such as http=80,443 or dns=53/udp.");
  }
  return { name: match[1], protocol: match[3] === "udp" ? "udp" : "tcp", ports };
}

/** A virtual IP. */
export function vipArgument(text: string): string {
  const address = parseAddress(text);
  if (!address || !isVirtualIp(address)) {
    throw new InvalidArgumentError(
      "Expected a unicast address, no link-local one (fe80::/10), without prefix length, such as 192.0.2.100.",
    );
  }
  return address.text;
}
