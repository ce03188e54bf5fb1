/** The searches: which part of the world each looks at, and what must come out. README.md has the sizes. */

import type { Search } from "./spin.ts";

// Two nodes. Messages arrive at once or never (SLOTS=0): any pattern of cuts, one-way and two-way.
const CUTS = ["SLOTS=0"];
// Every message arrives within one moment, or waits in the socket of a node that is stopped: no cut at all.
const WHOLE = ["SLOTS=1", "KEEPS=3", "NEVER_TWO"];
const FIXED = ["NO_CHANGE", "NO_LEAVE"];
const ALIVE = ["CRASHES=0", ...FIXED];
// Three nodes; a message is taken in by all, some or none, at once. Moments are counted, from a farm that is up.
const THREE = ["N=3", "SLOTS=0", "MULTICAST", "NO_PAUSE", "NO_LEAVE"];

const short: Search[] = [
  {
    name: "cuts and crashes with the program's own times",
    defines: ["TIMES=3", ...CUTS, "NO_PAUSE", ...FIXED],
    holds: true,
  },
  { name: "pauses on a whole network: never two", defines: [...WHOLE, ...ALIVE], holds: true },
  {
    name: "one direction whole, the other lossy and slow, nobody stopped: never two",
    defines: ["SLOTS=1", "KEEPS=1", "NEVER_TWO", "NO_PAUSE", ...ALIVE],
    holds: true,
  },
  {
    name: "calm after cuts: the bucket is claimed within 8 moments, and for good",
    defines: ["TIMES=2", ...CUTS, "NO_PAUSE", ...ALIVE, "CALM_BOUND=8"],
    holds: true,
  },
  {
    name: "three nodes, one of them heard by some, all or none",
    defines: [...THREE, "HORIZON=5", "KEEPS=6", "CRASHES=0", "NO_CHANGE"],
    bounded: true,
    holds: true,
  },
  { name: "without rule 1", defines: [...CUTS, "NO_LEAVE", "NO_PAUSE", "NO_RULE_1"], holds: false },
  { name: "without rule 2", defines: [...CUTS, "NO_LEAVE", "NO_PAUSE", "NO_RULE_2"], holds: false },
  { name: "without rule 3", defines: [...CUTS, "NO_LEAVE", "NO_PAUSE", "NO_RULE_3"], holds: false },
  { name: "without rule 4", defines: [...WHOLE, ...ALIVE, "NO_RULE_4", "ONLY_TWO"], holds: false },
  {
    name: "without a look at the clock when a heartbeat is composed",
    defines: [...WHOLE, ...ALIVE, "NO_NOTICE"],
    holds: false,
  },
];

const long: Search[] = [
  { name: "cuts, crashes, goodbyes, weights", defines: [...CUTS, "NO_PAUSE"], holds: true },
  { name: "cuts, pauses, crashes, goodbyes, weights", defines: CUTS, holds: true },
  { name: "the same with middling times", defines: ["TIMES=2", ...CUTS], holds: true },
  {
    name: "without a look at the clock when a heartbeat is composed, middling times",
    defines: ["TIMES=2", ...CUTS, ...FIXED, "NO_NOTICE"],
    holds: false,
  },
  {
    name: "calm after cuts, crashes, goodbyes, weights: claimed within 12 moments, and for good",
    defines: ["TIMES=2", ...CUTS, "NO_PAUSE", "CALM_BOUND=12"],
    holds: true,
  },
  {
    name: "calm after cuts, crashes, pauses: claimed within 20 moments, and for good",
    defines: ["TIMES=2", ...CUTS, ...FIXED, "CALM_BOUND=20"],
    holds: true,
  },
  {
    name: "three nodes, weights",
    defines: [...THREE, "HORIZON=12", "KEEPS=7", "CRASHES=0"],
    bounded: true,
    holds: true,
  },
  {
    name: "three nodes, weights, one of them heard by some, all or none",
    defines: [...THREE, "HORIZON=6", "KEEPS=6", "CRASHES=0"],
    bounded: true,
    holds: true,
  },
  { name: "pauses and crashes on a whole network: never two", defines: [...WHOLE, ...FIXED], holds: true },
];

export const SEARCHES: readonly Search[] = [...short, ...long.map((each) => ({ ...each, long: true }))];
