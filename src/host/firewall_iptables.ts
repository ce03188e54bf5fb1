/** Tables of iptables, of its older kind too, from what `iptables-save` prints. Pure. */
import { inNetwork, parseAddress } from "../core/address.ts";
import {
  type Action,
  type Condition,
  type Entry,
  type IncomingPacket,
  type Rule,
  type Table,
} from "./firewall_model.ts";

/** Chains at which packets for this host come in. */
const ENTRIES = ["PREROUTING", "INPUT"];
/** Targets that let the packet go on. */
const HARMLESS = [
  "LOG",
  "NFLOG",
  "MARK",
  "CONNMARK",
  "CT",
  "NOTRACK",
  "TRACE",
  "TCPMSS",
  "TOS",
  "DSCP",
  "ULOG",
];

/** @param program the one that changes these tables: `iptables`, `ip6tables`, `iptables-legacy` */
export function iptablesTables(saved: string, program: string, family: 4 | 6): Table[] {
  const tables: Table[] = [];
  let chains = new Map<string, Rule[]>();
  let entries: Entry[] = [];
  for (const line of saved.split("\n")) {
    if (line.startsWith("*")) {
      const name = line.slice(1).trim();
      chains = new Map();
      entries = [];
      tables.push({
        name: `${program} ${name}`,
        families: [family],
        chains,
        entries,
        remedy: (chain, packet) =>
          `Accept it: ${program}${
            name === "filter" ? "" : ` -t ${name}`
          } -I ${chain} -i ${packet.interface} ` +
          `-p ${packet.protocol} --dport ${packet.port} -j ACCEPT`,
      });
    } else if (line.startsWith(":")) {
      const [chain, policy] = line.slice(1).split(" ");
      chains.set(chain, []);
      if (ENTRIES.includes(chain)) {
        entries.push({ chain, policy: policy === "DROP" ? "drop" : "accept", isInput: chain === "INPUT" });
      }
    } else if (line.startsWith("-A ")) {
      const words = split(line);
      chains.get(words[1])?.push(readRule(words.slice(2)));
    }
  }
  return tables;
}

/** Words, of which some are in quotes: comments. */
function split(line: string): string[] {
  return line.match(/"(?:\\.|[^"\\])*"|\S+/g) ?? [];
}

function readRule(words: readonly string[]): Rule {
  const conditions: Condition[] = [];
  let action: Action = { kind: "none" };
  let negated = false;
  const add = (condition: Condition) => {
    const not = negated;
    negated = false;
    conditions.push(not ? (packet) => not_(condition(packet)) : condition);
  };
  for (let at = 0; at < words.length;) {
    const [word, value = ""] = [words[at], words[at + 1]];
    // What takes a value is followed by it.
    at += 2;
    switch (word) {
      case "!":
        negated = true;
        at--;
        break;
      case "-j":
      case "-g":
        action = readTarget(value, word === "-g");
        // What follows are settings of the target.
        return { conditions, action };
      case "-m":
        if (value === "rpfilter") {
          const inverted = words.includes("--invert");
          conditions.push((packet) => packet.fromTun ? inverted : !inverted);
        }
        break;
      case "-i":
        add(({ interface: name }) =>
          value.endsWith("+") ? name.startsWith(value.slice(0, -1)) : name === value
        );
        break;
      case "-p":
        add(({ protocol }) => value === "all" || value === protocol);
        break;
      case "-d":
        add((packet) => coversAddress(value, packet));
        break;
      case "--dport":
      case "--dports":
        add(({ port }) => value.split(",").some((each) => coversPort(each, port)));
        break;
      case "--ctstate":
      case "--state":
        add(() => value.split(",").includes("NEW"));
        break;
      case "--dst-type":
        add(({ isForService }) => isForService ? value.split(",").includes("LOCAL") : undefined);
        break;
      case "--comment":
      case "--limit":
      case "--limit-burst":
        break;
      case "--invert":
      case "--loose":
      case "--validmark":
        // Of rpfilter, without a value.
        at--;
        break;
      default:
        if (word.startsWith("-")) add(() => undefined);
        // Conditions without a value: the next word is one of its own.
        if (value.startsWith("-") || value === "!") at--;
    }
  }
  return { conditions, action };
}

function not_(holds: boolean | undefined): boolean | undefined {
  return holds === undefined ? undefined : !holds;
}

function readTarget(target: string, isGoto: boolean): Action {
  if (target === "ACCEPT") return { kind: "accept" };
  if (target === "DROP" || target === "REJECT") return { kind: "drop" };
  if (target === "DNAT" || target === "REDIRECT") return { kind: "translate" };
  if (target === "RETURN") return { kind: "return" };
  if (HARMLESS.includes(target)) return { kind: "none" };
  return { kind: isGoto ? "goto" : "jump", chain: target };
}

function coversPort(text: string, port: number): boolean {
  const [from, to = from] = text.split(":").map(Number);
  return from <= port && port <= to;
}

function coversAddress(text: string, { destination }: IncomingPacket): boolean | undefined {
  const [start, length] = text.split("/");
  const network = parseAddress(start), address = parseAddress(destination);
  if (network === undefined || address === undefined || network.family !== address.family) return undefined;
  return inNetwork(address, network, length === undefined ? network.bytes.length * 8 : Number(length));
}
