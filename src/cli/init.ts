/** `vipfarm init`: a starter file with the best guess for this host, and what to do next. */
import { parseAddress } from "../core/address.ts";
import { EXIT, VipfarmError } from "../core/errors.ts";
import { hostInterfaces } from "../config/host_interfaces.ts";
import { formatProblem, hasErrors, parseConfig } from "../config/load.ts";
import { EXAMPLE_ADDRESS, starterFile, type StarterService } from "../config/starter.ts";
import { isLoopback } from "../config/values.ts";
import { writeNewFile } from "./new_file.ts";
import { type Output } from "./output.ts";

export interface InitOptions {
  readonly interface?: string;
  readonly vip?: string[];
  readonly service?: StarterService[];
  readonly farm: string;
  readonly secretFile: string;
  readonly output?: string;
}

/** Interfaces that carry no clients: containers, bridges of virtual machines, tunnels. Only a guess is spoilt by them. */
const UNLIKELY = /^(lo|docker|br-|virbr|veth|tun|tap|wg|cni|flannel|cali|ifb)/;

/** Writes the file, to stdout or to a file that is not there yet. */
export async function init(options: InitOptions, output: Output): Promise<void> {
  const host = hostInterfaces();
  const name = options.interface ?? defaultRouteInterface() ??
    host.find((each) => !UNLIKELY.test(each.name) && each.addresses.length > 0)?.name;
  const network = host.find((each) => each.name === name)?.addresses.find(({ address }) => {
    const parsed = parseAddress(address);
    return parsed?.family === 4 && !isLoopback(parsed);
  });
  const around = network ? ` in the network of ${network.address}/${network.prefixLength}` : "";
  const text = starterFile({
    farm: options.farm,
    interface: name,
    virtualIps: options.vip,
    services: options.service,
    secretFile: options.secretFile,
    addressNote: options.vip ? undefined : `CHANGE THIS: an address that nobody uses${around}`,
  });

  // What was given on the command line may still contradict itself: the same port in two services, say.
  const target = options.output ?? "vipfarm.yaml";
  const { problems } = parseConfig(text, target);
  if (hasErrors(problems)) {
    throw new VipfarmError({
      operation: "write starter file",
      problem: `it would not be valid: ${problems.map(formatProblem).join("; ")}`,
      exitCode: EXIT.usage,
    });
  }
  if (options.output === undefined) output.answer(text);
  else await writeNewFile(options.output, text, 0o644);

  const steps = [
    ...(options.vip ? [] : [`set the virtual IP in ${target}: ${EXAMPLE_ADDRESS} is only an example`]),
    `vipfarm keygen --output ${options.secretFile}`,
    `copy ${target} and ${options.secretFile} to every node`,
    `on every node: vipfarm check -c ${target} && vipfarm preflight -c ${target}`,
    `on every node: vipfarm run -c ${target}`,
  ];
  output.note(["Next:", ...steps.map((step, index) => `  ${index + 1}. ${step}`)].join("\n"));
}

/** The interface of the default route, from /proc/net/route: destination and mask both 0 (proc_net(5)). */
function defaultRouteInterface(): string | undefined {
  try {
    return Deno.readTextFileSync("/proc/net/route").split("\n").slice(1)
      .map((line) => line.split("\t"))
      .find((fields) => fields[1] === "00000000" && fields[7] === "00000000")?.[0];
  } catch {
    return undefined;
  }
}
