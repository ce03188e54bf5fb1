/**
 * The process that a user starts and signals. It does none of the work: it holds what must outlive the program (lock,
 * TUN devices with the virtual IPs, settings with their undo), starts the worker that does, speaks for it when it
 * crashes, and replaces it on SIGUSR2.
 *
 *   worker starts -> hello -> host is set up -> go -> ready
 *   crash         -> goodbye with a hold -> the next worker, with back-off
 *   SIGUSR2       -> the next worker beside the old one -> hand-over -> the old one ends
 *   SIGTERM       -> the worker leaves the farm -> the host is put back
 *   the same in a restart by systemd -> the worker ends -> goodbye with a hold -> the host is put back
 *   a thread hangs -> the worker is killed, which is a crash
 */
import { boottimeMs, realtimeMs } from "../../ffi/clock.ts";
import { EXIT, messageOf, VipfarmError } from "../core/errors.ts";
import { type FarmEventInit } from "../core/events.ts";
import { Goodbye } from "./goodbye.ts";
import { SupervisedHost } from "./host.ts";
import { logEvent, startLog } from "./log.ts";
import { type FromWorker, MESSAGES_FORM, type Said } from "./messages.ts";
import { replaceWorker, retireWorker } from "./replacement.ts";
import { Restarts } from "./restarts.ts";
import { ServiceManager } from "./service_manager.ts";
import { LOOK_INTERVAL_MS } from "./watchdog.ts";
import { WorkerProcess } from "./worker_process.ts";

/** How the supervisor is started. */
export interface SupervisorOptions {
  runtimeDir: string;
  /** What starts a worker: the first one, or one that takes over from another. */
  workerArgv(how: WorkerStart): string[];
}

/** `start`: join the farm. `take-over`: prepare beside a running worker, then go on in its place. */
export type WorkerStart = "start" | "take-over";

/**
 * How long the others keep a crashed worker's connections. A start takes well under a second; a client's
 * retransmissions after a gap of this length are seconds apart already.
 */
export const HOLD_MS = 5_000;
/** The same for a restart by systemd: an end, and two programs that start. */
const RESTART_HOLD_MS = 20_000;
/** Name of the file with the worker's process id, for people and tests. */
const WORKER_PID_FILE = "worker.pid";
/** Events that wait for a worker which can keep them. */
const EVENTS_WAITING_MAX = 64;
/** While a worker that leaves makes progress (`drain_on_stop` may be long), its stop may take so much longer. */
const STOP_EXTENSION_MS = 10_000;

/** Runs the node until SIGTERM or SIGINT; returns the exit code. Throws VipfarmError when it cannot start. */
export async function supervise(options: SupervisorOptions): Promise<number> {
  const supervisor = new Supervisor(options);
  try {
    return await supervisor.run();
  } finally {
    await supervisor.takeBack();
  }
}

class Supervisor {
  /** A worker that ran for as long as a hold lasts is started at once, and for as long as it is, the others keep its connections. */
  readonly #restarts = new Restarts(HOLD_MS);
  readonly #stop = Promise.withResolvers<undefined>();
  readonly #waiting: FarmEventInit[] = [];
  readonly #manager = new ServiceManager();
  #stops = 0;
  #worker!: WorkerProcess;
  /** The one that ended before it. */
  #former: WorkerProcess | undefined;
  #host: SupervisedHost | undefined;
  #incarnationMin = 0;
  #failure: unknown;
  #everReady = false;
  #replacing = false;
  /** A replacement was asked for, and no program was started since. */
  #replaceAsked = false;
  /** Prepares to take the place of the running one, which can still go on. */
  #candidate: WorkerProcess | undefined;
  /** Goes on from where the running one stopped, which is about to end. */
  #successor: WorkerProcess | undefined;
  /** A worker that leaves may take until then. */
  #leaveDeadlineMs = Infinity;
  /** Another supervisor is started after this one: the others keep the connections. */
  #restarting = false;

  constructor(readonly options: SupervisorOptions) {}

  /** The one that obeys from now on. */
  get #current(): WorkerProcess {
    return this.#successor ?? this.#worker;
  }

  async run(): Promise<number> {
    this.#worker = this.#start("start");
    const signals: ReadonlyArray<[Deno.Signal, () => void]> = [
      ["SIGTERM", () => void this.#askToStop()],
      ["SIGINT", () => void this.#askToStop()],
      ["SIGHUP", () => this.#current.tell({ do: "reload" })],
      ["SIGUSR2", () => {
        this.#replaceAsked = true;
        void this.#replace();
      }],
    ];
    for (const [signal, listener] of signals) Deno.addSignalListener(signal, listener);
    const { watchdogMs } = this.#manager;
    const watching = setInterval(() => this.#watch(), Math.min(LOOK_INTERVAL_MS, watchdogMs ?? Infinity));
    try {
      await startLog();
      this.#reportServiceManager();
      for (;;) {
        await this.#worker.silent;
        // Others may hear a goodbye now, and another one starts: nobody goes on from where this one was. Who stops the
        // node from here on stops that other one.
        this.#callOff("the running one ended, and the one on the disk is started in its place");
        this.#candidate = undefined;
        this.#sayGoodbyeForCrash();
        const status = await this.#worker.ended;
        if (this.#successor !== undefined) {
          this.#worker.goodbye?.close();
          this.#worker = this.#successor;
          this.#successor = undefined;
          this.#writeWorkerPid(this.#worker);
          continue;
        }
        if (this.#failure !== undefined) throw this.#failure;
        if (this.#restarting) {
          await this.#sayGoodbye(this.#worker, RESTART_HOLD_MS);
          return EXIT.done;
        }
        if (this.#stops > 0 || !this.#everReady) {
          await this.#sayGoodbye(this.#worker, 0);
          return status.signal === null ? status.code : EXIT.no;
        }
        await this.#restart(status);
        if (this.#stops > 0) return EXIT.done;
      }
    } finally {
      clearInterval(watching);
      for (const [signal, listener] of signals) Deno.removeSignalListener(signal, listener);
      for (const worker of [this.#worker, this.#candidate, this.#successor]) worker?.kill();
    }
  }

  #reportServiceManager(): void {
    const { problem } = this.#manager;
    if (problem === undefined) return;
    const message = `The service manager is told nothing: ${problem}.`;
    this.#report({ severity: "warning", kind: "service.unreachable", message });
  }

  async takeBack(): Promise<void> {
    await this.#takeHostBack();
    this.#manager.close();
  }

  /** Gives the host back. Without its lock, the file with the worker's id is another supervisor's. */
  async #takeHostBack(): Promise<void> {
    if (this.#host === undefined) return;
    this.#removeWorkerPid();
    await this.#host.takeBack();
    this.#host = undefined;
  }

  async #askToStop(): Promise<void> {
    this.#manager.stopping();
    this.#stops++;
    this.#stop.resolve(undefined);
    if (this.#candidate === undefined) return await this.#stopWorker();
    // A program that would only be stopped takes nobody's place. The running one is told when it goes on: see #replace.
    this.#callOff("the node is being stopped");
  }

  /** The one that prepares takes nobody's place, even if it has just said that it can. */
  #callOff(why: string): void {
    if (this.#candidate === undefined) return;
    this.#candidate.calledOff ??= why;
    this.#candidate.kill();
  }

  async #stopWorker(): Promise<void> {
    const isFirst = this.#stops === 1 && !this.#replacing;
    if (isFirst && this.#worker.isReady && await this.#manager.stopIsRestart()) {
      this.#restarting = true;
      return await retireWorker(this.#worker);
    }
    // The second signal shortens the wait for connections; who signals once more wants it to end now.
    if (this.#stops > 2) this.#current.kill();
    else this.#current.tell({ do: "stop" });
  }

  /** Looks whether the worker and its threads live, and tells systemd. */
  #watch(): void {
    const worker = this.#worker;
    const wedged = worker.hasEnded ? undefined : worker.watchdog.look(boottimeMs());
    // What kill(2) has not ended by the next look, systemd's watchdog ends.
    if (wedged === undefined || !worker.isWedged) this.#manager.feedWatchdog();
    if (wedged === undefined) {
      const leaves = this.#stops > 0 && boottimeMs() < this.#leaveDeadlineMs;
      if (leaves) this.#manager.extendTimeout(STOP_EXTENSION_MS);
      return;
    }
    worker.isWedged = true;
    if (worker.problem === undefined) {
      worker.problem = wedged;
      // It keeps no events any more: the next one does.
      worker.isReady = false;
      this.#report({ severity: "error", kind: "program.wedged", message: `The program hangs: ${wedged}.` });
    }
    worker.kill();
  }

  #start(how: WorkerStart): WorkerProcess {
    // What starts now is what is on the disk now.
    this.#replaceAsked = false;
    const worker: WorkerProcess = new WorkerProcess(
      this.options.workerArgv(how),
      (message) => void this.#hear(worker, message),
    );
    return worker;
  }

  async #hear(worker: WorkerProcess, message: FromWorker): Promise<void> {
    if (message.say === "hello") {
      try {
        await this.#answerHello(worker, message);
      } catch (error) {
        // Nothing of this node runs yet, or the new worker does not fit to what does.
        if (worker === this.#worker) this.#failure = error;
        worker.problem ??= messageOf(error);
        worker.kill();
      }
    } else if (message.say === "ready") {
      this.#everReady = true;
      for (const event of this.#waiting.splice(0)) worker.tell({ do: "record", event });
      void this.#replace();
    } else if (message.say === "leaving") {
      this.#leaveDeadlineMs = boottimeMs() + message.withinMs;
    } else if (message.say === "progress" && worker === this.#worker) {
      this.#manager.status(message.line);
      if (message.joined) this.#manager.ready();
      this.#watch();
    }
  }

  async #answerHello(worker: WorkerProcess, message: Said<"hello">): Promise<void> {
    const { form, plan, goodbye } = message;
    if (form !== MESSAGES_FORM) {
      throw new VipfarmError({
        operation: "start the program",
        problem: "this version of it cannot run under the supervisor of another version",
        remedy: "Restart vipfarm.",
      });
    }
    if (this.#host === undefined) {
      const report = (event: FarmEventInit) => this.#report(event);
      const onLost = (problem: string) => this.#endForLostHost(problem);
      this.#host = await SupervisedHost.setUp(plan, this.options.runtimeDir, report, onLost);
    } else if (this.#host.lost !== undefined || JSON.stringify(this.#host.plan) !== JSON.stringify(plan)) {
      if (worker === this.#worker) return await this.#setUpAnew(worker, message);
      throw new VipfarmError({
        operation: "start the program",
        problem: "the configuration has other virtual IPs or interfaces than the running one",
        remedy: "Restart vipfarm.",
      });
    } else {
      this.#host.renew();
    }
    worker.goodbye = new Goodbye(goodbye);
    if (worker === this.#worker) this.#writeWorkerPid(worker);
    const { members } = worker === this.#worker ? this.#former ?? worker : this.#worker;
    worker.tell({
      do: "go",
      tuns: this.#host.tuns,
      incarnationMin: this.#incarnationMin,
      members,
      isRestart: worker === this.#worker && this.#everReady,
    });
  }

  /** Nothing reaches this node's programs any more: the next worker finds all of it made anew. */
  #endForLostHost(problem: string): void {
    this.#worker.problem ??= problem;
    this.#worker.kill();
  }

  /** A worker that was restarted found another file: there are no connections to keep for other virtual IPs. */
  async #setUpAnew(worker: WorkerProcess, message: Said<"hello">): Promise<void> {
    await this.#takeHostBack();
    await this.#answerHello(worker, message);
  }

  get #workerPidPath(): string {
    return `${this.options.runtimeDir}/${WORKER_PID_FILE}`;
  }

  #removeWorkerPid(): void {
    try {
      Deno.removeSync(this.#workerPidPath);
    } catch {
      // No worker ever ran; or it cannot be changed, and is a note for people.
    }
  }

  /** For people: a full disk is no reason to end. */
  #writeWorkerPid(worker: WorkerProcess): void {
    const path = this.#workerPidPath;
    try {
      Deno.writeTextFileSync(path, `${worker.pid}\n`);
    } catch (error) {
      this.#removeWorkerPid(); // it may name the former one
      const message = `${path} could not be written: ${
        messageOf(error)
      }. Process ${worker.pid} is the worker.`;
      this.#report({ severity: "warning", kind: "memory.not_saved", message });
    }
  }

  async #sayGoodbye(ended: WorkerProcess, holdMs: number): Promise<void> {
    const { goodbye } = ended;
    // It speaks once: who asks again must not close what still repeats itself.
    ended.goodbye = undefined;
    if (goodbye === undefined) return;
    if (!ended.announced) return goodbye.close();
    const incarnation = Math.max(Math.floor(realtimeMs()), ended.incarnation + 1, this.#incarnationMin);
    this.#incarnationMin = incarnation + 1;
    ended.announced = false;
    await goodbye.say(incarnation, holdMs);
  }

  /** As soon as a worker is silent that nobody has ended: the others wait for every millisecond. */
  #sayGoodbyeForCrash(): void {
    const worker = this.#worker;
    const isAskedFor = this.#successor !== undefined || this.#stops > 0 || !this.#everReady;
    if (isAskedFor) return;
    // Who is not back at once may crash again: whoever waits would wait for nothing.
    void this.#sayGoodbye(worker, this.#restartMs(worker) === 0 ? HOLD_MS : 0);
  }

  /** How long after this worker's end the next one is started; asked again, it says the same. */
  #restartMs(ended: WorkerProcess): number {
    return ended.restartMs ??= this.#restarts.next(boottimeMs() - ended.startedMs);
  }

  /** After an end that nobody asked for. */
  async #restart(status: Deno.CommandStatus): Promise<void> {
    const ended = this.#former = this.#worker;
    const waitMs = this.#restartMs(ended);
    const how = ended.problem ?? (status.signal === null ? `code ${status.code}` : status.signal);
    const when = waitMs === 0 ? "at once" : `in ${waitMs / 1000} s`;
    if (waitMs === 0) this.#worker = this.#start("start");
    this.#manager.status(`the program ended (${how}) and is started again ${when}`);
    this.#report({
      severity: "error",
      kind: "program.ended",
      message: `The program ended unexpectedly (${how}). It is started again ${when}.`,
    });
    if (waitMs === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, waitMs);
    await Promise.race([promise, this.#stop.promise]);
    clearTimeout(timer);
    if (this.#stops === 0) this.#worker = this.#start("start");
  }

  /**
   * The program now on disk in the place of the running one, if SIGUSR2 asked for it: at once, or when the running one is
   * ready, once for however many signals came meanwhile.
   */
  async #replace(): Promise<void> {
    const former = this.#worker;
    if (!this.#replaceAsked || this.#replacing || this.#stops > 0 || !former.isReady) return;
    this.#replacing = true;
    const next = this.#candidate = this.#start("take-over");
    try {
      const { pausedMs, wasKilled } = await replaceWorker(former, next, () => {
        this.#candidate = undefined;
        this.#successor = next;
      });
      this.#report({
        severity: "info",
        kind: "program.replaced",
        message: `The program was replaced; the protocol rested for ${pausedMs.toFixed(0)} ms${
          wasKilled ? ", and the old one was killed, since it did not end in time" : ""
        }.`,
        details: { paused_ms: pausedMs },
      });
    } catch (error) {
      next.kill();
      next.goodbye?.close();
      const why = next.calledOff ?? `${next.problem ?? messageOf(error)}; the old one goes on`;
      this.#report({
        severity: this.#stops > 0 ? "info" : "error",
        kind: "program.not_replaced",
        message: `The program was not replaced: ${why}.`,
      });
    } finally {
      this.#candidate = undefined;
      this.#replacing = false;
    }
    // It was asked for while the running one could not obey.
    if (this.#stops > 0 && this.#worker === former && this.#successor === undefined) await this.#stopWorker();
    void this.#replace();
  }

  #report(event: FarmEventInit): void {
    logEvent(event);
    if (this.#worker.isReady && this.#successor === undefined) {
      this.#worker.tell({ do: "record", event });
    } else if (this.#waiting.length < EVENTS_WAITING_MAX) {
      this.#waiting.push(event);
    }
  }
}
