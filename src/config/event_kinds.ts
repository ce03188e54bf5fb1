/**
 * The kinds of events that people can be told of, by their first words. What goes wrong with notifications (`notify`) is
 * not among them: it would be told by notifications.
 */

/** In the order of the alphabet; a test compares them with what the program says. */
const SECOND_WORDS: Readonly<Record<string, readonly string[]>> = {
  admin: ["action", "failed", "forbidden", "locked_out", "not_opened", "not_renewed", "opened", "renewed"],
  application: ["failed", "transition_failed"],
  check: ["down", "up"],
  config: ["not_reloaded", "reloaded"],
  fastpath: ["off"],
  heartbeat: [
    ...["network_back", "network_down", "network_lost", "network_partial", "network_unusable"],
    ...["not_sent", "peers", "sent_again"],
  ],
  host: [
    ...["journal_dropped", "leftovers_undone", "setting_left", "setting_mended", "setting_wrong"],
    ...["virtual_ip_mended"],
  ],
  lan: ["deaf", "none", "ok", "single"],
  member: [
    ...["clock_differs", "crashed", "dead", "drained", "draining", "joined", "leaving", "left", "not_back"],
    ...["other_version", "recording", "recovered", "refused", "restarted", "resumed", "services_differ"],
    ...["suspect", "unheard"],
  ],
  memory: ["damaged", "not_saved"],
  node: ["failed", "started", "stopped", "stopping"],
  prefilter: ["off"],
  program: ["ended", "not_replaced", "replaced", "wedged"],
  report: ["too_long"],
  rule: ["applies", "ended"],
  self: ["drained", "leaving", "listed", "name_taken", "no_quorum", "rejoining", "silent"],
  service: ["healthy", "last_resort", "unreachable"],
  state: ["draining", "failed", "starting", "stopped", "stopping", "up", "waiting"],
};

/** The states of a node, which `state` events and rules name. */
export const NODE_STATES = SECOND_WORDS.state;

/** First words: each stands for all kinds that begin with it. */
export const EVENT_GROUPS: readonly string[] = Object.keys(SECOND_WORDS);

export const EVENT_KINDS: readonly string[] = EVENT_GROUPS.flatMap((group) =>
  SECOND_WORDS[group].map((word) => `${group}.${word}`)
);
