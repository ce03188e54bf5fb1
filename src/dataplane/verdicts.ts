/**
 * The closed list of what can happen to a captured frame. Every frame ends in exactly one verdict, so
 * `captured == sum of all verdicts` holds at any moment between two frames; a test and the metrics rely on it.
 */
export const VERDICTS = [
  /** This node claims the bucket: written to the TUN device. */
  "accepted",
  /** The bucket is contested, and this node's kernel has the connection: written to the TUN device. */
  "accepted_held",
  /** Another node claims the bucket. */
  "not_owner",
  /** The bucket is contested, and this node's kernel has no such connection. */
  "not_held",
  /** Of a connection that ended with its node: written to the TUN device, and the kernel answers with a reset. */
  "orphan",
  /** The same, but more came than are answered: the client sends it again. */
  "orphan_limited",
  /** This node would accept it, but its lease has run out: it is silent. */
  "no_lease",
  /** No service covers the port or protocol, and `uncovered: drop` holds. */
  "uncovered",
  /** Broken or inconsistent headers. */
  "malformed",
  /** Not whole: longer than 64 KB (BIG TCP), or more long packets waited than the kernel was allowed to keep. */
  "truncated",
  /** Neither for a virtual IP nor a question about one (a VLAN-tagged frame, another protocol). */
  "foreign",
  /** An ARP request or neighbour solicitation that this node answered. */
  "neighbour_answered",
  /** An ARP request or neighbour solicitation that another node answers. */
  "neighbour_not_owner",
  /** ARP or neighbour discovery that asks nothing (a reply, duplicate address detection). */
  "neighbour_ignored",
  /** A probe of the LAN by another node: that it came is all that it says (wire/lan_probe.ts). */
  "lan_probe",
  /** A later fragment that came before its first: copied aside until the first decides. */
  "fragment_held",
  /** A later fragment whose first was not seen, with no room left to hold it. */
  "fragment_dropped",
  /** Accepted, but the TUN device took it not. */
  "inject_failed",
] as const;

export type Verdict = (typeof VERDICTS)[number];

/** Index of each verdict in the counter array. */
export const VERDICT = Object.fromEntries(VERDICTS.map((name, index) => [name, index])) as Record<
  Verdict,
  number
>;
