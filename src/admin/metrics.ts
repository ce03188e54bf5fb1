/**
 * What Prometheus reads. Names are stable, begin with `vipfarm_` and end in their unit; everything is read from
 * the source at the moment of the scrape, so that nothing is counted twice or kept in step by hand.
 */

import type { Counter } from "prom-client";
import { MetricSet } from "./metric_set.ts";
import { addNodeMetrics } from "./node_metrics.ts";
import { MEMBER_STATES } from "./schemas.ts";
import type { FarmSource } from "./source.ts";

/** The metrics of one admin app, in a registry of their own. */
export class Metrics {
  readonly #set = new MetricSet();
  readonly #requests: Counter<"method" | "route" | "status">;

  /** `openStreams` tells how many event streams are open, `loopLagMs` how late timers were. */
  constructor(source: FarmSource, openStreams: () => number, loopLagMs: () => number) {
    this.#requests = this.#set.counter(
      "vipfarm_admin_requests_total",
      "Requests that the admin endpoint answered.",
      ["method", "route", "status"],
    );
    this.#farm(source);
    this.#datapath(source);
    this.#heartbeats(source);
    this.#networks(source);
    this.#membership(source);
    this.#daemon(source, openStreams);
    addNodeMetrics(this.#set, source, loopLagMs);
  }

  /** Counts an answered request; `route` is the pattern, never the path, so that the labels stay few. */
  countRequest(method: string, route: string, status: number): void {
    this.#requests.inc({ method, route, status: String(status) });
  }

  /** The text exposition format. */
  async text(): Promise<{ body: string; contentType: string }> {
    const { registry } = this.#set;
    return { body: await registry.metrics(), contentType: registry.contentType };
  }

  #farm(source: FarmSource): void {
    this.#set.gauge(
      "vipfarm_build_info",
      "Always 1; the labels name the version, the farm and the node.",
      ["version", "farm", "node"],
      (tell) => {
        const { version, farm, node } = source.farm();
        tell(1, { version, farm, node });
      },
    );
    this.#set.gauge(
      "vipfarm_ready",
      "1 while this node takes new flows, else 0.",
      [],
      (tell) => tell(source.ready().ready ? 1 : 0),
    );
    this.#set.gauge("vipfarm_members", "Members by state.", ["state"], (tell) => {
      const members = source.farm().members;
      for (const state of MEMBER_STATES) {
        tell(members.filter((member) => member.state === state).length, { state });
      }
    });
    this.#set.gauge(
      "vipfarm_member_state",
      "1 for the state that the member is in.",
      ["member", "state"],
      (tell) => {
        for (const { name, state } of source.farm().members) tell(1, { member: name, state });
      },
    );
    this.#set.gauge(
      "vipfarm_member_weight",
      "Effective weight of the member in the service.",
      ["member", "service"],
      (tell) => {
        for (const { name, weights } of source.farm().members) {
          for (const [service, weight] of Object.entries(weights)) {
            tell(weight, { member: name, service });
          }
        }
      },
    );
    this.#set.gauge(
      "vipfarm_member_share_ratio",
      "Fraction of new flows of the service that is meant for the member.",
      ["member", "service"],
      (tell) => {
        for (const { name, shares } of source.farm().members) {
          for (const [service, share] of Object.entries(shares)) tell(share, { member: name, service });
        }
      },
    );
    this.#set.gauge(
      "vipfarm_claimed_ratio",
      "Fraction of the buckets of the service that this node claims.",
      ["service"],
      (tell) => {
        const claimed = source.farm().members.find((member) => member.self)?.claimed ?? {};
        for (const [service, share] of Object.entries(claimed)) tell(share, { service });
      },
    );
  }

  #datapath(source: FarmSource): void {
    this.#set.total(
      "vipfarm_packets_captured_total",
      "Frames taken from the capture ring; the sum of all verdicts.",
      ["interface"],
      (tell) => {
        for (const entry of source.counters()) tell(entry.captured, { interface: entry.interface });
      },
    );
    this.#set.total(
      "vipfarm_packets_filtered_total",
      "Packets of other nodes that the kernel dropped before they were captured; absent where it does not.",
      ["interface"],
      (tell) => {
        for (const { interface: name, filtered } of source.counters()) {
          if (filtered !== undefined) tell(filtered, { interface: name });
        }
      },
    );
    this.#set.total(
      "vipfarm_packets_fast_total",
      "Packets that the kernel took for this node before they were captured; absent where it does not. " +
        "With those captured and filtered they are the same on every node.",
      ["interface"],
      (tell) => {
        for (const { interface: name, fastPath } of source.counters()) {
          if (fastPath !== undefined) tell(fastPath, { interface: name });
        }
      },
    );
    this.#set.total(
      "vipfarm_packets_total",
      "Captured frames by what became of them.",
      ["interface", "verdict"],
      (tell) => {
        for (const entry of source.counters()) {
          for (const [verdict, count] of Object.entries(entry.verdicts)) {
            tell(count, { interface: entry.interface, verdict });
          }
        }
      },
    );
    this.#set.total(
      "vipfarm_ring_drops_total",
      "Frames that the kernel dropped because the capture ring was full.",
      ["interface"],
      (tell) => {
        for (const entry of source.counters()) tell(entry.ringDrops, { interface: entry.interface });
      },
    );
    this.#set.total(
      "vipfarm_tun_write_errors_total",
      "Accepted packets that the TUN device did not take.",
      ["interface"],
      (tell) => {
        for (const entry of source.counters()) {
          tell(entry.tunWriteErrors, { interface: entry.interface });
        }
      },
    );
  }

  #heartbeats(source: FarmSource): void {
    this.#set.total("vipfarm_heartbeats_sent_total", "Heartbeats that this node sent.", [], (tell) => {
      tell(source.heartbeatCounters().sent);
    });
    this.#set.total(
      "vipfarm_heartbeat_send_errors_total",
      "Heartbeats that could not be sent.",
      [],
      (tell) => {
        tell(source.heartbeatCounters().sendErrors);
      },
    );
    this.#set.total("vipfarm_heartbeats_received_total", "Genuine heartbeats received.", [], (tell) => {
      tell(source.heartbeatCounters().received);
    });
    this.#set.total(
      "vipfarm_heartbeats_lost_total",
      "Heartbeats of the member that arrived by no network, or after later ones.",
      ["member"],
      (tell) => {
        const { lost = {} } = source.heartbeatCounters();
        for (const { name: member } of source.farm().members) {
          if (lost[member] !== undefined) tell(lost[member], { member });
        }
      },
    );
    this.#set.total(
      "vipfarm_heartbeats_refused_total",
      "Datagrams on the heartbeat port that changed nothing, by reason.",
      ["reason"],
      (tell) => {
        for (const [reason, count] of Object.entries(source.heartbeatCounters().refused)) {
          tell(count, { reason });
        }
      },
    );
  }

  #networks(source: FarmSource): void {
    this.#set.gauge(
      "vipfarm_heartbeat_last_heard_seconds",
      "Age of the member's last heartbeat on the network, to within a second.",
      ["network", "member"],
      (tell) => {
        for (const { network, members } of source.farm().heartbeat_networks) {
          for (const { name, last_heard_ms: ageMs } of members) {
            if (ageMs !== null) tell(ageMs / 1000, { network, member: name });
          }
        }
      },
    );
    this.#set.total(
      "vipfarm_member_vip_frames_total",
      "Frames for the virtual IPs that the member has seen since its start: equal rates, if the LAN delivers to all.",
      ["member"],
      (tell) => {
        for (const [member, frames] of Object.entries(source.vipFrames?.() ?? {})) {
          tell(frames, { member });
        }
      },
    );
    this.#set.gauge(
      "vipfarm_warnings",
      "What needs attention, by kind; status says what to do about it.",
      ["kind"],
      (tell) => {
        const { warnings } = source.farm();
        for (const kind of new Set(warnings.map((warning) => warning.kind))) {
          tell(warnings.filter((warning) => warning.kind === kind).length, { kind });
        }
      },
    );
  }

  #membership(source: FarmSource): void {
    this.#set.gauge(
      "vipfarm_heartbeat_lateness_seconds",
      "Largest lateness of a heartbeat tick of this node in the last second.",
      [],
      (tell) => tell((source.heartbeatCounters().latenessMsMax ?? 0) / 1000),
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
      this.#set.total(name, help, [], (tell) => {
        tell(source.heartbeatCounters().membership?.[field] ?? 0);
      });
    }
  }

  #daemon(source: FarmSource, openStreams: () => number): void {
    this.#set.total(
      "vipfarm_events_total",
      "Events recorded, by severity and kind.",
      ["severity", "kind"],
      (tell) => {
        for (const { severity, kind, count } of source.events.counts()) tell(count, { severity, kind });
      },
    );
    this.#set.gauge(
      "vipfarm_admin_event_streams",
      "Event streams open now.",
      [],
      (tell) => tell(openStreams()),
    );
    this.#set.gauge(
      "vipfarm_process_resident_memory_bytes",
      "Resident memory of the daemon.",
      [],
      (tell) => tell(Deno.memoryUsage().rss),
    );
    this.#set.gauge(
      "vipfarm_process_heap_used_bytes",
      "JavaScript heap in use by the control thread.",
      [],
      (tell) => tell(Deno.memoryUsage().heapUsed),
    );
  }
}
