/**
 * The state of this node: its application, its checks and its maintenance file, and what follows from them for what it
 * announces. The next process of this node finds the state, and what the checks have found, in the runtime directory;
 * that a node was drained stands in the state directory, and survives a restart of the host too.
 */
import { existsSync } from "node:fs";
import { boottimeMs } from "../../ffi/clock.ts";
import { Application } from "../application/application.ts";
import { newMachine } from "../application/machine.ts";
import { MemoryFile } from "../application/memory.ts";
import { fromSaved, readSaved, type Saved, toSave } from "../application/saved.ts";
import { runs } from "../application/states.ts";
import { type Machine } from "../application/types.ts";
import { type FarmConfig, type NodeConfig } from "../config/load.ts";
import { type FarmEventInit } from "../core/events.ts";
import { type Health } from "../health/health.ts";
import { readProcess } from "../health/process_table.ts";
import { readSavedHealth, type SavedHealth } from "../health/saved.ts";
import { type HealthState } from "../health/types.ts";
import { bootId } from "../host/boot_id.ts";
import { type ClaimsBasis } from "../membership/types.ts";
import { type Order } from "../wire/heartbeat.ts";
import { openChecks } from "./checks.ts";
import { STOP_LINGER_MS } from "./drain.ts";
import { LastResortWatch } from "./last_resort.ts";
import { type Obeyed, Settings } from "./settings.ts";
import { type Ticker } from "./ticker.ts";

export interface NodeStateParts {
  readonly config: FarmConfig;
  readonly node: NodeConfig;
  readonly runtimeDir: string;
  /** Another process of this node runs beside, and says later how far it has come: {@link NodeState.restore}. */
  readonly takeOver: boolean;
  readonly settings: Settings;
  readonly ticker: Ticker;
  /** Living members, this node among them. */
  members(): number;
  /** Settles when no connection is left, at the deadline, or soon after it is called off. */
  drained(deadlineMs: number, calledOff: AbortSignal): Promise<void>;
  /** The state, or its reason, is another one. */
  changed(): void;
  record(event: FarmEventInit): void;
  /** What this needs to work is gone. */
  onFailure(error: Error): void;
}

export class NodeState {
  readonly #health: Health;
  readonly #application: Application;
  readonly #saved: MemoryFile<Saved>;
  readonly #verdicts: MemoryFile<SavedHealth>;
  readonly #asked: MemoryFile<{ drained: boolean }>;
  readonly #bootId = bootId();
  readonly #supervisor = { supervisor: Deno.ppid, supervisorStart: readProcess(Deno.ppid)?.start };
  readonly #lastResort: LastResortWatch;
  #maintenanceFile: string | undefined;
  #endLooking = () => {};
  #adopts = false;
  #drainedSaved = false;
  #live = false;
  #savesVerdicts = true;

  /** Ends with the resources. */
  constructor(readonly parts: NodeStateParts, resources: AsyncDisposableStack) {
    const { config, runtimeDir, takeOver } = parts;
    const node = parts.node.name;
    const record = (event: FarmEventInit) => parts.record(event);
    const what = `what ${node} was doing`;
    this.#saved = new MemoryFile(`${runtimeDir}/application.json`, what, readSaved, record);
    const verdicts = `what the checks of ${node} have found`;
    this.#verdicts = new MemoryFile(`${runtimeDir}/checks.json`, verdicts, readSavedHealth, record);
    const path = `${config.stateDir}/${config.farm}.${node}.json`;
    this.#asked = new MemoryFile(path, `whether ${node} was drained`, readAsked, record);
    this.#lastResort = new LastResortWatch(config.services.map(({ name }) => name), record);
    this.#maintenanceFile = config.maintenanceFile;
    const saved = takeOver ? undefined : this.#adoptable();
    this.#adopts = takeOver || saved !== undefined;
    this.#health = openChecks({
      config,
      node: parts.node,
      assumeUp: this.#adopts,
      // The kernel may tell of something before this acts.
      members: () => this.#live ? parts.members() : 1,
      nodeState: () => this.application.state,
      record,
      onChange: (health) => this.#heed(health),
      onFailure: (error) => parts.onFailure(error),
    }, resources);
    resources.defer(() => this.#close());
    this.#application = new Application({
      place: {
        node,
        farm: config.farm,
        virtualIps: config.virtualIps.map(({ address }) => address.text),
      },
      settings: applicationSettings(config),
      nowMs: boottimeMs,
      remember: (machine, handed) => this.#remember(machine, handed),
      forget: () => this.#forget(),
      record,
      drained: (deadlineMs, calledOff) => parts.drained(deadlineMs, calledOff),
      started: () => this.#health.applicationStarted(),
      changed: () => this.#changed(),
    });
    if (takeOver) return;
    const drained = saved?.drained ?? this.#asked.load()?.drained ?? false;
    this.#drainedSaved = drained;
    this.#prepare(saved ?? { ...newMachine(boottimeMs()), drained });
  }

  get health(): HealthState {
    return this.#health.state();
  }

  /** The state of the application, and why; of the node, if none is configured. */
  get application(): { configured: boolean; state: Machine["state"]; reason: string } {
    const { state, reason } = this.#application.machine;
    return { configured: !this.#application.isNone, state, reason };
  }

  /** Whether an order has drained this node. */
  get drained(): boolean {
    return this.#application.machine.drained;
  }

  /** Takes up where the process before this one has stopped. */
  restore(snapshot: { readonly draining: boolean; readonly weight?: number }): void {
    this.parts.settings.restore(snapshot.weight);
    const drained = snapshot.draining;
    const machine = this.#adoptable() ?? { ...newMachine(boottimeMs()), state: "up", drained };
    this.#drainedSaved = machine.drained;
    this.#prepare(machine);
  }

  /** From here on it acts. The membership thread is there. */
  start(): void {
    this.#live = true;
    this.parts.settings.begin();
    if (this.#adopts) this.#application.adopt();
    else this.#application.boot();
    this.#health.start();
    // What a check has found before, as when the kernel told of the TUN device, was not heeded: it is told once.
    this.#heed(this.#health.state());
    // One system call, which works for files that do not exist yet on any file system; a second is soon enough for what a
    // person does by hand.
    this.#endLooking = this.parts.ticker.onTick(() => this.#lookForMaintenance());
  }

  /** Members came or went, or have other weights: rules may count them. */
  viewChanged(basis: ClaimsBasis): void {
    this.#lastResort.look(basis);
    this.#health.factsChanged();
  }

  /** Carries out an order; a reload is more than this node's state. */
  obey(verb: Exclude<Order["verb"], "reload">, value: number): Obeyed {
    return verb === "weight" ? this.parts.settings.setWeight(value) : this.#application.obey(verb);
  }

  /** Takes up what a file that was read again says. */
  configure(config: FarmConfig): void {
    this.#maintenanceFile = config.maintenanceFile;
    this.#health.reconfigure(config.checks);
    this.parts.settings.configure(config);
    this.#application.configure(applicationSettings(config));
    this.#lookForMaintenance();
  }

  /** What the checks ask for has changed. */
  #heed({ services, node }: HealthState): void {
    if (this.#savesVerdicts) this.#verdicts.save(this.#health.toSave());
    if (this.#live) this.#application.take({ kind: "health", services, application: node });
  }

  /** Another process goes on: nothing is done here any more, unless that fails. */
  freeze(): void {
    this.#savesVerdicts = false;
    this.#application.freeze();
  }

  thaw(): void {
    this.#savesVerdicts = true;
    this.#application.thaw();
    this.#heed(this.#health.state());
  }

  /** Stops the application, since the node leaves the farm. */
  leave(hurry: Promise<void>): Promise<void> {
    this.#endLooking();
    return this.#application.leave(hurry);
  }

  #close(): void {
    this.#endLooking();
    this.#application.close();
  }

  /** Gives the machine what is known before it acts, so that the node announces the right weights from the start. */
  #prepare(machine: Machine): void {
    const verdicts = this.#adopts ? this.#verdicts.load() : undefined;
    if (verdicts !== undefined) this.#health.goOn(verdicts);
    const { services, node } = this.#health.state();
    this.#application.restore({
      ...machine,
      services,
      demand: node,
      maintenance: this.#maintenanceIsThere(),
    });
    this.#allow();
  }

  /** The machine of the process before, if the application is as that one left it. */
  #adoptable(): Machine | undefined {
    const saved = this.#saved.load();
    if (saved === undefined || saved.boot !== this.#bootId) return undefined;
    // A supervisor that died may have taken the application along: then it is started anew, which does no harm if not.
    const { supervisor, supervisorStart } = this.#supervisor;
    const isSame = saved.supervisor === supervisor && saved.supervisorStart === supervisorStart;
    return isSame || saved.handed ? fromSaved(saved.machine) : undefined;
  }

  #remember(machine: Machine, handed: boolean): void {
    this.#saved.save({ ...this.#supervisor, handed, boot: this.#bootId, machine: toSave(machine) });
    if (machine.drained === this.#drainedSaved) return;
    this.#drainedSaved = machine.drained;
    this.#asked.save({ drained: machine.drained });
  }

  #forget(): void {
    this.#savesVerdicts = false;
    this.#saved.remove();
    this.#verdicts.remove();
  }

  #changed(): void {
    this.#allow();
    if (!this.#live) return;
    this.#health.factsChanged();
    this.parts.changed();
  }

  #allow(): void {
    const { state, services, job, drained, maintenance } = this.#application.machine;
    this.parts.settings.allow({
      // Without an application there is nothing that has to start first.
      running: runs(state) || (state === "stopped" && !this.#live && this.#application.isNone),
      draining: drained || maintenance || job?.kind === "drain",
      services,
    });
  }

  #maintenanceIsThere(): boolean {
    return this.#maintenanceFile !== undefined && existsSync(this.#maintenanceFile);
  }

  #lookForMaintenance(): void {
    const present = this.#maintenanceIsThere();
    if (present !== this.#application.machine.maintenance) {
      this.#application.take({ kind: "maintenance", present });
    }
  }
}

function applicationSettings({ application, drainOnStopMs }: FarmConfig) {
  return { application, drainMs: Math.max(drainOnStopMs, STOP_LINGER_MS) };
}

function readAsked(value: unknown): { drained: boolean } | undefined {
  const drained = (value as { drained?: unknown } | null)?.drained;
  return typeof drained === "boolean" ? { drained } : undefined;
}
