/**
 * The membership thread, put together: heartbeat sockets in and out, the state machine of `membership/` between,
 * claims and lease straight into shared memory. It sleeps in poll(2), and nothing that the control thread does
 * (garbage collection, admin requests) delays it.
 */
import { boottimeMs, realtimeMs } from "../ffi/clock.ts";
import { type EchoSocket } from "../ffi/echo_socket.ts";
import { EventFd } from "../ffi/eventfd.ts";
import { hasCarrier } from "../ffi/interface.ts";
import { POLLIN, PollSet } from "../ffi/poll.ts";
import { setRealtimePriority, setTimerSlackNs } from "../ffi/scheduling.ts";
import { BATCH_MAX, type UdpSocket } from "../ffi/udp_socket.ts";
import { addressFromBytes } from "./core/address.ts";
import { VipfarmError } from "./core/errors.ts";
import { REALTIME_PRIORITY } from "./core/limits.ts";
import { ClaimsPublisher } from "./dataplane/claims_publisher.ts";
import { ClaimsTrace } from "./dataplane/claims_trace.ts";
import { mapKernelClaims } from "./dataplane/prefilter.ts";
import { SharedClaims } from "./dataplane/shared.ts";
import { type HeartbeatSocket, openSockets, openWitness } from "./heartbeat_sockets.ts";
import { LanTest } from "./membership/lan.ts";
import { Membership } from "./membership/membership.ts";
import { NetworkWatch } from "./membership/networks.ts";
import { ReplayWindow } from "./membership/replay.ts";
import { REPLACEMENT_HOLD_MS } from "./membership/timing.ts";
import { type Effect } from "./membership/types.ts";
import { SipHasher } from "./ownership/siphash.ts";
import {
  type FromMembership,
  type HeartbeatTotals,
  type HeldConnections,
  type MembershipPlan,
  type ToMembership,
} from "./thread_messages.ts";
import { HeartbeatCodec, REJECT_REASONS, type RejectReason } from "./wire/heartbeat.ts";

/**
 * Datagrams read between two looks at the clock. A flood is worked off in slices, so that heartbeats leave on time
 * however many forgeries wait.
 */
const BATCHES_PER_TURN = 8;
/** How often the control thread gets fresh totals. */
const COUNTERS_INTERVAL_MS = 1_000;

const post = (message: FromMembership) => self.postMessage(message);

class MembershipThread {
  readonly #plan: MembershipPlan;
  readonly #codec: HeartbeatCodec;
  readonly #replay = new ReplayWindow();
  readonly #membership: Membership;
  readonly #publisher: ClaimsPublisher;
  readonly #claims: SharedClaims;
  readonly #wake: EventFd;
  #sockets: HeartbeatSocket[] = [];
  #networks!: NetworkWatch;
  /** Is asked along with every heartbeat, if the quorum has a witness. */
  #witness: EchoSocket | undefined;
  #poll!: PollSet;
  readonly #lan: LanTest;
  readonly #trace = ClaimsTrace.open();
  readonly #inbox: ToMembership[] = [];
  #messagesSeen = 0;
  #messagesSignalled = 0;
  #finished = false;
  /** Another process of this node is about to go on from here. */
  #frozen = false;
  /** Came while frozen. */
  readonly #kept: ToMembership[] = [];
  #unprepared: readonly string[] = [];
  #refused = Object.fromEntries(REJECT_REASONS.map((reason) => [reason, 0])) as Record<RejectReason, number>;
  #totals = { sent: 0, sendErrors: 0, received: 0 };
  #latenessMsMax = 0;
  #countersDueMs = 0;

  constructor(plan: MembershipPlan) {
    this.#plan = plan;
    this.#lan = new LanTest(plan.virtualIps, plan.intervalMs);
    this.#codec = new HeartbeatCodec({
      farmTag: plan.keys.farmTag,
      heartbeatKey: plan.keys.heartbeatKey,
      headerHash: new SipHasher(plan.keys.headerKey),
    });
    const kernel = plan.kernelClaimsDescriptor === undefined
      ? undefined
      : mapKernelClaims(plan.kernelClaimsDescriptor, plan.tables.length);
    this.#claims = new SharedClaims(plan.claims, kernel);
    if (plan.standby) kernel?.hold();
    this.#publisher = new ClaimsPublisher(plan.keys.rendezvousKey, this.#claims, plan.tables, realtimeMs);
    // First of all: these connections have waited since this node's program ended.
    this.#publisher.keep(plan.retain);
    this.#retain(plan.held);
    // Compiled and cached before the first heartbeat, not in the middle of the first change.
    this.#publisher.warmUp(plan.name);
    for (const name of plan.members) this.#publisher.prepare(name);
    this.#wake = EventFd.adopt(plan.wakeDescriptor);
    this.#trace?.write({ kind: "start", atMs: boottimeMs(), node: plan.name });
    if (!plan.standby) this.#open();
    this.#membership = new Membership({ ...plan, nowMs: boottimeMs() });
    this.#announceHeld();
  }

  #open(plan = this.#plan): void {
    this.#sockets = openSockets(plan, (event) => post({ kind: "event", event }));
    this.#witness = openWitness(plan);
    this.#networks = new NetworkWatch(this.#sockets, this.#plan.intervalMs);
    this.#poll = new PollSet([
      { fd: this.#wake.fd, events: POLLIN },
      ...this.#sockets.map(({ socket }) => ({ fd: socket.fd, events: POLLIN })),
      ...(this.#witness === undefined ? [] : [{ fd: this.#witness.fd, events: POLLIN }]),
    ]);
  }

  #close(): void {
    for (const { socket } of this.#sockets) socket.close();
    this.#sockets = [];
    this.#witness?.close();
    this.#witness = undefined;
  }

  /** A hold is for what a crashed node's kernel keeps, TCP connections: of UDP flows nothing is left. */
  #contested(membership: Membership, table: number): Uint8Array | undefined {
    const { keepsConnections, flows } = this.#plan.tables[table];
    return membership.retainedByOthers(table, keepsConnections && flows !== true);
  }

  /** Connections from before this program was started. */
  #retain(held: readonly HeldConnections[]): void {
    for (const { table, buckets } of held) this.#publisher.retain(table, buckets);
  }

  /** Tells the others of them before anything else. */
  #announceHeld(): void {
    this.#announceRetained(this.#plan.tables.map((_, table) => table));
    if (this.#retainedGroupCount() > 0) post({ kind: "lost", lossCount: this.#publisher.lossCount });
  }

  #save(ask: number): void {
    const isFrozen = this.#frozen;
    post({ kind: "saved", ask, membership: this.#membership.save(), senders: this.#replay.save(), isFrozen });
  }

  /** Everything that `restore` and `begin` will run, on a membership of its own: what runs for the first time is slow. */
  rehearse({ membership: saved, held }: Extract<ToMembership, { kind: "rehearse" }>): void {
    const membership = new Membership({ ...this.#plan, nowMs: boottimeMs() });
    membership.restore(saved);
    membership.takeEffects();
    this.#publisher.publish(membership.basis(), (table) => this.#contested(membership, table));
    this.#retain(held);
    const heartbeat = membership.heartbeat(boottimeMs(), realtimeMs());
    this.#codec.decode(this.#codec.encode(heartbeat), new ReplayWindow());
    // On any port: the other process still has the farm's, and by unicast that is one socket's alone.
    this.#open({ ...this.#plan, port: 0 });
    this.#close();
    post({ kind: "rehearsed" });
  }

  /** Claims and lease as the other process of this node has them; nothing is sent or received yet. */
  restore({ membership, senders }: Extract<ToMembership, { kind: "restore" }>): void {
    this.#replay.restore(senders);
    this.#membership.restore(membership);
    this.#carryOut();
    post({ kind: "restored" });
  }

  /** The other process has stopped: takes part from here on. */
  begin({ weights, draining, retain }: Extract<ToMembership, { kind: "begin" }>): Promise<void> {
    this.#claims.kernel?.release(true);
    this.#open();
    this.#publisher.keep(retain);
    // What the rehearsal found is retained; what was lost since then became so by the publication.
    this.#announceHeld();
    this.#membership.setSettings(weights, { draining }, boottimeMs());
    return this.run();
  }

  /** A message of the control thread arrived; `run` carries it out when its signal has been read too. */
  deliver(message: ToMembership): void {
    this.#messagesSeen++;
    this.#inbox.push(message);
  }

  async run(): Promise<void> {
    setTimerSlackNs(1);
    setRealtimePriority(REALTIME_PRIORITY);
    post({ kind: "ready" });
    let backlog = false;
    while (!this.#finished) {
      this.#claims.noteTurn();
      if (this.#frozen) {
        await this.#waitForThaw();
        continue;
      }
      this.#carryOut();
      const dueMs = this.#membership.nextTickMs();
      this.#poll.wait(backlog ? 0 : Math.max(0, dueMs - boottimeMs()));
      // The first heartbeat is due at once, which is late by no measure.
      if (Number.isFinite(dueMs)) this.#latenessMsMax = Math.max(this.#latenessMsMax, boottimeMs() - dueMs);
      backlog = this.#receive();
      this.#prepareOne();
      await this.#takeMessages();
      if (this.#frozen) continue;
      this.#membership.tick(boottimeMs(), realtimeMs());
      this.#carryOut();
      this.#reportCounters();
    }
    this.#claims.endTurns();
    this.#close();
    post({ kind: "finished" });
  }

  async #waitForThaw(): Promise<void> {
    new PollSet([{ fd: this.#wake.fd, events: POLLIN }]).wait(COUNTERS_INTERVAL_MS);
    await this.#takeMessages();
  }

  /** Reads what waits on the sockets, at most a slice of it. True when there may be more. */
  #receive(): boolean {
    let more = false;
    const answeredMs = this.#witness?.answeredMs();
    if (answeredMs !== undefined) this.#membership.witnessAnswered(answeredMs, boottimeMs());
    for (const [network, { socket }] of this.#sockets.entries()) {
      for (let batch = 0; batch < BATCHES_PER_TURN; batch++) {
        const count = socket.receiveBatch();
        for (let i = 0; i < count; i++) this.#receiveOne(socket, i, network);
        if (count < BATCH_MAX) break;
        if (batch === BATCHES_PER_TURN - 1) more = true;
      }
    }
    return more;
  }

  #receiveOne(socket: UdpSocket, index: number, network: number): void {
    const bytes = socket.message(index);
    const message = this.#codec.decode(bytes, this.#replay);
    if (typeof message === "string") {
      this.#refused[message]++;
      if (message === "version") return this.#hearOtherVersion(bytes);
      if (message !== "duplicate" && message !== "replayed") return;
      const sender = this.#replay.recentSender(bytes);
      if (sender !== undefined) this.#networks.heard(network, sender, boottimeMs());
      const stale = message === "replayed" ? this.#replay.staleSender(bytes) : undefined;
      if (stale !== undefined) this.#membership.staleHeard(stale, boottimeMs());
      return;
    }
    this.#totals.received++;
    this.#replay.accept(this.#codec, message);
    if (message.sender !== this.#plan.name) this.#networks.heard(network, message.sender, boottimeMs());
    const from = addressFromBytes(socket.sourceAddress(index).slice()).text;
    this.#membership.receive(message, boottimeMs(), realtimeMs(), from);
    this.#carryOut();
  }

  #hearOtherVersion(bytes: Uint8Array): void {
    const what = this.#codec.decodeOtherVersion(bytes, this.#replay);
    if (what === undefined) return;
    this.#replay.accept(this.#codec, what);
    this.#membership.otherVersionHeard(what, boottimeMs(), realtimeMs());
    this.#carryOut();
  }

  /** Lets the messages arrive that were signalled: they come by the event loop, which poll(2) keeps from turning. */
  async #takeMessages(): Promise<void> {
    this.#messagesSignalled += this.#wake.read();
    while (this.#messagesSeen < this.#messagesSignalled) await new Promise((turn) => setTimeout(turn, 0));
    for (let message; (message = this.#inbox.shift()) !== undefined;) {
      if (this.#frozen && message.kind !== "thaw" && message.kind !== "end") this.#kept.push(message);
      else this.#obey(message);
    }
  }

  #obey(message: ToMembership): void {
    const membership = this.#membership;
    const nowMs = boottimeMs();
    switch (message.kind) {
      case "settings":
        this.#announceRetained(this.#publisher.keep(message.retain));
        return membership.setSettings(message.weights, { draining: message.draining }, nowMs);
      case "report":
        membership.setLan(message.vipFramesSeen, message.vipReach);
        return membership.setReport(message.text, message.urgent ?? false, nowMs);
      case "order":
        return membership.issueOrder(message.order, nowMs);
      case "answer":
        return membership.answerOrder(message.id, message.code, message.text, nowMs);
      case "connections":
        return this.#prune(message.lossCount, message.held);
      case "freeze":
        // From here on every frame is in a ring, where one moment divides them between two processes.
        this.#claims.kernel?.hold();
        this.#carryOut();
        membership.askForHold(REPLACEMENT_HOLD_MS);
        this.#send(); // the others count the time that follows from here
        this.#carryOut();
        this.#frozen = true;
        this.#close();
        return this.#save(message.ask);
      case "save":
        return this.#save(message.ask);
      case "thaw":
        this.#frozen = false;
        membership.askForHold(0);
        this.#claims.kernel?.release(false);
        this.#open();
        this.#inbox.unshift(...this.#kept.splice(0)); // before what came since: the newest settings count
        return;
      case "end":
        this.#finished = true;
        return;
      case "leave":
        return membership.leave(nowMs);
      case "goodbye":
        return membership.goodbye(nowMs);
    }
  }

  /** Carries out, in order, what the state machine wants done. */
  #carryOut(): void {
    for (let effects; (effects = this.#membership.takeEffects()).length > 0;) {
      for (const effect of effects) this.#carryOutOne(effect);
    }
  }

  #carryOutOne(effect: Effect): void {
    const membership = this.#membership;
    switch (effect.kind) {
      case "claims": {
        const basis = membership.basis(), fromMs = boottimeMs();
        const lost = this.#publisher.publish(basis, (table) => this.#contested(membership, table));
        this.#trace?.write({ kind: "claims", fromMs, toMs: boottimeMs(), basis });
        this.#announceRetained(lost);
        if (lost.length > 0) post({ kind: "lost", lossCount: this.#publisher.lossCount });
        return;
      }
      case "lease":
        if (effect.deadlineMs !== 0) this.#publisher.renewLease(effect.deadlineMs | 0, boottimeMs() | 0);
        else this.#claims.silence(boottimeMs() | 0);
        this.#trace?.write({ kind: "lease", atMs: boottimeMs(), deadlineMs: effect.deadlineMs });
        if (effect.deadlineMs !== 0) return;
        return this.#announceRetained(this.#publisher.releaseFlows());
      case "send":
        return this.#send();
      case "retained":
        return this.#publisher.publishContested(
          (table) => this.#contested(membership, table),
          effect.gone,
        );
      case "event":
        return post({ kind: "event", event: effect.event });
      case "view": {
        const members = membership.view(boottimeMs());
        this.#unprepared = members.map(({ name }) => name);
        return post({ kind: "view", members, basis: membership.basis() });
      }
      case "order":
        return post({ kind: "order", order: effect.order });
      case "orderResult":
        return post(effect);
      case "handedOver":
        return post({ kind: "handedOver" });
      case "finished":
        this.#finished = true;
        return;
    }
  }

  /** One column a turn: a joiner's is ready when it gets a share, and no turn takes long. */
  #prepareOne(): void {
    const name = this.#unprepared.find((each) => !this.#publisher.prepared(each));
    if (name === undefined) this.#unprepared = [];
    else this.#publisher.prepare(name);
  }

  #send(): void {
    const startedMs = boottimeMs();
    const bytes = this.#codec.encode(this.#membership.heartbeat(startedMs, realtimeMs()));
    let sent = false;
    for (const [network, { interface: name, socket, targets }] of this.#sockets.entries()) {
      const carrier = hasCarrier(name);
      let sentHere = false;
      for (const target of targets) {
        // Without a carrier the kernel takes it, too, and drops it: nobody hears this node, nor does any client.
        if (socket.sendTo(bytes, target, this.#plan.port) && carrier) sentHere = true;
        else this.#totals.sendErrors++;
      }
      this.#networks.sent(network, sentHere);
      sent ||= sentHere;
    }
    this.#totals.sent++;
    this.#membership.sent(sent, startedMs, boottimeMs());
    this.#witness?.ask(startedMs);
  }

  #announceRetained(tables: readonly number[]): void {
    const nowMs = boottimeMs();
    for (const table of tables) {
      this.#membership.setRetained(table, this.#publisher.retainedGroups(table), nowMs);
    }
  }

  #prune(lossCount: number, held: readonly HeldConnections[]): void {
    const nowMs = boottimeMs();
    const pruned = held.filter(({ table, buckets }) =>
      this.#publisher.prune(table, buckets, lossCount, nowMs | 0)
    );
    this.#announceRetained(pruned.map(({ table }) => table));
    // Not pruned: buckets were lost meanwhile, and "lost" has asked for another look already.
    if (pruned.length > 0) post({ kind: "retained", groups: this.#retainedGroupCount() });
  }

  #retainedGroupCount(): number {
    let groups = 0;
    for (let table = 0; table < this.#plan.tables.length; table++) {
      for (const byte of this.#publisher.retainedGroups(table, true) ?? []) {
        for (let bits = byte; bits !== 0; bits &= bits - 1) groups++;
      }
    }
    return groups;
  }

  #reportCounters(): void {
    const nowMs = boottimeMs();
    if (nowMs < this.#countersDueMs) return;
    this.#countersDueMs = nowMs + COUNTERS_INTERVAL_MS;
    const counters: HeartbeatTotals = {
      ...this.#totals,
      refused: { ...this.#refused },
      membership: { ...this.#membership.counters },
      lost: this.#replay.lost(),
      latenessMsMax: this.#latenessMsMax,
    };
    this.#latenessMsMax = 0;
    post({ kind: "counters", counters });
    this.#publisher.expireMarks();
    this.#reportNetworks(nowMs);
  }

  /** Which network delivers whose heartbeats, and whom frames for the virtual IPs reach, among those alive. */
  #reportNetworks(nowMs: number): void {
    const alive = this.#membership.view(nowMs).filter(({ state }) => state !== "dead" && state !== "suspect");
    const others = alive.filter(({ self }) => !self).map(({ name }) => name);
    // Nodes with other virtual IPs see other frames.
    const frames = alive.filter(({ servicesDigest }) => servicesDigest === this.#plan.servicesDigest)
      .map(({ name, vipFramesSeen: frames, vipReach: reach }) => ({ name, frames, reach }));
    const events = [...this.#networks.check(others, nowMs), ...this.#lan.sample(frames)];
    for (const event of events) post({ kind: "event", event });
    const { finding } = this.#lan;
    post({ kind: "networks", atMs: nowMs, networks: this.#networks.report(), frames, finding });
  }
}

let thread: MembershipThread | undefined;
self.onmessage = ({ data }: MessageEvent<ToMembership>) => {
  switch (data.kind) {
    case "start":
      try {
        thread = new MembershipThread(data.plan);
      } catch (error) {
        if (!(error instanceof VipfarmError)) throw error;
        const { operation, problem, value, remedy, exitCode } = error;
        return post({ kind: "failed", failure: { operation, problem, value, remedy, exitCode } });
      }
      if (data.plan.standby) post({ kind: "ready" });
      else thread.run();
      return;
    case "rehearse":
      return thread?.rehearse(data);
    case "restore":
      return thread?.restore(data);
    case "begin":
      return void thread?.begin(data);
    default:
      return thread?.deliver(data);
  }
};
