/**
 * A wait until every processor has ended what it was doing for packets: membarrier(2), whose MEMBARRIER_CMD_GLOBAL waits for
 * an RCU grace period (kernel/sched/membarrier.c). The kernel takes a packet from the interface to its socket within one
 * section of RCU (__netif_receive_skb_core, net/core/dev.c), the BPF programs on the way included: whatever began before
 * this call by what a map said then, has reached its socket when the call ends.
 */

import { SYSCALLS } from "./layout/syscalls.ts";
import { libc } from "./libc.ts";

const MEMBARRIER_CMD_GLOBAL = 1;
/** A grace period takes a few ticks of 1 to 10 ms; where the call is refused (nohz_full), this is waited in its place. */
const WAIT_MS = 50;

/** Waits for it on a thread of Deno's own: some tens of milliseconds. */
export async function gracePeriod(): Promise<void> {
  const result = await libc.syscallMembarrier(
    SYSCALLS[Deno.build.arch].membarrier,
    MEMBARRIER_CMD_GLOBAL,
    0,
    0,
  );
  if (result < 0) await new Promise((elapsed) => setTimeout(elapsed, WAIT_MS));
}
