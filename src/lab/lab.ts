/**
 * A real farm on one machine: nodes and clients in network namespaces around one bridge, with the real daemon as a
 * process on each node. Nothing of it is visible in the host's own network, and nothing is left of it afterwards:
 * namespaces live as long as their holder process, every process asks to be killed together with this one, and all
 * files are in one temporary directory.
 */

import { randomBytes } from "node:crypto";
import { stringify } from "yaml";
import { VipfarmError } from "../core/errors.ts";
import { Capture } from "./capture.ts";
import { LabClient } from "./client.ts";
import { type Cut, type CutDirection, cutRuleset, cutsOf } from "./cuts.ts";
import { LabNamespace } from "./namespace.ts";
import { LabNode } from "./node.ts";
import { requireLabAbilities } from "./privilege.ts";
import type { CommandOptions, CommandResult, LabProcess, SpawnOptions } from "./process.ts";
import { CREATOR_FILE, killProcessesOf, newLabId, sweepStaleLabs, thisCreator } from "./sweep.ts";
import {
  bridgeCommands,
  DEFAULT_VIRTUAL_IPS,
  planTopology,
  splitVirtualIps,
  type Station,
  stationCommands,
} from "./topology.ts";
import { waitFor } from "./wait.ts";

/** Ports of a lab's services. */
export const LAB_PORTS = { http: 8080, sticky: 8081, echo: 8080 } as const;

/** What kind of lab to make. */
export interface LabOptions {
  readonly nodes: number;
  /** Default 1. */
  readonly clients?: number;
  /** Addresses (of each family) that each client has; default 1. */
  readonly addressesPerClient?: number;
  /** Virtual IPs of both families; default 10.86.70.100 and fd86:70::100. */
  readonly virtualIps?: readonly string[];
  /** Virtual MAC mode of all of them; default multicast. */
  readonly mode?: "multicast" | "unicast";
  /** Top-level keys of every node's configuration file, in place of the lab's. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** End the lab and this process on SIGINT and SIGTERM; default true. */
  readonly handleSignals?: boolean;
}

/** How to start one node's daemon. */
export interface StartOptions {
  /** Top-level keys of this node's file, in place of the lab's. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** The whole file, in place of everything else. */
  readonly configText?: string;
  /** More arguments for `vipfarm run`. */
  readonly args?: readonly string[];
  readonly env?: Record<string, string>;
  /** What starts vipfarm; default: this program. */
  readonly program?: readonly string[];
  /** Wait until the node takes new flows; default true. */
  readonly wait?: boolean;
}

/** A lab; use it with `await using`, or call {@link Lab.dispose}. */
export class Lab implements AsyncDisposable {
  readonly id: string;
  readonly directory: string;
  readonly nodes: LabNode[] = [];
  readonly clients: LabClient[] = [];
  readonly virtualIps: { readonly ipv4: readonly string[]; readonly ipv6: readonly string[] };
  readonly mode: "multicast" | "unicast";
  /** A signal is ending the lab: what fails now, fails for that reason. */
  interrupted = false;
  readonly #options: LabOptions;
  readonly #namespaces = new Map<string, LabNamespace>();
  readonly #onSignal: Array<[Deno.Signal, () => void]> = [];
  #bridge!: LabNamespace;
  #cuts: Cut[] = [];
  #captures = 0;
  #disposal: Promise<void> | undefined;

  private constructor(id: string, directory: string, options: LabOptions) {
    this.id = id;
    this.directory = directory;
    this.mode = options.mode ?? "multicast";
    this.virtualIps = splitVirtualIps(options.virtualIps ?? DEFAULT_VIRTUAL_IPS);
    this.#options = options;
  }

  /**
   * Makes the namespaces, the bridge and the addresses; starts nothing else.
   * @throws VipfarmError with exit code 4 if the privilege or a tool is missing.
   */
  static async create(options: LabOptions): Promise<Lab> {
    await requireLabAbilities();
    const topology = planTopology(options.nodes, options.clients ?? 1, options.addressesPerClient);
    const temporary = Deno.env.get("TMPDIR") ?? "/tmp";
    await sweepStaleLabs(temporary);
    const id = newLabId();
    const lab = new Lab(id, `${temporary}/${id}`, options);
    try {
      await Deno.mkdir(lab.directory, { mode: 0o700 });
      await Deno.writeTextFile(`${lab.directory}/${CREATOR_FILE}`, JSON.stringify(await thisCreator()));
      if (options.handleSignals ?? true) lab.#handleSignals();
      await lab.#build(topology.nodes, topology.clients);
    } catch (error) {
      await lab.dispose();
      throw error;
    }
    return lab;
  }

  /** A namespace by its name: `n1`…, `c1`…, `bridge`. */
  namespace(name: string): LabNamespace {
    const namespace = this.#namespaces.get(name);
    if (namespace === undefined) {
      throw new VipfarmError({
        operation: "find a namespace of the lab",
        problem: `there is none of this name; there are ${[...this.#namespaces.keys()].join(", ")}`,
        value: name,
      });
    }
    return namespace;
  }

  /** Runs a command in a namespace, to its end. */
  exec(name: string, argv: readonly string[], options?: CommandOptions): Promise<CommandResult> {
    return this.namespace(name).exec(argv, options);
  }

  /** Runs a command in a namespace and gives its output. @throws VipfarmError if it fails. */
  async run(name: string, argv: readonly string[], options?: CommandOptions): Promise<string> {
    return (await this.namespace(name).run(argv, options)).stdout;
  }

  /** Starts a process in a namespace; it ends with the lab at the latest. */
  spawn(name: string, argv: readonly string[], options?: SpawnOptions): LabProcess {
    return this.namespace(name).spawn(argv, options);
  }

  /** Node by its number from 1, or by name. */
  node(which: number | string): LabNode {
    const name = typeof which === "number" ? `n${which}` : which;
    const node = this.nodes.find((node) => node.name === name);
    if (node === undefined) {
      throw new VipfarmError({
        operation: "find a node of the lab",
        problem: "there is no such node",
        value: name,
      });
    }
    return node;
  }

  /** Text of the configuration file, with these top-level keys in place of the lab's own. */
  configText(overrides: Readonly<Record<string, unknown>> = {}): string {
    const virtualIps = [...this.virtualIps.ipv4, ...this.virtualIps.ipv6];
    return stringify({
      farm: "lab",
      secret_file: `${this.directory}/secret`,
      // Beside each node's file, so that nothing of one lab is found by the next.
      state_dir: "state",
      interface: "eth0",
      virtual_ips: virtualIps.map((address) => ({ address, mode: this.mode })),
      services: [
        { name: "http", protocol: "tcp", ports: [LAB_PORTS.http] },
        { name: "sticky", protocol: "tcp", ports: [LAB_PORTS.sticky], affinity: "client" },
        { name: "echo", protocol: "udp", ports: [LAB_PORTS.echo] },
      ],
      ...this.#options.config,
      ...overrides,
    });
  }

  /** Starts a node's daemon, the real program, and waits until it takes new flows. */
  async startNode(which: number | string, options: StartOptions = {}): Promise<LabNode> {
    const node = this.node(which);
    const text = options.configText ?? this.configText(options.config);
    await node.startDaemon(text, options.args, options.env, options.program);
    if (options.wait ?? true) await node.ready();
    return node;
  }

  /** Starts every node's daemon at once and waits until each sees all of them up. */
  async startNodes(options: StartOptions = {}): Promise<void> {
    await Promise.all(this.nodes.map((node) => this.startNode(node.name, options)));
    if (options.wait ?? true) await this.waitForMembers(this.nodes.map((node) => node.name));
  }

  /** Waits until every running node sees exactly these members up. */
  async waitForMembers(names: readonly string[], timeoutMs = 20_000): Promise<void> {
    const wanted = [...names].sort().join(" ");
    const running = this.nodes.filter((node) => node.daemon?.running);
    await waitFor(
      async () => {
        for (const node of running) {
          const { members } = await node.farm();
          const up = members.filter((member) => member.state === "up").map((member) => member.name);
          if (up.sort().join(" ") !== wanted) throw new Error(`${node.name} sees ${up.join(" ")} up`);
        }
        return true;
      },
      timeoutMs,
      `every node to see ${wanted} up`,
    );
  }

  /** Starts a node's small service: it answers with the node's name over HTTP and UDP. */
  async startService(which: number | string): Promise<void> {
    const node = this.node(which);
    const addresses = [
      ...this.virtualIps.ipv4,
      ...this.virtualIps.ipv6,
      node.station.ipv4,
      node.station.ipv6,
    ];
    await node.startService({
      tcpPorts: [LAB_PORTS.http, LAB_PORTS.sticky],
      udpPorts: [LAB_PORTS.echo],
      udpAddresses: addresses,
    });
  }

  /** Starts the service of every node. */
  async startServices(): Promise<void> {
    await Promise.all(this.nodes.map((node) => this.startService(node.name)));
  }

  /** Cuts a station's cable: frames that it sends (`out`), that are sent to it (`in`), or `both`. */
  async cut(name: string, direction: CutDirection = "both"): Promise<void> {
    this.#cuts.push(...cutsOf(name, direction));
    await this.#applyCuts();
  }

  /** Cuts the way from one station to another, in that direction only. */
  async cutBetween(from: string, to: string): Promise<void> {
    this.#cuts.push({ from, to });
    await this.#applyCuts();
  }

  /** Cuts the way between two stations, in both directions and in one step. */
  async cutPair(a: string, b: string): Promise<void> {
    this.#cuts.push({ from: a, to: b }, { from: b, to: a });
    await this.#applyCuts();
  }

  /** Mends every cut, or those that touch one station. */
  async heal(name?: string): Promise<void> {
    this.#cuts = name === undefined ? [] : this.#cuts.filter((cut) => cut.from !== name && cut.to !== name);
    await this.#applyCuts();
  }

  /** Pulls the plug: the station's own interface loses its carrier. `false` puts it back. */
  async unplug(name: string, unplugged = true): Promise<void> {
    await this.#bridge.ip([`link set ${name} ${unplugged ? "down" : "up"}`]);
  }

  /** Captures frames with tcpdump(8) on a device of a namespace, up to `snapBytes` of each, until it is stopped. */
  capture(name: string, device: string, filter = "", snapBytes?: number): Promise<Capture> {
    const file = `${this.directory}/capture-${++this.#captures}-${name}.pcap`;
    return Capture.start(this.namespace(name), device, filter, file, snapBytes);
  }

  /** Looks until `condition` gives something truthy. @throws VipfarmError naming `what` after the time limit. */
  waitFor<T>(condition: () => T | Promise<T>, timeoutMs: number, what: string) {
    return waitFor(condition, timeoutMs, what);
  }

  /** Ends everything and removes every trace; safe to call more than once. */
  dispose(): Promise<void> {
    return this.#disposal ??= this.#dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #build(nodes: readonly Station[], clients: readonly Station[]): Promise<void> {
    // A server may bind the virtual IP before the daemon has brought it: what such hosts usually allow.
    const nodeSysctls = { "net/ipv4/ip_nonlocal_bind": "1", "net/ipv6/ip_nonlocal_bind": "1" };
    const make = async (name: string, sysctls = {}) => {
      const namespace = await LabNamespace.create(name, this.id, sysctls);
      this.#namespaces.set(name, namespace);
      return namespace;
    };
    const made = await Promise.allSettled([
      make("bridge"),
      ...nodes.map((node) => make(node.name, nodeSysctls)),
      ...clients.map((client) => make(client.name)),
    ]);
    for (const result of made) if (result.status === "rejected") throw result.reason;
    this.#bridge = this.namespace("bridge");
    const stations = [...nodes, ...clients];
    await this.#bridge.ip(
      bridgeCommands(stations.map(({ name }) => ({ name, holderPid: this.namespace(name).holder.pid }))),
    );
    await Promise.all(stations.map((station) => this.namespace(station.name).ip(stationCommands(station))));

    const secret = `${this.directory}/secret`;
    await Deno.writeTextFile(secret, randomBytes(32).toString("base64") + "\n", { mode: 0o600 });
    for (const node of nodes) {
      const directory = `${this.directory}/${node.name}`;
      await Deno.mkdir(directory, { mode: 0o700 });
      this.nodes.push(new LabNode(node, this.namespace(node.name), directory));
    }
    for (const client of clients) this.clients.push(new LabClient(client, this.namespace(client.name)));
  }

  async #applyCuts(): Promise<void> {
    await this.#bridge.run(["nft", "-f", "-"], { input: cutRuleset(this.#cuts) });
  }

  #handleSignals(): void {
    for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
      const listener = () => {
        this.interrupted = true;
        this.dispose().finally(() => Deno.exit(code));
      };
      Deno.addSignalListener(signal, listener);
      this.#onSignal.push([signal, listener]);
    }
  }

  async #dispose(): Promise<void> {
    await Promise.allSettled(this.clients.map((client) => client.dispose()));
    await Promise.allSettled([...this.#namespaces.values()].map((namespace) => namespace.dispose()));
    // What a daemon started itself (scripts, helpers) is no child of ours, but carries the lab's name.
    while ((await killProcessesOf(this.id)).length > 0) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await Deno.remove(this.directory, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    // Last: a second Ctrl-C must not end this process in the middle.
    for (const [signal, listener] of this.#onSignal) Deno.removeSignalListener(signal, listener);
  }
}
