/** What the members tell about themselves: this node's report, made once a second, and those that came. */
import { type DatapathCounters } from "../admin/source.ts";
import { type FarmConfig } from "../config/load.ts";
import { type CheckStatus } from "../health/types.ts";
import { type MemberView } from "../membership/types.ts";
import { VERSION } from "../version.ts";
import { type Connections } from "./connections.ts";
import { ConnectionCount, Rates } from "./own_report.ts";
import { composeReport, parseReport, type Report } from "./report.ts";

/** The application of this node. */
export interface ApplicationView {
  readonly configured: boolean;
  readonly state: string;
  readonly reason: string;
  readonly scriptsRun?: number;
}

/** Where this node's report comes from. */
export interface ReportParts {
  config(): FarmConfig;
  readonly connections: Pick<Connections, "look" | "count">;
  /** Open connections of this kernel in buckets that have moved away. */
  retained(): number;
  /** Fraction of a table's buckets that this node claims. */
  claimedShare(table: number): number;
  checks(): readonly CheckStatus[];
  application(): ApplicationView | undefined;
  /** How late the membership thread was at most, lately. */
  latenessMs(): number;
  /** The clock of the membership thread, in ms. */
  nowMs(): number;
}

/** The first digits of a configuration's digest, by which nodes compare theirs. */
export function shortDigest({ digest }: FarmConfig): string {
  return digest.slice(0, 16);
}

export class Reports {
  readonly #rates = new Rates();
  readonly #connections = new ConnectionCount();
  /** Of the other members, as they came, and read. */
  #heard = new Map<string, { text: string; report: Report | undefined }>();

  constructor(readonly parts: ReportParts) {}

  /** Takes what the members report as of a new view; what has not changed is not read again. */
  hear(members: readonly MemberView[]): void {
    this.#heard = new Map(members.flatMap(({ name, report: text }) => {
      if (text === undefined) return [];
      const known = this.#heard.get(name);
      return [[name, known?.text === text ? known : { text, report: parseReport(text) }]];
    }));
  }

  /** Measures what is told as a rate or counted only now and then. To be called once a second. */
  sample(counters: readonly DatapathCounters[]): void {
    const { connections, nowMs } = this.parts;
    this.#rates.sample(nowMs(), counters);
    this.#connections.sample(nowMs, () => {
      connections.look();
      return connections.count;
    });
  }

  /** What a member reports; undefined if it has not, or nothing that can be read. */
  of({ self, name }: MemberView): Report | undefined {
    return self ? this.own() : this.#heard.get(name)?.report;
  }

  /** This node's report as it is now. */
  own(): Report {
    const { config, application, checks, claimedShare, latenessMs, retained } = this.parts;
    const { state, reason, configured } = application() ?? {};
    const down = checks().filter(({ state }) => state === "down");
    return {
      v: 1,
      version: VERSION,
      state,
      reason,
      application: configured,
      claimed: config().services.map((_, index) => claimedShare(index + 1)),
      connections: this.#connections.now,
      retained: retained(),
      ...this.#rates.now,
      lateness_ms: latenessMs(),
      digest: shortDigest(config()),
      down: down.map(({ name, reason }) => ({ check: name, reason })),
    };
  }

  /** The same as it travels. */
  text(): string {
    return composeReport(this.own());
  }
}
