/** One worker: the process that does the work, as its supervisor sees it. */
import { boottimeMs } from "../../ffi/clock.ts";
import { VipfarmError } from "../core/errors.ts";
import { lines } from "../core/lines.ts";
import { type Goodbye } from "./goodbye.ts";
import {
  decodeMessage,
  encodeMessage,
  type FromWorker,
  type Said,
  type Snapshot,
  type ToWorker,
} from "./messages.ts";
import { Watchdog } from "./watchdog.ts";

/** A running or ended worker. */
export class WorkerProcess {
  readonly pid: number;
  readonly startedMs = boottimeMs();
  /** Settles when it can say nothing any more: every thread is dead, while the kernel may still be taking its sockets down. */
  readonly silent: Promise<void>;
  /** Settles when the process has ended. */
  readonly ended: Promise<Deno.CommandStatus>;
  /** Whether the others have heard of it, and it has not said goodbye. */
  announced = false;
  /** The last incarnation that it told. */
  incarnation = 0;
  /** It serves, and can be told what happens. */
  isReady = false;
  hasEnded = false;
  /** Its watchdog has found that it hangs, and it was killed for it. */
  isWedged = false;
  /** When the next one is started after a crash of it, in ms, once that is decided. */
  restartMs: number | undefined;
  readonly watchdog = new Watchdog(boottimeMs());
  /** Names of the members that it told last. */
  members: readonly string[] = [];
  /** Speaks for it when it crashes. */
  goodbye: Goodbye | undefined;
  /** Why it is not to take another one's place any more, whatever it still says. */
  calledOff: string | undefined;
  /** Why it cannot go on, if it could still say that. */
  problem: string | undefined;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #awaited = new Map<string, (message: FromWorker) => void>();
  readonly #said = new Map<string, FromWorker>();
  #asks = 0;

  /** Starts it. `hear` gets what nobody waits for by {@link said} too. */
  constructor(argv: readonly string[], readonly hear: (message: FromWorker) => void) {
    const [program, ...args] = argv;
    this.#child = new Deno.Command(program, { args, stdin: "piped", stdout: "piped", stderr: "inherit" })
      .spawn();
    this.pid = this.#child.pid;
    this.#input = this.#child.stdin.getWriter();
    // Read to the end before the end counts: the last words say whether it was a crash.
    this.silent = this.#listen();
    this.ended = this.#child.status.then(async (status) => {
      await this.silent;
      this.hasEnded = true;
      // It keeps no events any more: the next one does.
      this.isReady = false;
      return status;
    });
  }

  /** Sends a message; to a worker that has just ended it is lost. */
  tell(message: ToWorker): void {
    this.#input.write(new TextEncoder().encode(encodeMessage(message))).catch(() => {});
  }

  /**
   * Waits for a message of this kind, said already or to come.
   * @throws VipfarmError when the worker ends first, or after `timeoutMs`
   */
  async said<Kind extends FromWorker["say"]>(kind: Kind, timeoutMs: number): Promise<Said<Kind>> {
    const { promise, resolve, reject } = Promise.withResolvers<FromWorker>();
    const early = this.#said.get(kind);
    if (this.#said.delete(kind)) return early as Said<Kind>;
    this.#awaited.set(kind, resolve);
    const fail = (problem: string) =>
      reject(new VipfarmError({ operation: "replace the program", problem, value: `process ${this.pid}` }));
    const timer = setTimeout(() => fail(`no "${kind}" within ${timeoutMs} ms`), timeoutMs);
    void this.ended.then(({ code, signal }) =>
      fail(this.problem ?? `it ended with ${signal ?? `code ${code}`}`)
    );
    try {
      return await promise as Said<Kind>;
    } finally {
      clearTimeout(timer);
      this.#awaited.delete(kind);
    }
  }

  /**
   * Asks for the state that another worker goes on from. An answer that comes too late is not taken for one to the next
   * question: a worker that went on meanwhile is not where it was.
   * @throws VipfarmError as {@link said}
   */
  async snapshot(how: "save" | "freeze", timeoutMs: number): Promise<Snapshot> {
    const ask = ++this.#asks, deadlineMs = boottimeMs() + timeoutMs;
    this.tell({ do: how, ask });
    for (;;) {
      const answer = await this.said("snapshot", Math.max(0, deadlineMs - boottimeMs()));
      if (answer.ask === ask) return answer.snapshot;
    }
  }

  /** SIGKILL. */
  kill(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
  }

  async #listen(): Promise<void> {
    for await (const line of lines(this.#child.stdout)) {
      let message: FromWorker;
      try {
        message = decodeMessage(line) as FromWorker;
      } catch {
        continue; // Not for us: something that a library printed.
      }
      this.#note(message);
      const awaited = this.#awaited.get(message.say);
      if (awaited === undefined) this.#said.set(message.say, message);
      else awaited(message);
      this.hear(message);
    }
    await this.#input.close().catch(() => {});
  }

  #note(message: FromWorker): void {
    switch (message.say) {
      case "incarnation":
        this.announced = true;
        this.incarnation = message.incarnation;
        break;
      case "members":
        this.members = message.names;
        break;
      case "ready":
        this.isReady = true;
        break;
      case "progress":
        this.watchdog.report(message.threads, boottimeMs());
        break;
      case "goodbye":
        this.announced = false;
        break;
      case "failed":
        this.problem = message.problem;
        break;
    }
  }
}
