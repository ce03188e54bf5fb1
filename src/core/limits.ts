/**
 * Bounds that more than one part of the program relies on, each with its reason.
 * A bound that only one file needs stands at the top of that file.
 */

/**
 * Hash slots of a service. A power of two, so that a bucket is the low bits of a hash; 65,536 keep the share of
 * each of 32 members within a few per cent of its weight, and one table of owners fits in a second-level cache.
 */
export const BUCKETS = 65_536;

/** Bits of a hash that choose the bucket. */
export const BUCKET_MASK = BUCKETS - 1;

/**
 * Members of a farm. Every node receives every packet, so a farm stops gaining long before this; it also keeps
 * a heartbeat, which lists every member, in a few datagram fragments, and a set of members in one 32-bit word.
 */
export const MEMBERS_MAX = 32;

/** Services of a farm: every service costs one table of 64 KiB on every node and one weight per member in a heartbeat. */
export const SERVICES_MAX = 32;

/** Virtual IPs of a farm: the capture filter compares them one after the other in the kernel. */
export const VIRTUAL_IPS_MAX = 32;

/** Checks of a node: 500 at an interval of a second take a few per cent of one core. */
export const CHECKS_MAX = 512;

/** Rules of a node: each is evaluated whenever a check changes. */
export const RULES_MAX = 64;

/** Port ranges of one service: looked up by a linear search when the service table is built, never per packet. */
export const PORT_RANGES_MAX = 64;

/** Largest weight. Ratios beyond 1:1000 give shares that 65,536 buckets cannot represent. */
export const WEIGHT_MAX = 1000;

/** Weight of a node that nobody gave one. */
export const WEIGHT_DEFAULT = 100;

/** Real-time priority of the membership thread: above ordinary threads, below what an administrator may run at the top. */
export const REALTIME_PRIORITY = 10;

/** Longest node or farm name in bytes: that of a DNS label (RFC 1035 section 2.3.4). */
export const NAME_LENGTH_MAX = 63;

/** Shortest farm secret in bytes: as long as the output of SHA-256, which all keys are derived with. */
export const SECRET_BYTES_MIN = 32;

/** Longest farm secret in bytes: more adds no strength, and a wrong path must not read a whole disk. */
export const SECRET_BYTES_MAX = 4096;

/**
 * Largest heartbeat datagram: every list of its body at its bound, with some room to grow (a test adds them up). A farm of
 * a few nodes needs some hundred bytes.
 */
export const HEARTBEAT_BYTES_MAX = 12_288;

/** Events kept in memory for those who ask later: some hours of a troubled farm, well under a megabyte. */
export const EVENTS_KEPT_MAX = 1000;
