/** What `preflight` says about one property of this host. */
export interface Finding {
  /** False: the daemon would not work. */
  readonly ok: boolean | "warning";
  /** What was found, with the value. */
  readonly what: string;
  /** What to do, where something is to be done. */
  readonly remedy?: string;
}
