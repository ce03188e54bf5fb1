/**
 * The programs that the tests and the benchmarks use beside Deno, and how they come onto a fresh machine: as root
 * on Debian or Ubuntu those that are missing are installed, elsewhere it is said which suites go without.
 */
import process from "node:process";

interface Tool {
  /** A program on PATH, or a file by its full path. */
  readonly probe: string;
  /** The Debian package that has it. */
  readonly debianPackage: string;
  /** What cannot be tested without it. */
  readonly usedFor: string;
}

const TOOLS: readonly Tool[] = [
  { probe: "ip", debianPackage: "iproute2", usedFor: "every suite in network namespaces" },
  { probe: "unshare", debianPackage: "util-linux", usedFor: "every suite in network namespaces" },
  { probe: "sysctl", debianPackage: "procps", usedFor: "every suite in network namespaces" },
  { probe: "curl", debianPackage: "curl", usedFor: "requests to a farm" },
  { probe: "tcpdump", debianPackage: "tcpdump", usedFor: "captures on the wire" },
  { probe: "arping", debianPackage: "iputils-arping", usedFor: "address resolution" },
  { probe: "ping", debianPackage: "iputils-ping", usedFor: "echo requests" },
  { probe: "nft", debianPackage: "nftables", usedFor: "cuts between nodes" },
  { probe: "iptables", debianPackage: "iptables", usedFor: "xt_cluster as a peer" },
  { probe: "iperf3", debianPackage: "iperf3", usedFor: "bulk transfers" },
  { probe: "wrk", debianPackage: "wrk", usedFor: "load" },
  { probe: "nginx", debianPackage: "nginx", usedFor: "the peers' benchmark, applications" },
  { probe: "apache2", debianPackage: "apache2-bin", usedFor: "Apache's example" },
  { probe: "haproxy", debianPackage: "haproxy", usedFor: "HAProxy as a peer" },
  { probe: "python3", debianPackage: "python3", usedFor: "the independent oracle" },
  { probe: "chromium", debianPackage: "chromium", usedFor: "the console in a real browser" },
  { probe: "openssl", debianPackage: "openssl", usedFor: "TLS of the admin endpoint" },
  { probe: "promtool", debianPackage: "prometheus", usedFor: "the alert rules and the dashboard" },
  { probe: "spin", debianPackage: "spin", usedFor: "the model of the hand-over" },
  { probe: "systemd-analyze", debianPackage: "systemd", usedFor: "the unit file" },
  { probe: "gcc", debianPackage: "gcc", usedFor: "the proof of struct layouts" },
  { probe: "/usr/include/stdio.h", debianPackage: "libc6-dev", usedFor: "the proof of struct layouts" },
  { probe: "lintian", debianPackage: "lintian", usedFor: "the rules for Debian packages" },
  {
    probe: "/usr/include/linux/if_packet.h",
    debianPackage: "linux-libc-dev",
    usedFor: "the proof of struct layouts",
  },
];

/** Debian starts these when they are installed, and at each boot; the tests want the programs, not the services. */
const SERVICES = ["nginx", "haproxy", "prometheus"];

/** What apt asks before it starts a service: exit code 101 forbids it (policy-rc.d, Debian's invoke-rc.d). */
const SERVICE_POLICY_FILE = "/usr/sbin/policy-rc.d";

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

function isPresent({ probe }: Tool): boolean {
  if (probe.startsWith("/")) return isFile(probe);
  // The system directories are added because a plain user's PATH leaves them out.
  const directories = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/sbin"];
  return directories.some((directory) => isFile(`${directory}/${probe}`));
}

/** The tools that are not here. */
export function missingTools(): readonly Tool[] {
  return TOOLS.filter((tool) => !isPresent(tool));
}

async function apt(...args: string[]): Promise<void> {
  const { success, code, stdout, stderr } = await new Deno.Command("apt-get", {
    args: ["-qq", "-o", "Dpkg::Use-Pty=0", ...args],
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdin: "null",
  }).output();
  if (success) return;
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  throw new Error(`apt-get ${args.join(" ")} ended with ${code}:\n${said}`);
}

async function aptInstall(packages: readonly string[]): Promise<void> {
  const forbidServices = !isFile(SERVICE_POLICY_FILE);
  if (forbidServices) Deno.writeTextFileSync(SERVICE_POLICY_FILE, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    // One source that does not answer must not keep the others from being used.
    await apt("update").catch((error) => console.error(error.message));
    await apt("install", "-y", "--no-install-recommends", ...packages);
  } finally {
    if (forbidServices) Deno.removeSync(SERVICE_POLICY_FILE);
  }
  const services = SERVICES.filter((service) => packages.includes(service));
  if (services.length > 0 && isFile("/usr/bin/systemctl")) {
    await new Deno.Command("systemctl", { args: ["--quiet", "disable", ...services], stdin: "null" })
      .output();
  }
}

/** Installs what is missing if it can, and says what it could not. Never throws: the suites skip by themselves. */
export async function installMissing(): Promise<void> {
  const missing = missingTools();
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((tool) => tool.debianPackage))];
  if (Deno.uid() === 0 && isFile("/usr/bin/apt-get")) {
    console.error(`installing what the tests use: ${packages.join(" ")}`);
    try {
      await aptInstall(packages);
    } catch (error) {
      console.error(error instanceof Error ? error.message : error);
    }
  }
  for (const { probe, debianPackage, usedFor } of missingTools()) {
    console.error(
      `${probe} is missing (Debian package ${debianPackage}), so what needs it is skipped: ${usedFor}`,
    );
  }
}

if (import.meta.main) {
  await installMissing();
  process.exitCode = missingTools().length === 0 ? 0 : 1;
}
