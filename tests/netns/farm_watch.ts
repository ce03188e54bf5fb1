/** Everything that goes over the wires of a farm, and what its nodes counted of it, while something is done. */

import assert from "node:assert/strict";
import { parseAddress } from "../../src/core/address.ts";
import type { Lab } from "../../src/lab/lab.ts";
import { formatMac, virtualMac } from "../../src/wire/ethernet.ts";
import type { SeenFrame } from "./farm_frames.ts";
import { type Counters, counters, ofClients, ownMac, since } from "./farm_support.ts";
import { Tap } from "./farm_tap.ts";

/** Answers and decisions come within milliseconds; a loaded machine gets its time. */
const QUIET_TIMEOUT_MS = 20_000;

/** What was seen. */
export interface Seen {
  /** What the clients sent, and what was sent to their MACs, client after client. */
  readonly clients: SeenFrame[];
  /** Of these, frames that every node should have captured: for a virtual IP, or a question for one. */
  readonly forFarm: SeenFrame[];
  /** By node: frames that it sent out of its interface. */
  readonly wires: ReadonlyMap<string, SeenFrame[]>;
  /** By node: packets that its daemon handed to its kernel. */
  readonly tuns: ReadonlyMap<string, SeenFrame[]>;
  readonly counted: ReadonlyMap<string, Counters>;
}

/** One tap, and how much of it was looked at already. */
interface Place {
  readonly name: string;
  readonly tap: Tap;
  readonly mac: string;
  frames: SeenFrame[];
  begin: number;
}

/** Captures on all clients and nodes. */
export class Watch {
  readonly lab: Lab;
  readonly #clients: Place[] = [];
  readonly #wires: Place[] = [];
  readonly #tuns: Place[] = [];
  readonly #before = new Map<string, Counters>();
  readonly #addresses: readonly string[];

  private constructor(lab: Lab) {
    this.lab = lab;
    this.#addresses = [...lab.virtualIps.ipv4, ...lab.virtualIps.ipv6];
  }

  static async start(lab: Lab): Promise<Watch> {
    const watch = new Watch(lab);
    const hosts = watch.#addresses.map((address) => `host ${address}`);
    const filter = [...hosts, "arp", "icmp6"].join(" or ");
    const place = async (name: string, device: string, filter: string) => ({
      name,
      tap: await Tap.start(lab, name, device, filter),
      mac: await ownMac(lab, name),
      frames: [],
      begin: 0,
    });
    for (const { name } of lab.clients) watch.#clients.push(await place(name, "eth0", filter));
    for (const { name } of lab.nodes) {
      watch.#wires.push(await place(name, "eth0", filter));
      watch.#tuns.push(await place(name, "vipfarm0", "ip or ip6"));
    }
    return watch;
  }

  /**
   * Does something and gives what was seen of it: after `until` holds for what the clients saw, and once every node
   * has decided on exactly the frames that the clients sent to the farm. One recording at a time.
   */
  async record(
    action: () => void | Promise<void>,
    until: (clients: readonly SeenFrame[]) => boolean = () => true,
  ): Promise<Seen> {
    try {
      return await this.#record(action, until);
    } catch (error) {
      // The next recording begins behind what this one left.
      await Promise.all(this.#places().map(read));
      for (const node of this.lab.nodes) this.#before.set(node.name, await counters(node));
      throw error;
    }
  }

  async #record(
    action: () => void | Promise<void>,
    until: (clients: readonly SeenFrame[]) => boolean,
  ): Promise<Seen> {
    const { lab } = this;
    for (const place of this.#places()) place.begin = place.frames.length;
    for (const node of lab.nodes) {
      if (!this.#before.has(node.name)) this.#before.set(node.name, await counters(node));
    }
    await action();
    const counted = new Map<string, Counters>();
    let clients: SeenFrame[] = [];
    let forFarm: SeenFrame[] = [];
    // A client may look for its neighbours again at any time, so frames and counters are read until they agree.
    await lab.waitFor(
      async () => {
        await Promise.all(this.#clients.map(read));
        clients = this.#clients.flatMap(({ mac, ...place }) =>
          recent(place).filter(({ sourceMac, destinationMac }) => sourceMac === mac || destinationMac === mac)
        );
        if (!until(clients)) throw new Error("the clients have not seen everything yet");
        forFarm = this.#clients.flatMap(({ mac, ...place }) =>
          recent(place).filter((frame) => frame.sourceMac === mac && this.#concernsFarm(frame))
        );
        for (const node of lab.nodes) {
          const now = await counters(node);
          counted.set(node.name, now);
          const delta = since(this.#before.get(node.name)!, now);
          const text = `${node.name} counted what the clients sent: ${JSON.stringify(delta)}`;
          assert.equal(ofClients(delta), forFarm.length, text);
        }
        return true;
      },
      QUIET_TIMEOUT_MS,
      "every node to have decided on what the clients sent",
    );
    await Promise.all([...this.#wires, ...this.#tuns].map(read));
    const deltas = new Map([...counted].map(([name, now]) => [name, since(this.#before.get(name)!, now)]));
    for (const [name, now] of counted) this.#before.set(name, now);
    return {
      clients,
      forFarm,
      wires: new Map(this.#wires.map((place) => [place.name, sentBy(place.mac, recent(place))])),
      tuns: new Map(this.#tuns.map((place) => [place.name, recent(place)])),
      counted: deltas,
    };
  }

  /**
   * Ends the captures and holds all that they saw to what every frame must keep to: the virtual MAC is never where a
   * frame comes from, and whoever says where a virtual IP is gives the virtual MAC.
   * @returns how many messages said where a virtual IP is, or asked for a neighbour, by the node that sent them
   * @throws AssertionError; VipfarmError if the captures are not whole
   */
  async stop(): Promise<ReadonlyMap<string, { told: number; asked: number }>> {
    const macs = virtualMacs(this.lab);
    const virtual = new Set(macs.values());
    const talk = new Map<string, { told: number; asked: number }>();
    for (const place of this.#places()) {
      place.frames = await place.tap.stop();
      for (const { sourceMac, claim } of place.frames) {
        assert.ok(!virtual.has(sourceMac), `${place.name} saw a frame from ${sourceMac}`);
        const right = claim && macs.get(claim.address);
        if (right !== undefined) {
          assert.equal(claim!.mac, right, `${place.name} saw ${JSON.stringify(claim)}`);
        }
      }
    }
    for (const { name, mac, frames } of this.#wires) {
      const sent = sentBy(mac, frames);
      talk.set(name, {
        told: sent.filter(({ claim }) => claim !== undefined && macs.has(claim.address)).length,
        asked: sent.filter(({ claim }) => claim?.asked !== undefined).length,
      });
    }
    return talk;
  }

  #places(): Place[] {
    return [...this.#clients, ...this.#wires, ...this.#tuns];
  }

  /** A VLAN's frames are not the farm's; a tag with VLAN 0 only gives a priority. */
  #concernsFarm({ packet, claim, vlan }: SeenFrame): boolean {
    if ((vlan ?? 0) !== 0) return false;
    const address = claim === undefined ? packet?.destination : claim.asked;
    return address !== undefined && this.#addresses.includes(address);
  }
}

/**
 * Every captured frame has one verdict, every frame is taken or answered by one node, and what its packet thread
 * accepted is on that node's TUN device. Not for fragments, some of which wait for a decision.
 */
export function assertAccounted(seen: Seen): void {
  let taken = 0;
  let told = 0;
  for (const [node, { captured, fast, ringDrops, verdicts }] of seen.counted) {
    assert.equal(captured, Object.values(verdicts).reduce((a, b) => a + b), `${node}: sum of the verdicts`);
    assert.equal(ringDrops, 0, `${node} dropped nothing`);
    const {
      accepted,
      accepted_held,
      neighbour_answered,
      not_owner,
      neighbour_not_owner,
      lan_probe,
      ...others
    } = verdicts;
    assert.deepEqual(Object.entries(others).filter(([, count]) => count > 0), [], `${node}: other verdicts`);
    const counted = accepted + accepted_held + neighbour_answered + not_owner + neighbour_not_owner;
    assert.equal(counted + lan_probe, captured);
    assert.equal(seen.tuns.get(node)!.length, accepted + accepted_held, `${node}: packets on the TUN device`);
    taken += accepted + accepted_held + fast;
    told += neighbour_answered;
  }
  assert.equal(told, seen.forFarm.filter(({ claim }) => claim !== undefined).length, "questions answered");
  assert.equal(taken + told, seen.forFarm.length, "each frame is taken by one node");
}

/** The MACs that a farm's virtual IPs have. */
export function virtualMacs(lab: Lab): ReadonlyMap<string, string> {
  const addresses = [...lab.virtualIps.ipv4, ...lab.virtualIps.ipv6];
  return new Map(
    addresses.map((address) => [address, formatMac(virtualMac(parseAddress(address)!, lab.mode))]),
  );
}

async function read(place: Place): Promise<void> {
  place.frames = await place.tap.sync();
}

function recent({ frames, begin }: Pick<Place, "frames" | "begin">): SeenFrame[] {
  return frames.slice(begin);
}

function sentBy(mac: string, frames: readonly SeenFrame[]): SeenFrame[] {
  return frames.filter(({ sourceMac }) => sourceMac === mac);
}
