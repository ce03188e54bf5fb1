/** What `vipfarm init` asks a person. Everything has a suggestion but the virtual IP: no guess could be right. */
import { inNetwork, parseAddress } from "../core/address.ts";
import { nameArgument, serviceArgument, vipArgument } from "./arguments.ts";
import { FARM_FILE } from "./farm_files.ts";
import { type Candidate, type InitOptions } from "./init.ts";
import { type Ask, askFor } from "./questions.ts";

/** Fills in what the options leave open. */
export async function askInit(
  given: InitOptions,
  candidates: readonly Candidate[],
  ask: Ask,
  say: (text: string) => void,
): Promise<InitOptions> {
  const question = <T>(text: string, suggestion: string | undefined, read: (answer: string) => T) =>
    askFor(ask, say, text, suggestion, read);

  const farm = given.farm ?? await question("Name of the farm", "web", nameArgument);
  say(`Interfaces here: ${candidates.map(shown).join(", ") || "none that could reach clients"}`);
  const name = given.interface ??
    await question("Interface that clients come in by", candidates[0]?.name, nameArgument);
  const chosen = candidates.find((each) => each.name === name);
  const vip = await question(
    "Virtual IPs, with blanks between: addresses of that network which nobody uses",
    undefined,
    (answer) => readVips(answer, chosen),
  );
  const service = given.service ?? await question(
    "Services, as NAME=PORTS or NAME=PORTS/udp, with blanks between",
    "http=80,443",
    (answer) => words(answer).map(serviceArgument),
  );
  const output = given.output ?? await question("File to write", FARM_FILE, (answer) => answer);
  return { ...given, farm, interface: name, vip, service, output };
}

function readVips(answer: string, { network }: Partial<Candidate> = {}): string[] {
  const vips = words(answer).map(vipArgument);
  if (vips.length === 0) throw new Error("Expected at least one address.");
  const own = network && parseAddress(network.address);
  for (const vip of vips) {
    const address = parseAddress(vip);
    if (address === undefined || own === undefined || own.family !== address.family) continue;
    if (address.text === own.text) throw new Error(`${vip} is this host's own address.`);
    if (!inNetwork(address, own, network!.prefixLength)) {
      throw new Error(`${vip} is not in the network of ${network!.address}/${network!.prefixLength}.`);
    }
  }
  return vips;
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}

function shown({ name, network }: Candidate): string {
  return network === undefined ? name : `${name} (${network.address}/${network.prefixLength})`;
}
