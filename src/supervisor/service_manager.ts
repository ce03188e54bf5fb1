/**
 * What systemd is told, and asked. Every line is one of sd_notify(3). Without systemd (no NOTIFY_SOCKET) all of this does nothing,
 * and the farm runs the same.
 */
import { UnixDatagramSender } from "../../ffi/unix_datagram.ts";
import { messageOf } from "../core/errors.ts";

/** systemd answers within milliseconds; when it does not, a stop is a stop. */
const ASK_MS_MAX = 1_000;
/** systemd feeds on its watchdog at half of its time at the latest: sd_watchdog_enabled(3). */
const WATCHDOG_PART = 2;

export class ServiceManager {
  readonly #sender: UnixDatagramSender | undefined;
  /** Why it is told nothing, although it is there. */
  readonly problem: string | undefined;
  readonly #unit: string | undefined;
  readonly #isUserManager: boolean;
  #ready = false;
  #status = "";

  /** From the environment that systemd gives to a service (systemd.exec(5)), and VIPFARM_UNIT of our unit file. */
  constructor(environment: { get(name: string): string | undefined } = Deno.env) {
    const socket = environment.get("NOTIFY_SOCKET");
    try {
      this.#sender = socket ? new UnixDatagramSender(socket) : undefined;
    } catch (error) {
      this.problem = `NOTIFY_SOCKET (${socket}): ${messageOf(error)}`;
    }
    this.#unit = environment.get("VIPFARM_UNIT");
    this.#isUserManager = environment.get("MANAGERPID") !== undefined;
    const watchdogUs = Number(environment.get("WATCHDOG_USEC") ?? 0);
    this.watchdogMs = watchdogUs > 0 ? watchdogUs / 1_000 / WATCHDOG_PART : undefined;
  }

  /** How often systemd wants to be fed at the latest; undefined: it does not watch. */
  readonly watchdogMs: number | undefined;

  /** The node has joined its farm. Once is enough. */
  ready(): void {
    if (!this.#ready) this.#notify("READY=1");
    this.#ready = true;
  }

  /** What `systemctl status` shows. */
  status(text: string): void {
    if (text !== this.#status) this.#notify(`STATUS=${text.replaceAll("\n", " ")}`);
    this.#status = text;
  }

  /** All is well. */
  feedWatchdog(): void {
    this.#notify("WATCHDOG=1");
  }

  stopping(): void {
    this.#notify("STOPPING=1");
  }

  /** The stop goes on: give it so much longer before it is cut short. */
  extendTimeout(ms: number): void {
    this.#notify(`EXTEND_TIMEOUT_USEC=${ms * 1_000}`);
  }

  /**
   * Whether the stop that systemd has just asked for is the first half of `systemctl restart`. The signal is the same;
   * the job that systemd works on says it.
   */
  async stopIsRestart(): Promise<boolean> {
    if (this.#sender === undefined || this.#unit === undefined) return false;
    const args = [
      ...(this.#isUserManager ? ["--user"] : []),
      "--no-legend",
      "--plain",
      "--full",
      "list-jobs",
    ];
    try {
      const { stdout } = await new Deno.Command("systemctl", {
        args,
        stdin: "null",
        stderr: "null",
        signal: AbortSignal.timeout(ASK_MS_MAX),
      }).output();
      return isRestart(new TextDecoder().decode(stdout), this.#unit);
    } catch {
      return false;
    }
  }

  close(): void {
    this.#sender?.close();
  }

  #notify(line: string): void {
    this.#sender?.send(new TextEncoder().encode(line));
  }
}

/** Whether a restart of the unit is among these jobs, as `systemctl --plain list-jobs` prints them: id, unit, type, state. */
export function isRestart(jobs: string, unit: string): boolean {
  return jobs.split("\n").map((line) => line.trim().split(/\s+/)).some(([, name, type]) =>
    name === unit && (type === "restart" || type === "try-restart")
  );
}
