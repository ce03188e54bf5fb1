/** What the packet threads and the kernel's programs have counted, put together for each interface. */
import { type DatapathCounters } from "../admin/source.ts";
import { type LoadedPrefilter } from "../dataplane/prefilter.ts";
import { type SharedCounters } from "../dataplane/shared.ts";
import { type Verdict, VERDICTS } from "../dataplane/verdicts.ts";

/** An interface with virtual IPs. */
export interface CountedDataplane {
  readonly interface: string;
  readonly counters: SharedCounters;
  readonly prefilter?: LoadedPrefilter;
}

/** Verdicts of frames that need no virtual MAC to arrive, or that no client sent. */
const NOT_OF_CLIENTS: readonly Verdict[] = [
  "lan_probe",
  "foreign",
  "neighbour_answered",
  "neighbour_not_owner",
  "neighbour_ignored",
];

export function datapathCounters(dataplanes: readonly CountedDataplane[]): DatapathCounters[] {
  return dataplanes.map(({ interface: name, counters, prefilter }) => {
    const all = counters.read();
    const kernel = prefilter?.counts();
    return {
      interface: name,
      captured: all.captured,
      filtered: kernel?.dropped,
      fastPath: prefilter?.isFast ? kernel?.fast : undefined,
      verdicts: Object.fromEntries(VERDICTS.map((verdict) => [verdict, all[verdict]])),
      ringDrops: all.ring_drops,
      tunWriteErrors: all.inject_failed,
      newFlows: all.new_flows + (kernel?.newFlows ?? 0),
    };
  });
}

/**
 * Frames of clients for the virtual IPs that this node has seen, whatever became of them. Questions about the addresses are not
 * among them: they are broadcast, and come where nothing else comes.
 */
export function vipFramesSeen(interfaces: readonly DatapathCounters[]): number {
  let seen = 0;
  for (const { captured, filtered, fastPath, ringDrops, verdicts } of interfaces) {
    seen += captured + (filtered ?? 0) + (fastPath ?? 0) + ringDrops;
    for (const verdict of NOT_OF_CLIENTS) seen -= verdicts[verdict];
  }
  return Math.max(0, seen);
}

/** Probes of the LAN that came to this node, for each of its virtual IPs. */
export function probesSeen(
  virtualIps: ReadonlyArray<{ readonly interface: string }>,
  dataplanes: ReadonlyArray<Pick<CountedDataplane, "interface" | "counters">>,
): number[] {
  const next = new Map<string, number>();
  return virtualIps.map(({ interface: name }) => {
    const index = next.get(name) ?? 0;
    next.set(name, index + 1);
    return dataplanes.find((dataplane) => dataplane.interface === name)?.counters.probes[index] ?? 0;
  });
}
