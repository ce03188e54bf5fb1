/**
 * The worker, put together: the control thread starts the packet and membership threads, serves the admin endpoint and,
 * at the end, leaves the farm. What must outlive it is its supervisor's.
 *
 *   supervisor: host -> packet threads -> membership thread -> admin endpoint
 *
 * No packet and no heartbeat passes through here.
 */
import { boottimeMs, boottimeMs32, realtimeMs } from "../ffi/clock.ts";
import { TunDevice } from "../ffi/tun.ts";
import { EventLog } from "./admin/event_log.ts";
import { type FarmConfig, forNode, type NodeConfig } from "./config/load.ts";
import { readSecret } from "./config/secret.ts";
import { EnduringAdminEndpoint, openAdminEndpoint, readAdminFiles } from "./control/admin_endpoint.ts";
import { Connections } from "./control/connections.ts";
import { Drain, leaveMsMax, STOP_LINGER_MS } from "./control/drain.ts";
import { Farm } from "./control/farm.ts";
import { hostNetworks } from "./control/heartbeat_networks.ts";
import { identityOf, planGoodbye, planHost } from "./control/host_plan.ts";
import { LogSwitch } from "./control/log_switch.ts";
import { openNotifier } from "./control/open_notifier.ts";
import { Orders } from "./control/orders.ts";
import { PacketThread } from "./control/packet_thread.ts";
import { planQuorum, planServices, planTables, planVips } from "./control/plan.ts";
import { OptionalPrefilter } from "./control/prefilter.ts";
import { threadProgress } from "./control/progress.ts";
import { Reloader } from "./control/reload.ts";
import { Replacement } from "./control/replacement.ts";
import { NodeState } from "./control/node_state.ts";
import { type Announcement, Settings } from "./control/settings.ts";
import { type SupervisorLink } from "./control/supervisor_link.ts";
import { hasJoined, statusLine } from "./control/status_line.ts";
import { STOP_STEP_MS_MAX, Thread } from "./control/thread.ts";
import { Ticker } from "./control/ticker.ts";
import { EXIT, messageOf, VipfarmError } from "./core/errors.ts";
import { type FarmEventInit } from "./core/events.ts";
import { deriveKeys } from "./core/keys.ts";
import { SharedClaims } from "./dataplane/shared.ts";
import { entryPoint } from "./entry_points.ts";
import { lookAround } from "./host/look_around.ts";
import { type Notifier } from "./notify/notifier.ts";
import { type MemberView } from "./membership/types.ts";
import { startLog } from "./supervisor/log.ts";
import { type HostTun, MESSAGES_FORM } from "./supervisor/messages.ts";
import { type FromMembership, type HeartbeatNetwork, type ToMembership } from "./thread_messages.ts";
import { type Order } from "./wire/heartbeat.ts";
import { within } from "./control/within.ts";
import { VERSION } from "./version.ts";

/** For notifications of a node's end: whoever does not take them by then hears it from another node. */
const LAST_NOTICES_MS_MAX = 2_000;

/** How the daemon is started. */
export interface DaemonOptions {
  /** Checked against this host already. */
  config: FarmConfig;
  /** Reads and checks the file again, and tells its problems; undefined if there is an error. */
  reread(): Promise<FarmConfig | undefined>;
  node: string;
  runtimeDir: string;
  supervisor: SupervisorLink;
  /** Go on in the place of another process of this node, which runs beside. */
  takeOver: boolean;
}

/** Runs the daemon until its supervisor ends it; returns the exit code. Throws VipfarmError when it cannot start. */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  await startLog();
  await using resources = new AsyncDisposableStack();
  const daemon = new Daemon(options, resources);
  await daemon.start();
  return await daemon.untilStopped();
}

class Daemon {
  readonly #reloader: Reloader;
  readonly #node: NodeConfig;
  readonly #events = new EventLog();
  readonly #log = new LogSwitch();
  readonly #ticker = new Ticker();
  readonly #claims: SharedClaims;
  readonly #prefilter: OptionalPrefilter;
  readonly #dataplanes: PacketThread[] = [];
  readonly #drain: Drain;
  readonly #notifier: Notifier;
  readonly #settings: Settings;
  readonly #state: NodeState;
  readonly #orders: Orders;
  readonly #replacement: Replacement;
  readonly #failed = Promise.withResolvers<number>();
  readonly #started = Promise.withResolvers<void>();
  readonly #handedOver = Promise.withResolvers<void>();
  readonly #finished = Promise.withResolvers<void>();
  readonly #stop = Promise.withResolvers<void>();
  readonly #hurry = Promise.withResolvers<void>();
  readonly #replaced = Promise.withResolvers<number>();
  #stops = 0;
  #incarnation = 0;
  #members: readonly string[] = [];
  #farm!: Farm;
  #connections!: Connections;
  #membership!: Thread<ToMembership, FromMembership>;

  constructor(readonly options: DaemonOptions, readonly resources: AsyncDisposableStack) {
    this.#node = forNode(options.config, options.node);
    this.resources.defer(() => this.#ticker.close());
    // First: what follows may have something to tell.
    this.#notifier = openNotifier(options.config, this.#node.name, (event) => this.#record(event), resources);
    const tableCount = options.config.services.length + 1;
    this.#prefilter = new OptionalPrefilter(tableCount, (event) => this.#record(event));
    this.#claims = SharedClaims.create(tableCount, boottimeMs32(), this.#prefilter.claims);
    this.resources.defer(() => this.#prefilter.close());
    this.#drain = new Drain({
      claims: this.#claims,
      dataplanes: this.#dataplanes,
      connections: () => this.#connections,
      prefilter: this.#prefilter,
      services: options.config.services.length,
      tell: (lossCount, held) => this.#membership.send({ kind: "connections", lossCount, held }),
      onFailure: (error) => this.#fail(error),
    });
    const announce = (announcement: Announcement) =>
      this.#membership.send({ kind: "settings", ...announcement });
    this.#settings = new Settings(options.config, this.#node.name, announce);
    this.#state = this.#openNodeState();
    this.#reloader = new Reloader(options.config, {
      reread: options.reread,
      takers: [
        (config) => this.#state.configure(config),
        ({ notify }) => this.#notifier.configure(notify),
      ],
      record: (event) => this.#record(event),
    });
    this.#orders = new Orders(this.#node.name, (order) => this.#membership.send({ kind: "order", order }));
    this.#replacement = new Replacement({
      supervisor: options.supervisor,
      claims: this.#claims,
      dataplanes: this.#dataplanes,
      settings: this.#settings,
      state: this.#state,
      drain: this.#drain,
      connections: () => this.#connections,
      membership: () => this.#membership,
      membershipEnded: this.#finished.promise,
      identity: () => identityOf(this.#config, this.#node.name),
      tellIncarnation: (incarnation) => this.#tellIncarnation(incarnation),
      replaced: () => this.#replaced.resolve(EXIT.done),
      onFailure: (error) => this.#fail(error),
    });
  }

  get #config(): FarmConfig {
    return this.#reloader.config;
  }

  #openNodeState(): NodeState {
    return new NodeState({
      ...this.options,
      node: this.#node,
      settings: this.#settings,
      ticker: this.#ticker,
      members: () => this.#farm.members.filter(({ state }) => state !== "dead").length,
      drained: (deadlineMs, calledOff) => this.#drain.drained(deadlineMs, calledOff),
      changed: () => this.#membership.send({ kind: "report", ...this.#farm.announcement(), urgent: true }),
      record: (event) => this.#record(event),
      onFailure: (error) => this.#fail(error),
    }, this.resources);
  }

  async start(): Promise<void> {
    const { config, supervisor, takeOver } = this.options;
    supervisor.on("stop", () => this.#askedToStop());
    supervisor.on("record", ({ event }) => this.#notifier.take(this.#events.record(event)));
    const keys = deriveKeys(await readSecret(config.secretFile), config.farm);
    const vips = planVips(this.#node);
    this.#connections = new Connections(
      vips,
      planServices(config.services, vips),
      keys.flowKey,
      this.#claims,
      () => this.#dataplanes.flatMap(({ flows }) => flows ?? []),
    );
    this.resources.defer(() => this.#connections.close());
    const { networks, warnings } = hostNetworks(config.heartbeat, this.#node.heartbeatInterfaces);
    for (const message of warnings) this.#record({ severity: "warning", kind: "heartbeat.peers", message });
    supervisor.tell({
      say: "hello",
      form: MESSAGES_FORM,
      version: VERSION,
      plan: planHost(this.#node),
      goodbye: planGoodbye(config, this.#node.name, keys, networks),
    });
    const { tuns, incarnationMin, members, isRestart } = await supervisor.once("go");
    // Whoever starts a node is told, and while a program runs it goes on with what it has. After a crash the node must serve.
    if (!isRestart) await readAdminFiles(config.admin);
    this.#incarnation = Math.max(Math.floor(realtimeMs()), incarnationMin);
    if (takeOver) this.#claims.setWindow("none");
    await Promise.all([
      // Not after a crash: the others keep its connections, for a while.
      !takeOver && !isRestart && lookAround(config, this.#node),
      ...tuns.map((tun) => this.#startDataplane(tun, keys.flowKey)),
    ]);
    this.#farm = new Farm({
      config: () => this.#reloader.config,
      refusedFile: () => this.#reloader.refused,
      node: this.#node,
      keys,
      events: this.#events,
      claims: this.#claims,
      dataplanes: this.#dataplanes,
      connections: this.#connections,
      log: this.#log,
      order: (node, verb, value) => this.#orders.give(node, verb, value),
      application: () => this.#state.application,
      health: () => this.#state.health,
      retained: () => this.#drain.retainedGroups === 0 ? 0 : this.#connections.retained,
      now32: boottimeMs32,
      nowMs: boottimeMs,
    });
    await this.#startMembership(keys, networks, members);
    if (takeOver) await this.#replacement.takeOver();
    this.#state.start();
    supervisor.on("reload", () => void this.#reloader.reload());
    if (takeOver) void this.#reloader.catchUp();
    this.#replacement.permit();
    this.resources.defer(this.#ticker.onTick(() => this.#everySecond()));
    const adminParts = {
      farm: this.#farm,
      admin: config.admin,
      runtimeDir: this.options.runtimeDir,
      ticker: this.#ticker,
      record: (event: FarmEventInit) => this.#record(event),
      debug: (text: string) => this.#log.debug(text),
    };
    const admin = takeOver || isRestart
      ? await EnduringAdminEndpoint.open(adminParts)
      : await openAdminEndpoint(adminParts);
    this.resources.defer(() => admin.close());
    supervisor.tell({ say: "ready" });
    if (takeOver) return;
    this.#record({
      severity: "info",
      kind: "node.started",
      message: `${this.#node.name} runs in farm ${config.farm} with ${
        this.#node.virtualIps.map(({ address }) => address.text).join(", ")
      }.`,
      node: this.#node.name,
    });
  }

  /** Tells the other nodes, and the supervisor, how this one is. */
  #everySecond(): void {
    const members = this.#farm.sample(Date.now());
    this.#membership.send({ kind: "report", ...this.#farm.announcement() });
    this.options.supervisor.tell({
      say: "progress",
      threads: threadProgress(this.#dataplanes, this.#claims),
      joined: hasJoined(members),
      line: statusLine(members),
    });
    this.#lookAtInterfaces();
    this.#prefilter.watch();
  }

  /** Waits until the supervisor ends this, or a failure does, and leaves the farm in order. Returns the exit code. */
  async untilStopped(): Promise<number> {
    const end = await Promise.race([this.#stop.promise, this.#failed.promise, this.#replaced.promise]);
    if (end !== undefined) return end;
    await this.#leave(this.#hurry.promise);
    return EXIT.done;
  }

  #askedToStop(): void {
    if (++this.#stops > 1) this.#hurry.resolve();
    this.#stop.resolve();
  }

  #tellIncarnation(incarnation: number): void {
    this.#incarnation = incarnation;
    this.options.supervisor.tell({ say: "incarnation", incarnation });
  }

  /**
   * Gives every bucket up, lets requests under way end, says goodbye. A second signal (`hurry`) ends the waiting.
   */
  async #leave(hurry: Promise<void>): Promise<void> {
    this.options.supervisor.tell({ say: "leaving", withinMs: leaveMsMax(this.#config) });
    this.#record({ severity: "info", kind: "node.stopping", message: `${this.#node.name} leaves the farm.` });
    this.#membership.send({ kind: "leave" });
    await within(this.#handedOver.promise, STOP_STEP_MS_MAX);
    const lingerMs = Math.max(this.#config.drainOnStopMs, STOP_LINGER_MS);
    await within(Promise.race([hurry, this.#drain.connectionsEnded(boottimeMs() + lingerMs)]), lingerMs);
    // Connections that are open still want their packets while the application stops.
    await this.#state.leave(hurry);
    this.#membership.send({ kind: "goodbye" });
    await within(this.#finished.promise, STOP_STEP_MS_MAX);
    this.options.supervisor.tell({ say: "goodbye" });
    this.#stopDataplanes();
    await within(Promise.all(this.#dataplanes.map(({ ended }) => ended.promise)), STOP_STEP_MS_MAX);
    const open = this.#connections.count;
    this.#record({
      severity: open > 0 ? "warning" : "info",
      kind: "node.stopped",
      message: open > 0
        ? `${this.#node.name} has left the farm; ${open} open connection${
          open === 1 ? " was" : "s were"
        } cut.`
        : `${this.#node.name} has left the farm.`,
    });
    await within(this.#notifier.tried(), LAST_NOTICES_MS_MAX);
  }

  async #startDataplane({ interface: interfaceName, tun }: HostTun, flowKey: Uint8Array): Promise<void> {
    const dataplane = new PacketThread({
      interface: interfaceName,
      node: this.#node,
      config: this.#config,
      tun: this.resources.use(TunDevice.open(tun, { shared: true })),
      flowKey,
      claims: this.#claims,
      prefilter: this.#prefilter,
      onFailure: (error) => this.#fail(error, dataplane.ready),
    });
    this.resources.defer(() => dataplane.thread.close());
    this.#dataplanes.push(dataplane);
    await dataplane.ready.promise;
  }

  async #startMembership(
    keys: ReturnType<typeof deriveKeys>,
    networks: HeartbeatNetwork[],
    members: readonly string[],
  ): Promise<void> {
    const { heartbeat, services, servicesDigest } = this.#config;
    const { takeOver } = this.options;
    // Nobody must be able to hear of an incarnation that the supervisor does not know.
    if (!takeOver) this.#tellIncarnation(this.#incarnation);
    this.#membership = this.resources.adopt(
      new Thread<ToMembership, FromMembership>(
        entryPoint("membership.worker"),
        "membership",
        (message) => this.#fromMembership(message),
        (error) => this.#fail(error, this.#started),
      ),
      (thread) => thread.close(),
    );
    this.resources.defer(() => this.#drain.close());
    this.#membership.start({
      kind: "start",
      plan: {
        name: this.#node.name,
        incarnation: this.#incarnation,
        intervalMs: heartbeat.intervalMs,
        ...this.#settings.announcement,
        servicesDigest,
        quorum: planQuorum(this.#config),
        port: heartbeat.port,
        networks,
        members,
        keys,
        wakeDescriptor: this.#membership.wake.fd,
        tables: planTables(services),
        virtualIps: this.#node.virtualIps.map(({ address, mode }) => ({ address: address.text, mode })),
        claims: this.#claims.buffer,
        held: takeOver ? [] : this.#connections.look(),
        standby: takeOver,
        kernelClaimsDescriptor: this.#prefilter.claimsDescriptor,
      },
    });
    await this.#started.promise;
  }

  #fromMembership(message: FromMembership): void {
    switch (message.kind) {
      case "ready":
        return this.#started.resolve();
      case "failed":
        return this.#fail(new VipfarmError(message.failure), this.#started);
      case "saved":
      case "rehearsed":
      case "restored":
        return this.#replacement.hear(message);
      case "view":
        this.#noteMembers(message.members);
        this.#farm.update(message.members, message.basis);
        return this.#state.viewChanged(message.basis);
      case "event":
        return this.#record(message.event);
      case "order":
        return void this.#obey(message.order);
      case "orderResult":
        return this.#orders.settle(message);
      case "lost":
        return this.#drain.look(message.lossCount);
      case "retained":
        return this.#drain.retained(message.groups);
      case "counters":
        return this.#farm.updateTotals(message.counters);
      case "networks":
        return this.#farm.updateNetworks(message);
      case "handedOver":
        return this.#handedOver.resolve();
      case "finished":
        return this.#finished.resolve();
    }
  }

  async #obey(order: Order): Promise<void> {
    const { id, verb, value } = order;
    try {
      const { code, text } = verb === "reload"
        ? await this.#reloader.reload()
        : this.#state.obey(verb, value);
      this.#membership.send({ kind: "answer", id, code, text });
    } catch (error) {
      const text = messageOf(error);
      this.#membership.send({ kind: "answer", id, code: "failed", text });
    }
  }

  /** Tells the supervisor what it needs when this process crashes, or is replaced. */
  #noteMembers(members: readonly MemberView[]): void {
    // It changes when the node doubts itself.
    const incarnation = members.find(({ self }) => self)?.incarnation ?? this.#incarnation;
    if (incarnation > this.#incarnation) this.#tellIncarnation(incarnation);
    const names = members.map(({ name }) => name);
    if (names.join() === this.#members.join()) return;
    this.#members = names;
    this.options.supervisor.tell({ say: "members", names });
  }

  #record(event: FarmEventInit): void {
    const kept = this.#events.record(event);
    this.#log.event(kept);
    this.#notifier.take(kept);
  }

  /** Sockets on an interface that was removed stay deaf, even when it comes back: a new process opens new ones. */
  #lookAtInterfaces(): void {
    if (this.#claims.stopRequested) return;
    const loss = this.#dataplanes.map((dataplane) => dataplane.interfaceLoss()).find(Boolean);
    if (loss !== undefined) this.#fail(new Error(loss));
  }

  #stopDataplanes(): void {
    this.#claims.silence(boottimeMs32());
    this.#claims.requestStop();
    for (const { thread } of this.#dataplanes) thread.wake.signal();
  }

  /** What this process needs is gone: it must not go on answering, and ends. */
  #fail(error: Error, waiting?: { reject(reason: Error): void }): void {
    this.#stopDataplanes();
    this.#record({
      severity: "error",
      kind: "node.failed",
      message: `${this.#node.name} stops: ${error.message}`,
    });
    waiting?.reject(error);
    this.#failed.resolve(EXIT.no);
  }
}
