/** The interfaces of this host, as far as anybody may see them: needs no privilege and no FFI. */
import { type HostInterface } from "./host_check.ts";

/** Lists this host's interfaces; those without an address too, where the system says so (Linux). */
export function hostInterfaces(): HostInterface[] {
  const found = new Map<string, Array<{ address: string; prefixLength: number }>>();
  for (const name of namesFromProc()) found.set(name, []);
  for (const { name, address, cidr } of Deno.networkInterfaces()) {
    const addresses = found.get(name) ?? [];
    addresses.push({ address, prefixLength: Number(cidr.split("/")[1]) });
    found.set(name, addresses);
  }
  return [...found].map(([name, addresses]) => ({ name, addresses }));
}

/** `/proc/net/dev` follows the network namespace of the process, which `/sys/class/net` does not. */
function namesFromProc(): string[] {
  let table: string;
  try {
    table = Deno.readTextFileSync("/proc/net/dev");
  } catch {
    return [];
  }
  return table.split("\n").slice(2).map((line) => line.slice(0, line.lastIndexOf(":")).trim()).filter((
    name,
  ) => name !== "");
}
