/**
 * What Prometheus reads. Names are stable, begin with `vipfarm_` and end in their unit; everything is read from
 * the source at the moment of the scrape, so that nothing is counted twice or kept in step by hand.
 */

import { Counter, Gauge, Registry } from "prom-client";
import { MEMBER_STATES } from "./schemas.ts";
import type { FarmSource } from "./source.ts";

/** The metrics of one admin app, in a registry of their own. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #requests: Counter<"method" | "route" | "status">;

  /** `openStreams` tells how many event streams are open. */
  constructor(source: FarmSource, openStreams: () => number) {
    this.#requests = new Counter({
      name: "vipfarm_admin_requests_total",
      help: "Requests that the admin endpoint answered.",
      labelNames: ["method", "route", "status"],
      registers: [this.#registry],
    });
    this.#farm(source);
    this.#datapath(source);
    this.#heartbeats(source);
    this.#networks(source);
    this.#membership(source);
    this.#daemon(source, openStreams);
  }

  /** Counts an answered request; `route` is the pattern, never the path, so that the labels stay few. */
  countRequest(method: string, route: string, status: number): void {
    this.#requests.inc({ method, route, status: String(status) });
  }

  /** The text exposition format. */
  async text(): Promise<{ body: string; contentType: string }> {
    return { body: await this.#registry.metrics(), contentType: this.#registry.contentType };
  }

  /** A value that can fall, read anew at every scrape. */
  #gauge(name: string, help: string, labelNames: string[], read: (gauge: Gauge) => void): void {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        this.reset();
        read(this);
      },
    });
  }

  /** A total that another thread keeps: set, not incremented. */
  #total(name: string, help: string, labelNames: string[], read: (counter: Counter) => void): void {
    new Counter({
      name,
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        this.reset();
        read(this);
      },
    });
  }

  #farm(source: FarmSource): void {
    this.#gauge(
      "vipfarm_build_info",
      "Always 1; the labels name the version, the farm and the node.",
      ["version", "farm", "node"],
      (gauge) => {
        const { version, farm, node } = source.farm();
        gauge.set({ version, farm, node }, 1);
      },
    );
    this.#gauge(
      "vipfarm_ready",
      "1 while this node takes new flows, else 0.",
      [],
      (gauge) => gauge.set(source.ready().ready ? 1 : 0),
    );
    this.#gauge("vipfarm_members", "Members by state.", ["state"], (gauge) => {
      const members = source.farm().members;
      for (const state of MEMBER_STATES) {
        gauge.set({ state }, members.filter((member) => member.state === state).length);
      }
    });
    this.#gauge(
      "vipfarm_member_state",
      "1 for the state that the member is in.",
      ["member", "state"],
      (gauge) => {
        for (const { name, state } of source.farm().members) gauge.set({ member: name, state }, 1);
      },
    );
    this.#gauge(
      "vipfarm_member_weight",
      "Effective weight of the member in the service.",
      ["member", "service"],
      (gauge) => {
        for (const { name, weights } of source.farm().members) {
          for (const [service, weight] of Object.entries(weights)) {
            gauge.set({ member: name, service }, weight);
          }
        }
      },
    );
    this.#gauge(
      "vipfarm_member_share_ratio",
      "Fraction of new flows of the service that is meant for the member.",
      ["member", "service"],
      (gauge) => {
        for (const { name, shares } of source.farm().members) {
          for (const [service, share] of Object.entries(shares)) gauge.set({ member: name, service }, share);
        }
      },
    );
    this.#gauge(
      "vipfarm_claimed_ratio",
      "Fraction of the buckets of the service that this node claims.",
      ["service"],
      (gauge) => {
        const claimed = source.farm().members.find((member) => member.self)?.claimed ?? {};
        for (const [service, share] of Object.entries(claimed)) gauge.set({ service }, share);
      },
    );
  }

  #datapath(source: FarmSource): void {
    this.#total(
      "vipfarm_packets_captured_total",
      "Frames taken from the capture ring; the sum of all verdicts.",
      ["interface"],
      (counter) => {
        for (const entry of source.counters()) counter.inc({ interface: entry.interface }, entry.captured);
      },
    );
    this.#total(
      "vipfarm_packets_filtered_total",
      "Packets of other nodes that the kernel dropped before they were captured; absent where it does not.",
      ["interface"],
      (counter) => {
        for (const { interface: name, filtered } of source.counters()) {
          if (filtered !== undefined) counter.inc({ interface: name }, filtered);
        }
      },
    );
    this.#total(
      "vipfarm_packets_fast_total",
      "Packets that the kernel took for this node before they were captured; absent where it does not. " +
        "With those captured and filtered they are the same on every node.",
      ["interface"],
      (counter) => {
        for (const { interface: name, fastPath } of source.counters()) {
          if (fastPath !== undefined) counter.inc({ interface: name }, fastPath);
        }
      },
    );
    this.#total(
      "vipfarm_packets_total",
      "Captured frames by what became of them.",
      ["interface", "verdict"],
      (counter) => {
        for (const entry of source.counters()) {
          for (const [verdict, count] of Object.entries(entry.verdicts)) {
            counter.inc({ interface: entry.interface, verdict }, count);
          }
        }
      },
    );
    this.#total(
      "vipfarm_ring_drops_total",
      "Frames that the kernel dropped because the capture ring was full.",
      ["interface"],
      (counter) => {
        for (const entry of source.counters()) counter.inc({ interface: entry.interface }, entry.ringDrops);
      },
    );
    this.#total(
      "vipfarm_tun_write_errors_total",
      "Accepted packets that the TUN device did not take.",
      ["interface"],
      (counter) => {
        for (const entry of source.counters()) {
          counter.inc({ interface: entry.interface }, entry.tunWriteErrors);
        }
      },
    );
  }

  #heartbeats(source: FarmSource): void {
    this.#total("vipfarm_heartbeats_sent_total", "Heartbeats that this node sent.", [], (counter) => {
      counter.inc(source.heartbeatCounters().sent);
    });
    this.#total(
      "vipfarm_heartbeat_send_errors_total",
      "Heartbeats that could not be sent.",
      [],
      (counter) => {
        counter.inc(source.heartbeatCounters().sendErrors);
      },
    );
    this.#total("vipfarm_heartbeats_received_total", "Genuine heartbeats received.", [], (counter) => {
      counter.inc(source.heartbeatCounters().received);
    });
    this.#total(
      "vipfarm_heartbeats_refused_total",
      "Datagrams on the heartbeat port that changed nothing, by reason.",
      ["reason"],
      (counter) => {
        for (const [reason, count] of Object.entries(source.heartbeatCounters().refused)) {
          counter.inc({ reason }, count);
        }
      },
    );
  }

  #networks(source: FarmSource): void {
    this.#gauge(
      "vipfarm_heartbeat_last_heard_seconds",
      "Age of the member's last heartbeat on the network, to within a second.",
      ["network", "member"],
      (gauge) => {
        for (const { network, members } of source.farm().heartbeat_networks) {
          for (const { name, last_heard_ms: ageMs } of members) {
            if (ageMs !== null) gauge.set({ network, member: name }, ageMs / 1000);
          }
        }
      },
    );
    this.#total(
      "vipfarm_member_vip_frames_total",
      "Frames for the virtual IPs that the member has seen since its start: equal rates, if the LAN delivers to all.",
      ["member"],
      (counter) => {
        for (const [member, frames] of Object.entries(source.vipFrames?.() ?? {})) {
          counter.inc({ member }, frames);
        }
      },
    );
    this.#gauge(
      "vipfarm_warnings",
      "What needs attention, by kind; status says what to do about it.",
      ["kind"],
      (gauge) => {
        for (const { kind } of source.farm().warnings) gauge.inc({ kind });
      },
    );
  }

  #membership(source: FarmSource): void {
    this.#gauge(
      "vipfarm_heartbeat_lateness_seconds",
      "Largest lateness of a heartbeat tick of this node in the last second.",
      [],
      (gauge) => gauge.set((source.heartbeatCounters().latenessMsMax ?? 0) / 1000),
    );
    const totals = [
      ["vipfarm_suspicions_total", "Times that this node suspected a member.", "suspicions"],
      ["vipfarm_deaths_total", "Times that this node took a member for dead.", "deaths"],
      ["vipfarm_silences_total", "Times that this node stopped taking new flows by itself.", "silences"],
      ["vipfarm_rejoins_total", "Times that this node doubted itself and joined anew.", "rejoins"],
      ["vipfarm_recordings_total", "Heartbeats refused because they were recorded earlier.", "recordings"],
      [
        "vipfarm_members_refused_total",
        "Heartbeats of members for whom there was no room.",
        "membersRefused",
      ],
    ] as const;
    for (const [name, help, field] of totals) {
      this.#total(name, help, [], (counter) => {
        counter.inc(source.heartbeatCounters().membership?.[field] ?? 0);
      });
    }
  }

  #daemon(source: FarmSource, openStreams: () => number): void {
    this.#total("vipfarm_events_total", "Events recorded, by severity.", ["severity"], (counter) => {
      for (const [severity, count] of Object.entries(source.events.totals)) counter.inc({ severity }, count);
    });
    this.#gauge(
      "vipfarm_admin_event_streams",
      "Event streams open now.",
      [],
      (gauge) => gauge.set(openStreams()),
    );
    this.#gauge(
      "vipfarm_process_resident_memory_bytes",
      "Resident memory of the daemon.",
      [],
      (gauge) => gauge.set(Deno.memoryUsage().rss),
    );
    this.#gauge(
      "vipfarm_process_heap_used_bytes",
      "JavaScript heap in use by the control thread.",
      [],
      (gauge) => gauge.set(Deno.memoryUsage().heapUsed),
    );
  }
}
