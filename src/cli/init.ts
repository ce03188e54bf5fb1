/** `vipfarm init`: a commented file with the best guess for this host or a person's answers, a secret, and what to do next. */
import { isAbsolute } from "node:path";
import { parseAddress } from "../core/address.ts";
import { EXIT, VipfarmError } from "../core/errors.ts";
import { hostInterfaces } from "../config/host_interfaces.ts";
import { formatProblem, hasErrors, parseConfig } from "../config/load.ts";
import { EXAMPLE_ADDRESS, starterFile, type StarterService } from "../config/starter.ts";
import { besideFile } from "../config/resolve.ts";
import { newSecret } from "../config/secret.ts";
import { isLoopback } from "../config/values.ts";
import { exists, FARM_FILE, SECRET_NAME, writeConfig, writeSecret } from "./farm_files.ts";
import { askInit } from "./init_questions.ts";
import { type Output } from "./output.ts";
import { type Ask, canAsk, withPerson } from "./questions.ts";

export interface InitOptions {
  readonly interface?: string;
  readonly vip?: string[];
  readonly service?: StarterService[];
  readonly farm?: string;
  readonly secretFile?: string;
  readonly output?: string;
  readonly force?: true;
  /** `--no-ask` */
  readonly ask?: boolean;
}

/** An interface of this host that may reach clients. */
export interface Candidate {
  readonly name: string;
  /** Its IPv4 network, if it has one. */
  readonly network?: { readonly address: string; readonly prefixLength: number };
}

/** Interfaces that carry no clients: containers, bridges of virtual machines, tunnels. Only a guess is spoilt by them. */
const UNLIKELY = /^(lo|docker|br-|virbr|veth|tun|tap|wg|cni|flannel|cali|ifb|vipfarm)/;

/** Asks what no option says, if somebody is there; then writes. */
export async function init(given: InitOptions, output: Output): Promise<void> {
  const twice = given.vip?.find((vip, index, all) => all.indexOf(vip) < index);
  if (twice !== undefined) {
    throw new VipfarmError({
      operation: "write starter file",
      problem: `--vip ${twice} was given twice`,
      exitCode: EXIT.usage,
    });
  }
  const isAsked = given.vip === undefined && given.ask !== false && canAsk();
  if (!isAsked) return await writeFarm(given, output);
  await writeFarm(
    await withPerson((ask: Ask) => askInit(given, candidates(), ask, (text) => output.note(text))),
    output,
  );
}

/** Writes the file to stdout, or with a secret beside it to a file that is not there yet. */
async function writeFarm(options: InitOptions, output: Output): Promise<void> {
  const all = candidates();
  const chosen = options.interface === undefined
    ? all[0]
    : all.find(({ name }) => name === options.interface) ?? { name: options.interface };
  const { network } = chosen ?? {};
  const around = network ? ` in the network of ${network.address}/${network.prefixLength}` : "";
  const { output: path = FARM_FILE } = options;
  // A relative path in the file begins where the file is.
  const secretFile = options.secretFile ?? (isAbsolute(path) ? besideFile(path, SECRET_NAME) : SECRET_NAME);
  const text = starterFile({
    farm: options.farm,
    interface: chosen?.name,
    virtualIps: options.vip,
    services: options.service,
    secretFile,
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
  const names = hostInterfaces().map(({ name }) => name);
  if (options.interface !== undefined && !names.includes(options.interface)) {
    output.note(
      `warning: this host has no interface ${options.interface}, expected one of ${names.join(", ")}; ` +
        "where one node differs, set nodes.NAME.interface",
    );
  }
  const steps: string[] = [];
  if (options.vip === undefined) {
    steps.push(`set the virtual IP in ${target}: ${EXAMPLE_ADDRESS} is only an example`);
  }
  if (options.output === undefined) {
    output.answer(text);
    steps.push(`vipfarm keygen --output ${secretFile}`);
  } else {
    await writeConfig(options.output, text, options.force === true);
    const secretPath = besideFile(options.output, secretFile);
    // Another farm's nodes may have it: a secret is never replaced.
    const isNew = !await exists(secretPath);
    if (isNew) await writeSecret(secretPath, newSecret(), false);
    output.note(
      `Wrote ${options.output}; the secret ${secretPath} ${isNew ? "is new" : "was there already"}.`,
    );
  }
  steps.push(
    `vipfarm preflight -c ${target}`,
    `vipfarm run -c ${target}, or as a service: systemctl enable --now vipfarm`,
    `vipfarm invite -c ${target}, and on every other node: vipfarm join`,
  );
  output.note(["Next:", ...steps.map((step, index) => `  ${index + 1}. ${step}`)].join("\n"));
}

/** Interfaces that clients may come in by, the likeliest first. */
function candidates(): Candidate[] {
  const byDefault = defaultRouteInterface();
  const found = hostInterfaces().filter(({ name }) => !UNLIKELY.test(name)).map(({ name, addresses }) => ({
    name,
    network: addresses.find(({ address }) => {
      const parsed = parseAddress(address);
      return parsed?.family === 4 && !isLoopback(parsed);
    }),
    hasAddress: addresses.length > 0,
  }));
  const rank = ({ name, hasAddress }: typeof found[number]) => name === byDefault ? 0 : hasAddress ? 1 : 2;
  return found.sort((a, b) => rank(a) - rank(b));
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
