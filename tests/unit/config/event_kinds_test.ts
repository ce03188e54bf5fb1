/** The kinds of events that a file may name are those that the program tells. */
import assert from "node:assert/strict";
import { STATES } from "../../../src/application/states.ts";
import { EVENT_GROUPS, EVENT_KINDS } from "../../../src/config/event_kinds.ts";
import { sourceFiles, withoutComments } from "../source_tree.ts";

/** Texts of the same form: a file's name, a key of the configuration, names in rules, and warnings that `status` alone gives. */
const NO_EVENTS = [
  ...["admin.sock", "admin.tokens_file", "node.name", "node.state"],
  ...["config.differs", "member.missing"],
];
/** Kinds with a part that is filled in. */
const COMPOSED = [...STATES.map((state) => `state.${state}`), "fastpath.off", "prefilter.off"];

const sources = sourceFiles((path) => /^src\/(?!config\/|admin\/console\/).*\.ts$/.test(path))
  .map(({ text }) => withoutComments(text));
const found = (pattern: RegExp) =>
  sources.flatMap((text) => [...text.matchAll(pattern)].map(([, kind]) => kind));

Deno.test("the program tells of the kinds that a file may name, and of no others", () => {
  const texts = found(/"([a-z]+\.[a-z_]+)"/g).filter((kind) => EVENT_GROUPS.includes(kind.split(".")[0]));
  const told = new Set([...texts, ...COMPOSED].filter((kind) => !NO_EVENTS.includes(kind)));
  assert.deepEqual([...told].sort(), [...EVENT_KINDS].sort());
});

Deno.test("what is told as an event begins with a first word that a file may name", () => {
  const said = found(/(?:\bkind: (?:\w+ \? )?|\bsay\(\s*"\w+",\s*)"([a-z]+\.[a-z_]+)"/g);
  assert.ok(said.length > 50);
  const groups = new Set(said.map((kind) => kind.split(".")[0]));
  assert.deepEqual([...groups].filter((group) => group !== "notify" && !EVENT_GROUPS.includes(group)), []);
});
