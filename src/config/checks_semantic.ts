/** What needs more than one value of `checks` and `rules` to judge. */
import {
  CHECK_DELAY_MS_MAX,
  CHECK_INTERVAL_DEFAULT,
  CHECK_INTERVAL_MS,
  checkKinds,
} from "./checks_schema.ts";
import { formatValue, type Path, type Report } from "./problem.ts";
import { isRuleProblem, readRule, ruleNames } from "./rule_expression.ts";
import { NODE_STATES } from "./event_kinds.ts";
import {
  addressAt,
  checkDuration,
  expectedName,
  items,
  keys,
  name,
  reportRepeated,
  type ValidValues,
} from "./semantic_values.ts";
import { keysAt } from "./schema.ts";
import { suggest } from "./suggest.ts";
import { formatDuration, parseDurationMs } from "./values.ts";

/** Shortest timeout: a round trip in one building with room for a busy machine. */
const TIMEOUT_MS_MIN = 10;

/** More names than this make no helpful message. */
const NAMES_SHOWN_MAX = 12;

const KINDS = Object.keys(checkKinds);

/** Reports every problem of the sections `checks` and `rules`. */
export function checkChecks(values: ValidValues, serviceNames: readonly string[], report: Report): void {
  const checks = items(values, ["checks"]);
  const rules = items(values, ["rules"]);
  const named = [...checks, ...rules].map((path) => [...path, "name"]);
  reportRepeated(values, report, named, "check or rule", (text) => text);
  for (const path of checks) {
    checkKind(values, path, report);
    checkServices(values, path, serviceNames, report);
    checkTiming(values, path, report);
    checkProcess(values, [...path, "process"], report);
    checkExec(values, [...path, "exec"], report);
    checkDns(values, [...path, "dns"], report);
    checkUdp(values, [...path, "udp"], report);
  }
  const checkNames = checks.map((path) => values.get([...path, "name"])).filter((each) =>
    typeof each === "string"
  );
  for (const path of rules) {
    checkServices(values, path, serviceNames, report);
    checkDuration(values, report, [...path, "after"], 0, CHECK_DELAY_MS_MAX);
    checkCondition(values, [...path, "when"], checkNames, report);
  }
}

function checkKind(values: ValidValues, path: Path, report: Report): void {
  if (values.refused(path)) return;
  const there = KINDS.filter((kind) =>
    values.refused([...path, kind]) || values.get([...path, kind]) !== undefined
  );
  // A key that is unknown has been told so: it was meant to say it.
  const known = keysAt(["checks", 0]);
  if (there.length === 0 && keys(values, path).every((key) => known.includes(key))) {
    report({
      path,
      message: `${name(path)} does not say what to look at`,
      expected: `one of ${
        KINDS.join(", ")
      }, such as tcp: { port: 80 } (or {} where everything has a default)`,
    });
  }
  for (const kind of there.slice(1)) {
    report({
      path: [...path, kind],
      atKey: true,
      message: `${name(path)} looks at two things, \`${there[0]}\` and \`${kind}\``,
      expected: "one for each check; a rule can join checks",
    });
  }
}

function checkServices(values: ValidValues, path: Path, known: readonly string[], report: Report): void {
  const entries = items(values, [...path, "services"]);
  reportRepeated(values, report, entries, "service of this entry", (text) => text);
  for (const entry of entries) {
    const service = values.get(entry);
    if (typeof service !== "string" || known.includes(service)) continue;
    report({
      path: entry,
      message: `${name(entry)} is the unknown service ${formatValue(service)}`,
      expected: expectedName("a service", service, known),
    });
  }
}

function checkTiming(values: ValidValues, path: Path, report: Report): void {
  const at = (key: string) => [...path, key];
  checkDuration(values, report, at("interval"), CHECK_INTERVAL_MS.min, CHECK_INTERVAL_MS.max);
  checkDuration(values, report, at("start_delay"), 0, CHECK_DELAY_MS_MAX);
  checkDuration(values, report, at("warm_up"), 0, CHECK_DELAY_MS_MAX);
  const interval = values.refused(at("interval"))
    ? undefined
    : values.get(at("interval")) ?? CHECK_INTERVAL_DEFAULT;
  const intervalMs = typeof interval === "string" ? parseDurationMs(interval) : undefined;
  const timeout = values.get(at("timeout"));
  const timeoutMs = typeof timeout === "string" ? parseDurationMs(timeout) : undefined;
  if (typeof timeout !== "string" || intervalMs === undefined) return;
  if (timeoutMs !== undefined && timeoutMs >= TIMEOUT_MS_MIN && timeoutMs < intervalMs) return;
  report({
    path: at("timeout"),
    message: `${name(at("timeout"))} is ${timeout}`,
    expected: `at least ${formatDuration(TIMEOUT_MS_MIN)} and less than the interval of ${
      formatDuration(intervalMs)
    }, in whole milliseconds`,
  });
}

function checkProcess(values: ValidValues, path: Path, report: Report): void {
  const process = values.get(path);
  if (typeof process !== "object" || process === null) return;
  const has = (key: string) => values.refused([...path, key]) || values.get([...path, key]) !== undefined;
  const ways = [has("name") || has("arguments"), has("pid_file"), has("systemd_unit")].filter(Boolean).length;
  if (ways !== 1) {
    report({
      path,
      message: `${name(path)} ${ways === 0 ? "names no process" : "names processes in two ways"}`,
      expected: "name or arguments (or both), or pid_file, or systemd_unit",
    });
  }
  const atLeast = values.get([...path, "at_least"]) ?? 1;
  const atMost = values.get([...path, "at_most"]);
  if (typeof atLeast === "number" && typeof atMost === "number" && atMost < atLeast) {
    report({
      path: [...path, "at_most"],
      message: `${name([...path, "at_most"])} is ${atMost}`,
      expected: `at least ${atLeast}, which is \`at_least\``,
    });
  }
}

function checkExec(values: ValidValues, path: Path, report: Report): void {
  const program = [...path, "command", 0];
  const file = values.get(program);
  if (typeof file !== "string" || file.startsWith("/")) return;
  report({
    path: program,
    message: `${name(program)} is ${formatValue(file)}`,
    expected: "the program's full path, such as /usr/local/bin/check",
  });
}

function checkDns(values: ValidValues, path: Path, report: Report): void {
  const family = values.get([...path, "type"]) === "AAAA" ? 6 : 4;
  for (const entry of items(values, [...path, "expect"])) {
    const address = addressAt(values, entry);
    if (address === undefined || address.family === family) continue;
    report({
      path: entry,
      message: `${name(entry)} is ${address.text}, which no answer of type ${
        family === 6 ? "AAAA" : "A"
      } has`,
      expected: `an IPv${family} address`,
    });
  }
}

function checkUdp(values: ValidValues, path: Path, report: Report): void {
  const udp = values.get(path);
  if (typeof udp !== "object" || udp === null) return;
  const has = (key: string) => values.refused([...path, key]) || values.get([...path, key]) !== undefined;
  if (has("send") === has("send_hex")) {
    report({
      path,
      message: `${name(path)} says ${has("send") ? "twice" : "nowhere"} what to send`,
      expected: "send (text) or send_hex (bytes)",
    });
  }
  if (has("expect") && has("expect_hex")) {
    report({
      path: [...path, "expect_hex"],
      atKey: true,
      message: `${name(path)} says twice what to expect`,
      expected: "expect (text) or expect_hex (bytes)",
    });
  }
}

function checkCondition(values: ValidValues, path: Path, checks: readonly string[], report: Report): void {
  const text = values.get(path);
  if (typeof text !== "string") return;
  const rule = readRule(text, checks);
  if (!isRuleProblem(rule)) return;
  const { message, start, end } = rule;
  const words = message.startsWith("there is no state")
    ? NODE_STATES
    : ruleNames(checks).flatMap((each) => each.split(".")).concat("up", "down", "pending");
  const meant = message.startsWith("there is no")
    ? suggest(text.slice(start, end), [...new Set(words)])
    : undefined;
  const known = words === NODE_STATES
    ? NODE_STATES.join(", ")
    : `a condition over ${ruleNames(checks).slice(0, NAMES_SHOWN_MAX).join(", ")}`;
  report({
    path,
    into: start,
    message: `${name(path)} cannot be used: ${message}`,
    expected: meant ? `${known}; did you mean \`${meant}\`?` : known,
  });
}
