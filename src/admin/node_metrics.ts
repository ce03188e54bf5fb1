/** What Prometheus reads of this node itself: checks, application, connections, takeovers, the control thread. */

import type { MetricSet } from "./metric_set.ts";
import type { FarmSource, MemberStatus } from "./source.ts";

/** Around the five silent intervals after which a member is replaced, of the fast profile up to the longest. */
const TAKEOVER_SECONDS = [0.1, 0.15, 0.25, 0.5, 0.6, 0.75, 1, 2.5, 5, 10, 60];

/** Adds the metrics to `set`. */
export function addNodeMetrics(set: MetricSet, source: FarmSource, loopLagMs: () => number): void {
  addChecks(set, source);
  addConnections(set, source);
  addConfig(set, source);
  const takeovers = set.histogram(
    "vipfarm_takeover_seconds",
    "From the last heartbeat of a member that died until its buckets were taken.",
    TAKEOVER_SECONDS,
  );
  source.onTakeover?.((durationMs) => takeovers.observe(durationMs / 1000));
  set.gauge(
    "vipfarm_application_state",
    "1 for the state that the application of this node is in.",
    ["state"],
    (tell) => {
      const application = self(source)?.application;
      if (application !== undefined) tell(1, { state: application.state });
    },
  );
  set.total("vipfarm_script_runs_total", "Runs of the application's scripts.", [], (tell) => {
    tell(source.scriptsRun?.() ?? 0);
  });
  set.gauge(
    "vipfarm_event_loop_lag_seconds",
    "Largest lateness of a timer of the control thread in the last ten seconds; no packet and no heartbeat waits for it.",
    [],
    (tell) => tell(loopLagMs() / 1000),
  );
}

function addChecks(set: MetricSet, source: FarmSource): void {
  set.gauge(
    "vipfarm_check_up",
    "1 while the check is up, 0 while it is down; absent before its first verdict.",
    [
      "check",
      "kind",
    ],
    (tell) => {
      for (const { name, kind, state } of source.checks()) {
        if (state !== "pending") tell(state === "up" ? 1 : 0, { check: name, kind });
      }
    },
  );
  set.total("vipfarm_check_runs_total", "Runs of the check.", ["check"], (tell) => {
    for (const { name, runs } of source.checks()) tell(runs, { check: name });
  });
  set.total("vipfarm_check_failures_total", "Runs of the check that failed.", ["check"], (tell) => {
    for (const { name, failures } of source.checks()) tell(failures, { check: name });
  });
  set.gauge("vipfarm_check_duration_seconds", "Duration of the last run of the check.", ["check"], (tell) => {
    for (const { name, last_duration_ms: durationMs } of source.checks()) {
      if (durationMs !== null) tell(durationMs / 1000, { check: name });
    }
  });
}

function addConnections(set: MetricSet, source: FarmSource): void {
  set.gauge(
    "vipfarm_connections",
    "Open TCP connections to the services, as of the last count: every 2 s, on a host with 100,000 sockets twice a minute.",
    [],
    (tell) => {
      const open = self(source)?.connections;
      if (open !== undefined) tell(open);
    },
  );
  set.gauge(
    "vipfarm_connections_retained",
    "Open connections in buckets that have moved to another node.",
    [],
    (tell) => tell(self(source)?.retained ?? 0),
  );
  set.total("vipfarm_new_flows_total", "TCP connections that began on this node.", ["interface"], (tell) => {
    for (const { interface: name, newFlows } of source.counters()) {
      if (newFlows !== undefined) tell(newFlows, { interface: name });
    }
  });
}

function addConfig(set: MetricSet, source: FarmSource): void {
  set.gauge(
    "vipfarm_config_same",
    "1 if the member runs the configuration of this node, else 0; absent before it has told.",
    ["member"],
    (tell) => {
      const { digest } = source.configuration();
      for (const member of source.farm().members) {
        if (member.digest !== undefined) tell(member.digest === digest ? 1 : 0, { member: member.name });
      }
    },
  );
}

function self(source: FarmSource): MemberStatus | undefined {
  return source.farm().members.find((member) => member.self);
}
