/**
 * Tells the supervisor, twice a second, how far each thread has come, and in one line what people should know. A
 * thread that hangs cannot be noticed from inside the process alone: this timer may hang, too. The threads leave their
 * progress in shared memory: a control thread that was busy for seconds says of them what is true now.
 */
import { type FarmStatus } from "../admin/source.ts";
import { type SharedClaims } from "../dataplane/shared.ts";
import { type FromWorker } from "../supervisor/messages.ts";
import { MEMBERSHIP_THREAD, REPORT_INTERVAL_MS } from "../supervisor/watchdog.ts";
import { type PacketThread } from "./packet_thread.ts";

export interface ProgressParts {
  readonly tell: (message: FromWorker) => void;
  readonly dataplanes: readonly PacketThread[];
  readonly farm: { farm(): FarmStatus };
  readonly claims: SharedClaims;
}

export class Progress {
  readonly #timer = setInterval(() => this.#report(), REPORT_INTERVAL_MS);

  constructor(readonly parts: ProgressParts) {
    this.#report();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #report(): void {
    const { tell, dataplanes, farm, claims } = this.parts;
    const running = dataplanes.filter(({ isRunning }) => isRunning);
    const threads = Object.fromEntries(
      running.map((each) => [`packet (${each.interface})`, each.counters.sweeps]),
    );
    if (claims.turns !== undefined) threads[MEMBERSHIP_THREAD] = claims.turns;
    const status = farm.farm();
    tell({ say: "progress", threads, joined: hasJoined(status), status: statusLine(status) });
    // A thread without packets sleeps longer than this: woken, it shows with the next report that it lives.
    for (const { thread } of running) thread.wake.signal();
  }
}

/** Whether the others count on this node, or it is a farm of its own. */
export function hasJoined({ members }: Pick<FarmStatus, "members">): boolean {
  const state = members.find(({ self }) => self)?.state;
  return state === "up" || state === "draining";
}

/** State, share of new flows, and how the farm is: `up, 33 % of new flows; All 3 nodes serve.` */
export function statusLine({ members, health }: Pick<FarmStatus, "members" | "health">): string {
  const self = members.find(({ self }) => self);
  if (self === undefined) return "starting";
  const why = self.state === "up" || self.reason === "" ? "" : ` (${self.reason})`;
  return `${self.state}${why}, ${shareText(self.claimed ?? {})}; ${health}`;
}

function shareText(claimed: Readonly<Record<string, number>>): string {
  const shares = Object.entries(claimed).map(([service, share]) => ({
    service,
    text: `${Math.round(share * 100)} %`,
  }));
  const [first] = shares;
  if (first === undefined) return "no services";
  if (shares.every(({ text }) => text === first.text)) return `${first.text} of new flows`;
  return `of new flows ${shares.map(({ service, text }) => `${service} ${text}`).join(", ")}`;
}
