/** SafeKit's checkers, process monitoring and failover rules: `<check>`, `<errd>`, `<failover>`. */
import { parseAddress } from "../core/address.ts";
import { CHECK_NAME_PATTERN } from "../config/checks_values.ts";
import { type ImportNotes } from "./notes.ts";
import { elementsNamed, type XmlElement } from "./userconfig.ts";

export type Action = "leave" | "fail" | "restart" | "stop" | "none";

export interface ImportedCheck {
  name: string;
  interval?: string;
  timeout?: string;
  on_failure: Action;
  [kind: string]: unknown;
}

export interface ImportedRule {
  name: string;
  when: string;
  do: Exclude<Action, "none">;
  after?: string;
}

export interface ImportedChecks {
  checks: ImportedCheck[];
  rules: ImportedRule[];
}

/** What an action of SafeKit is called here: `wait` stops taking part until the resource is back, which is `leave`. */
const ACTIONS: Readonly<Record<string, Action>> = {
  wait: "leave",
  restart: "restart",
  stopstart: "restart",
  stop: "stop",
  swap: "leave",
  noaction: "none",
};
/** What SafeKit does where the file names no action, by the class of the resource. */
const DEFAULT_ACTIONS: Readonly<Record<string, Action>> = {
  tcp: "restart",
  ping: "leave",
  intf: "leave",
  custom: "none",
  proc: "restart",
};

/** `canRestart`: the new file has an application, so that `restart` and `stop` have something to act on. */
export function importChecks(service: XmlElement, canRestart: boolean, notes: ImportNotes): ImportedChecks {
  const imported: ImportedChecks = { checks: [], rules: [] };
  /** Names of the checks by SafeKit's name of the resource, such as tcp.web. */
  const resources = new Map<string, string>();
  const possible = (action: Action, line: number): Action => {
    if (canRestart || (action !== "restart" && action !== "stop")) return action;
    notes.changed(
      "checks",
      line,
      `there are no scripts to ${action} an application with: the node gives up its share instead.`,
    );
    return "leave";
  };
  const add = (
    kind: string,
    element: XmlElement,
    ident: string,
    settings: object,
    timing: XmlElement = element,
  ) => {
    const action = element.attributes.action;
    const wanted = action === undefined ? DEFAULT_ACTIONS[kind] : ACTIONS[action];
    if (wanted === undefined) {
      notes.untranslated(
        "checks",
        element.line,
        `the action "${action}" of ${ident} has no counterpart: nothing is done when it fails.`,
      );
    }
    const name = checkName(ident, imported.checks);
    resources.set(`${kind}.${ident}`, name);
    imported.checks.push({
      name,
      ...settings,
      ...(timing.attributes.interval && { interval: seconds(timing.attributes.interval) }),
      ...(timing.attributes.timeout && { timeout: seconds(timing.attributes.timeout) }),
      on_failure: possible(wanted ?? "none", element.line),
    });
  };

  for (const check of elementsNamed(service, "check")) {
    for (const element of check.children) importChecker(element, add, notes);
  }
  if (elementsNamed(service, "interface").some(({ attributes }) => attributes.check === "on")) {
    imported.checks.push({
      name: checkName("interface", imported.checks),
      interface: {},
      on_failure: "leave",
    });
  }
  for (const errd of elementsNamed(service, "errd")) {
    for (const proc of elementsNamed(errd, "proc")) importProcess(proc, add, notes);
  }
  for (const failover of elementsNamed(service, "failover")) {
    importRules(failover, resources, imported, possible, notes);
  }
  return imported;
}

type Add = (kind: string, element: XmlElement, ident: string, settings: object, timing?: XmlElement) => void;

function importChecker(element: XmlElement, add: Add, notes: ImportNotes): void {
  const { name: kind, line, attributes: { ident = kind, exec } } = element;
  const to = element.children.find(({ name }) => name === "to");
  const address = parseAddress(to?.attributes.addr ?? "")?.text;
  const named = (what: string) =>
    notes.untranslated(
      "checks",
      line,
      `${what} ${ident} asks ${to?.attributes.addr ?? "nobody"}: write an address in its place, as a check.`,
    );
  switch (kind) {
    case "tcp":
      if (address === undefined || !/^\d{1,5}$/.test(to?.attributes.port ?? "")) {
        return named("the TCP checker");
      }
      return add("tcp", element, ident, { tcp: { address, port: Number(to!.attributes.port) } }, to);
    case "ping":
      if (address === undefined) return named("the ping checker");
      return add("ping", element, ident, { ping: { address } }, to);
    case "intf": {
      notes.changed(
        "checks",
        line,
        `the interface checker ${ident} looked for ${to?.attributes.local_addr}, an address of one node; here each node looks at ` +
          "its own interface.",
      );
      return add("intf", element, ident, { interface: {} }, to);
    }
    case "ip":
      return notes.changed(
        "checks",
        line,
        `the IP checker ${ident} is not needed: vipfarm holds the virtual IP itself.`,
      );
    case "custom":
      return notes.untranslated(
        "checks",
        line,
        `the custom checker ${ident} (${exec}) runs for ever and reports by \`safekit set\`. Make it a program that looks ` +
          "once and ends with 0 or 1, and add it as a check with `exec`.",
      );
    default:
      return notes.untranslated("checks", line, `<${kind}> has no counterpart among the checks.`);
  }
}

function importProcess(proc: XmlElement, add: Add, notes: ImportNotes): void {
  const { name = "", service, nameregex, argregex, atleast, atmax, class: phase } = proc.attributes;
  if (phase !== undefined && !["both", "pre"].includes(phase)) {
    notes.untranslated(
      "checks",
      proc.line,
      `the process ${name} is watched in the phase "${phase}", which a farm does not have.`,
    );
    return;
  }
  const counts = {
    ...(atleast !== undefined && Number(atleast) !== 1 && { at_least: Number(atleast) }),
    ...(atmax !== undefined && Number(atmax) >= 0 && { at_most: Number(atmax) }),
  };
  const which = service === "yes"
    ? { systemd_unit: `${name.replace(/\.service$/, "")}.service` }
    : argregex !== undefined
    ? { arguments: argregex }
    : nameregex !== undefined
    ? { arguments: `^(\\S*/)?(${nameregex})(\\s|$)` }
    : { name };
  if (proc.attributes.restart_services !== undefined) {
    notes.changed(
      "checks",
      proc.line,
      `restart_services of ${name}: a restart here is of the whole application.`,
    );
  }
  add("proc", proc, name, { process: { ...which, ...counts } });
}

/** `label: if (tcp.web == down && ping.router == up) then restart();` in CDATA, and Lua beside it. */
function importRules(
  failover: XmlElement,
  resources: ReadonlyMap<string, string>,
  imported: ImportedChecks,
  possible: (action: Action, line: number) => Action,
  notes: ImportNotes,
): void {
  const text = failover.text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/^\s*--.*$/gm, "");
  const { handle_time: handleTime } = failover.attributes;
  let rest = text;
  for (const [whole, label, condition, action] of text.matchAll(RULE)) {
    rest = rest.replace(whole, "");
    const when = importCondition(condition, resources);
    const wanted = ACTIONS[action];
    if (when === undefined || wanted === undefined || wanted === "none") {
      notes.untranslated(
        "rules",
        failover.line,
        `the rule ${label} (${condition.trim()} then ${action}) has no counterpart.`,
      );
      continue;
    }
    imported.rules.push({
      name: label,
      when,
      do: possible(wanted, failover.line) as ImportedRule["do"],
      ...(handleTime !== undefined && { after: milliseconds(handleTime) }),
    });
  }
  for (const [whole, label] of rest.matchAll(/Rules\.disable\("([\w.]+)"\)/g)) {
    rest = rest.replace(whole, "");
    notes.untranslated(
      "rules",
      failover.line,
      `Rules.disable("${label}"): set on_failure: none at the checks that it was for.`,
    );
  }
  if (rest.trim() !== "") {
    notes.untranslated(
      "rules",
      failover.line,
      `rules that were not understood: ${rest.trim().replaceAll(/\s+/g, " ").slice(0, 200)}`,
    );
  }
}

const RULE = /(\w+)\s*:\s*if\s*\(([^;]*?)\)\s*then\s+(\w+)\s*(?:\(\s*\))?\s*;/g;

function importCondition(condition: string, resources: ReadonlyMap<string, string>): string | undefined {
  let understood = true;
  const translated = condition.trim().replaceAll(
    /(?:local\.)?(?:0\/1)?(\w+)\.([\w.-]+|\*|\?)\s*(==|!=)\s*(\w+)|&&|\|\||[()]|[^\s()&|]+/g,
    (whole, kind: string | undefined, ident: string, sign: string, state: string) => {
      if (["&&", "||", "(", ")"].includes(whole)) return whole;
      const names = kind === undefined
        ? []
        : ident === "*" || ident === "?"
        ? [...resources].filter(([resource]) => resource.startsWith(`${kind}.`)).map(([, name]) => name)
        : [resources.get(`${kind}.${ident}`)].filter((name) => name !== undefined);
      if (names.length === 0 || (state !== "down" && state !== "up")) {
        understood = false;
        return whole;
      }
      const said = names.map((name) => `${sign === "!=" ? "!" : ""}check.${name}.${state}`);
      const joined = said.join(ident === "*" ? " && " : " || ");
      return said.length > 1 ? `(${joined})` : joined;
    },
  );
  return understood ? translated : undefined;
}

/** A check's name is a word of rules: letters, digits, underscores, a letter first. */
function checkName(ident: string, others: readonly ImportedCheck[]): string {
  const word = ident.replaceAll(/\W/g, "_").replace(/^(?![A-Za-z])/, "c_").slice(0, 58);
  const plain = CHECK_NAME_PATTERN.test(word) ? word : `${word}_check`;
  for (let number = 1;; number++) {
    const name = number === 1 ? plain : `${plain}_${number}`;
    if (!others.some((each) => each.name === name)) return name;
  }
}

/** `10` and `10s` are ten seconds; SafeKit writes `ms`, `s`, `m`, `h` and `d` too. */
export function seconds(text: string): string {
  return withUnit(text, "s");
}

export function milliseconds(text: string): string {
  return withUnit(text, "ms");
}

function withUnit(text: string, unit: string): string {
  const match = /^\s*(\d+)\s*(ms|s|m|min|h|d)?\s*$/.exec(text);
  if (match === null) return text;
  const [, number, given = unit] = match;
  return given === "d" ? `${Number(number) * 24}h` : `${number}${given === "min" ? "m" : given}`;
}
