/**
 * The times of the protocol, in heartbeat intervals. They belong together; the order that makes them safe is
 * SUSPECT < LEASE < REPLACE, with whole intervals between (`src/membership/README.md` has the argument).
 */

/** Silent for this long, a member is listed as suspect, which makes it stop if it can hear. */
export const SUSPECT_INTERVALS = 3;

/**
 * A claim holds this long from the start of the last heartbeat that was sent. Shorter than REPLACE: a receiver
 * counts from the arrival, which is later, so whoever is replaced has stopped an interval before.
 */
export const LEASE_INTERVALS = 4;

/** Silent for this long, a member is taken out of the view and its buckets are taken over. */
export const REPLACE_INTERVALS = 5;

/**
 * While its program is being replaced, a node asks the others to hold its connections for this long should they miss it
 * meanwhile: every step of the replacement may take its longest, twice.
 */
export const REPLACEMENT_HOLD_MS = 20_000;

/**
 * The witness's answer counts for longer than a member's echo if it was asked so much later: the member has missed two
 * chances to echo a later heartbeat by then, and there is time for another question within the lease.
 */
export const WITNESS_INTERVALS = 2.5;

/**
 * With so little left of its quorum a node replaces nobody. Who is cut off counts its votes from what it sent before the cut, and the
 * silence of others from what it heard before: both end at about the same time, one interval of difference less one
 * that voters are late.
 */
export const QUORUM_MARGIN_INTERVALS = 0.5;

/** A joining node only listens for this long: long enough to hear everybody, losses included. */
export const LISTEN_INTERVALS = 3;

/** Then its list binds the others for this long before it takes weights: who hears it but is not heard by it stops. */
export const ANNOUNCE_INTERVALS = 2;

/** A node that is silent for this long, because somebody does not hear it, joins anew, so that others cover its share. */
export const SILENT_INTERVALS = 4;

/** A node that was not running for longer than this does not count that time against the others. */
export const LATE_INTERVALS = 2;

/** Leaving waits this long for the others to say that they have taken over. */
export const HAND_OVER_INTERVALS = 2;

/**
 * A heartbeat that is due within this time goes out together with a member's that comes in. With half an interval, of two
 * nodes one always follows the other; and no node sends more than twice an interval, whatever it hears.
 */
export const FOLLOW_INTERVALS = 0.5;

/**
 * Not heard for this long, but by others, a member is cut off from this node and from nobody else: whoever had died would
 * have been replaced by all.
 */
export const UNHEARD_INTERVALS = 10;

/**
 * Somebody who takes a share is unknown here for this long, while others hear it and serve: it is not only late, and hears them,
 * or they would have been silent for SILENT_INTERVALS and join.
 */
export const STRANGER_INTERVALS = 6;

/** Urgent heartbeats keep this distance in the long run, so that many changes at once make few messages. */
export const URGENT_SPACING_INTERVALS = 0.1;

/** So many urgent heartbeats may follow each other at once: a hand-over takes two from each side. */
export const URGENT_BURST = 4;

/** A joining node that cannot tell whether a member is real waits this long for it to answer. */
export const UNCONFIRMED_INTERVALS = 30;

/** Each joining anew within STABLE_INTERVALS doubles the time of listening, up to this factor. */
export const FLAP_FACTOR_MAX = 4;

/** A node that was up for this long has stopped flapping. */
export const STABLE_INTERVALS = 600;

/** A heartbeat with a wall clock this far away, from a member that never answered, is taken for a recording. */
export const RECORDING_AGE_MS = 5 * 60_000;

/** A wall clock this far away is reported: logs of two nodes cannot be compared any more. */
export const CLOCK_DIFFERENCE_MS = 5_000;

/** Orders and answers are repeated for this long. */
export const ORDER_MS = 5_000;

/** Orders remembered, so that each is carried out once. */
export const ORDERS_REMEMBERED_MAX = 64;

/** Goodbyes sent: one lost message must not cost the others a timeout. */
export const GOODBYES = 3;

/** Dead members are shown for this long, and no more of them than this. */
export const DEAD_SHOWN_MS = 3_600_000, DEAD_SHOWN_MAX = 64;
