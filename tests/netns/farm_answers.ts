/** What the nodes answer to new connections, captured on all of them: no SYN may have two answers. */

import type { Answer } from "../../src/lab/client_protocol.ts";
import type { LabClient } from "../../src/lab/client.ts";
import type { Lab } from "../../src/lab/lab.ts";
import { ACK, FIN, RST, type SeenPacket, SYN, TCP } from "./farm_frames.ts";
import { Tap } from "./farm_tap.ts";

/** TCP header without options, and the kind of the timestamps option (RFC 7323 section 3.2). */
const HEADER_BYTES = 20, KIND_TIMESTAMPS = 8;

/** One TCP segment with SYN or RST that left a node. */
export interface Segment {
  readonly node: string;
  readonly atMs: number;
  readonly clientPort: number;
  readonly syn: boolean;
  readonly rst: boolean;
  readonly sequence: number;
  readonly acknowledgement: number;
  /** Of the segment that this answers: the client's clock when it sent that (RFC 7323, TSecr); undefined if it has none. */
  readonly echoedMs: number | undefined;
}

interface NodeTap {
  readonly node: string;
  readonly tap: Tap;
}

/** Captures the SYN-ACKs and resets that each node sends from the first virtual IP, over IPv4. */
export class AnswerCaptures {
  readonly #taps: readonly NodeTap[];

  private constructor(taps: readonly NodeTap[]) {
    this.#taps = taps;
  }

  static async start(lab: Lab): Promise<AnswerCaptures> {
    const filter = `src host ${lab.virtualIps.ipv4[0]} and tcp[tcpflags] & (tcp-syn|tcp-rst) != 0`;
    const taps = lab.nodes.map(async ({ name }): Promise<NodeTap> => ({
      node: name,
      tap: await Tap.start(lab, name, "eth0", filter),
    }));
    return new AnswerCaptures(await Promise.all(taps));
  }

  /** Everything up to now; the captures end. */
  async stop(): Promise<Segment[]> {
    const read = this.#taps.map(async ({ node, tap }) =>
      (await tap.stop()).flatMap(({ atMs, packet }) =>
        packet?.protocol === TCP ? [segmentOf(node, atMs, packet)] : []
      )
    );
    return (await Promise.all(read)).flat();
  }
}

/** Everything that a client and the first virtual IP say to each other by TCP over IPv4, for whoever has to find out why. */
export class Conversations {
  private constructor(readonly client: LabClient, readonly tap: Tap) {}

  static async start(lab: Lab, client: LabClient): Promise<Conversations> {
    const filter = `tcp and host ${lab.virtualIps.ipv4[0]}`;
    return new Conversations(client, await Tap.start(lab, client.station.name, "eth0", filter));
  }

  /** The capture ends; gives what was said from and to a port, a line for each segment. */
  async stop(): Promise<(port: number) => string[]> {
    const seen = await this.tap.stop();
    return (port) =>
      seen.flatMap(({ atMs, sourceMac, packet }) => {
        if (packet === undefined) return [];
        const own = packet.source === this.client.station.ipv4;
        if ((own ? packet.sourcePort : packet.destinationPort) !== port) return [];
        const { tcpFlags, sequence, acknowledgement, length } = packet;
        const flags = [[SYN, "SYN"], [FIN, "FIN"], [RST, "RST"], [ACK, "ACK"]] as const;
        const names = flags.flatMap(([bit, name]) => tcpFlags & bit ? [name] : []).join("+");
        return [
          `${atMs.toFixed(1)} ${
            own ? "sent" : `from ${sourceMac}`
          } ${names} seq ${sequence} ack ${acknowledgement}, ` +
          `${length} bytes`,
        ];
      });
  }
}

function segmentOf(node: string, atMs: number, packet: SeenPacket): Segment {
  return {
    node,
    atMs,
    clientPort: packet.destinationPort,
    syn: (packet.tcpFlags & SYN) !== 0,
    rst: (packet.tcpFlags & RST) !== 0,
    sequence: packet.sequence,
    acknowledgement: packet.acknowledgement,
    echoedMs: echoedTimestamp(packet.payload),
  };
}

/** TSecr of the timestamps option of a TCP header; undefined if it has none. */
function echoedTimestamp(tcp: Uint8Array): number | undefined {
  const view = new DataView(tcp.buffer, tcp.byteOffset, tcp.byteLength);
  const end = (view.getUint8(12) >> 4) * 4;
  for (let at = HEADER_BYTES; at < end;) {
    const kind = view.getUint8(at);
    if (kind === 0) return undefined;
    if (kind === KIND_TIMESTAMPS) return view.getUint32(at + 6);
    at += kind === 1 ? 1 : Math.max(2, view.getUint8(at + 1));
  }
  return undefined;
}

/** Which node answered the SYN of each of the client's ports; where several did, the last that is told of. */
export function openers(segments: readonly Segment[]): ReadonlyMap<number, string> {
  return new Map(segments.filter(({ syn }) => syn).map(({ clientPort, node }) => [clientPort, node]));
}

/**
 * Attempts that failed, but those whose connection this node had opened and took along: its successor resets them. Every
 * client needs ports of its own.
 */
export function failedBeyond(
  node: string,
  answers: readonly Answer[],
  segments: readonly Segment[],
): readonly Answer[] {
  const openedBy = openers(segments);
  return answers.filter(({ error, port }) =>
    error !== undefined && !(error === "ECONNRESET" && openedBy.get(port) === node)
  );
}

/**
 * SYNs that more than one answer was given to. A SYN is known by the client's port, its initial sequence number and
 * when it was sent: if an answer is lost, another node may have taken over by the time the client sends the SYN again. The
 * same SYN-ACK sent again by the same node (RFC 6298 section 5) is one answer.
 */
export function doublyAnswered(segments: readonly Segment[]): string[] {
  const answers = new Map<string, Map<string, number>>();
  for (const { node, clientPort, syn, rst, sequence, acknowledgement, echoedMs, atMs } of segments) {
    if (!syn || rst) continue;
    const key = `port ${clientPort}, acknowledgement ${acknowledgement}, sent at ${echoedMs}`;
    const given = answers.get(key) ?? new Map<string, number>();
    const answer = `${node} with ${sequence}`;
    answers.set(key, given.set(answer, Math.min(atMs, given.get(answer) ?? Infinity)));
  }
  return [...answers].filter(([, given]) => given.size > 1).map(([key, given]) => {
    const inOrder = [...given].sort(([, a], [, b]) => a - b);
    const told = inOrder.map(([answer, atMs]) => `${answer} after ${(atMs - inOrder[0][1]).toFixed(0)} ms`);
    return `${key}: ${told.join("; ")}`;
  });
}
