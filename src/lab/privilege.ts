/** What a lab needs of the host, and how to get it without root where the host allows. */

import { EXIT, messageOf, VipfarmError } from "../core/errors.ts";
import { vipfarmArgv } from "../host/program.ts";
import { runCommand, searchPath } from "./process.ts";

/** Set in a process that was started again in a user namespace, so that it does not try once more. */
const NESTED_VARIABLE = "VIPFARM_LAB_NESTED";

/** Programs that build a lab, with the Debian package of each. */
const TOOLS: Readonly<Record<string, string>> = {
  ip: "iproute2",
  unshare: "util-linux",
  nsenter: "util-linux",
  setpriv: "util-linux",
  setsid: "util-linux",
};

/** Bit of CAP_SYS_ADMIN in the capability words of /proc/self/status (linux/capability.h). */
const CAP_SYS_ADMIN = 21n;
const CAP_NET_ADMIN = 12n;

/**
 * Checks that this process can make namespaces and that the tools are there.
 * @throws VipfarmError with exit code 4 and the remedy.
 */
export async function requireLabAbilities(): Promise<void> {
  if (Deno.build.os !== "linux") {
    throw new VipfarmError({
      operation: "make a lab",
      problem: "network namespaces exist on Linux only",
      value: Deno.build.os,
      exitCode: EXIT.privilege,
    });
  }
  if (!await hasCapabilities()) {
    throw new VipfarmError({
      operation: "make a lab",
      problem: "making network namespaces needs CAP_SYS_ADMIN and CAP_NET_ADMIN",
      value: `user id ${Deno.uid()}`,
      remedy: "Run it as root (sudo), or on a host that allows unprivileged user namespaces.",
      exitCode: EXIT.privilege,
    });
  }
  const missing = [];
  for (const [tool, debianPackage] of Object.entries(TOOLS)) {
    if (!await isInstalled(tool)) missing.push({ tool, debianPackage });
  }
  if (missing.length > 0) {
    const packages = [...new Set(missing.map((entry) => entry.debianPackage))].join(" ");
    throw new VipfarmError({
      operation: "make a lab",
      problem: "programs are missing on this host",
      value: missing.map((entry) => entry.tool).join(", "),
      remedy: `Install them: apt-get install ${packages}`,
      exitCode: EXIT.privilege,
    });
  }
}

/**
 * Checks that the nodes' daemons will get their TUN devices.
 * @throws VipfarmError with exit code 4 and the remedy.
 */
export function requireTun(): void {
  const path = "/dev/net/tun";
  try {
    Deno.openSync(path, { read: true, write: true }).close();
  } catch (cause) {
    throw new VipfarmError({
      operation: "start a farm",
      problem: messageOf(cause),
      value: path,
      remedy:
        "Run it as root with the kernel module tun loaded (modprobe tun); containers need --device /dev/net/tun.",
      exitCode: EXIT.privilege,
      cause,
    });
  }
}

/** Whether a lab can be made here, and if not, why: for tests that skip. */
export async function labUnavailable(): Promise<string | undefined> {
  try {
    await requireLabAbilities();
    return undefined;
  } catch (error) {
    if (error instanceof VipfarmError) return error.message;
    throw error;
  }
}

/**
 * Without the capabilities, runs this same command again as root of a new user namespace, if the host allows that.
 * @returns the exit code of that run; `undefined` if this process can go on itself.
 * @throws VipfarmError with exit code 4 if neither is possible.
 */
export async function runInUserNamespaceIfNeeded(args: readonly string[]): Promise<number | undefined> {
  if (Deno.build.os !== "linux" || await hasCapabilities()) return undefined;
  const unshare = ["unshare", "--user", "--map-root-user"];
  const allowed = Deno.env.get(NESTED_VARIABLE) === undefined && await isInstalled("unshare") &&
    (await runCommand("vf-probe", [...unshare, "unshare", "--net", "ip", "link", "set", "lo", "up"])
        .catch(() => ({ code: 1 }))).code === 0;
  if (!allowed) {
    await requireLabAbilities();
    return undefined;
  }
  const child = new Deno.Command(unshare[0], {
    // setpriv inside: entering a user namespace changes credentials, which may clear the signal (prctl(2)).
    args: [...unshare.slice(1), "--", "setpriv", "--pdeathsig", "KILL", "--", ...vipfarmArgv(...args)],
    env: { PATH: searchPath(), [NESTED_VARIABLE]: "1" },
  }).spawn();
  // The terminal sends Ctrl-C to both; the inner one cleans up, this one waits for it.
  const pass = (signal: Deno.Signal) => () => child.kill(signal);
  const listeners = (["SIGINT", "SIGTERM"] as const).map((signal) => [signal, pass(signal)] as const);
  for (const [signal, listener] of listeners) Deno.addSignalListener(signal, listener);
  const { code } = await child.status;
  for (const [signal, listener] of listeners) Deno.removeSignalListener(signal, listener);
  return code;
}

async function hasCapabilities(): Promise<boolean> {
  const status = await Deno.readTextFile("/proc/self/status");
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  return [CAP_SYS_ADMIN, CAP_NET_ADMIN].every((bit) => (effective >> bit & 1n) === 1n);
}

async function isInstalled(tool: string): Promise<boolean> {
  for (const directory of searchPath().split(":")) {
    if (directory === "") continue;
    const found = await Deno.stat(`${directory}/${tool}`).then((info) => info.isFile, () => false);
    if (found) return true;
  }
  return false;
}
