/**
 * How far each thread has come, for the supervisor. A thread that hangs cannot be noticed from inside the process alone: this
 * one may hang, too. The threads leave their progress in shared memory: a control thread that was busy for seconds says
 * of them what is true now.
 */
import { type SharedClaims } from "../dataplane/shared.ts";
import { MEMBERSHIP_THREAD, type ThreadProgress } from "../supervisor/watchdog.ts";
import { type PacketThread } from "./packet_thread.ts";

/** To be told once a second. */
export function threadProgress(dataplanes: readonly PacketThread[], claims: SharedClaims): ThreadProgress {
  const running = dataplanes.filter(({ isRunning }) => isRunning);
  const threads = Object.fromEntries(
    running.map((each) => [`packet (${each.interface})`, each.counters.sweeps]),
  );
  if (claims.turns !== undefined) threads[MEMBERSHIP_THREAD] = claims.turns;
  return threads;
}
