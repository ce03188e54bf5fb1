/** The man page, made from the command line's own definition. Macros are those of man(7). */
import { type Command } from "commander";
import { notesOf, sentence, verbHelps } from "./help_text.ts";

/** What stands in its head and foot. */
export interface ManPageDate {
  readonly version: string;
  /** ISO, of the last change. */
  readonly date: string;
}

/** `vipfarm.1`. */
export function manPage(program: Command, { version, date }: ManPageDate): string {
  const verbs = verbHelps(program).flatMap((verb) => [
    `.SS vipfarm ${escape(verb.usage)}`,
    paragraph(sentence(verb.description)),
    ...verb.arguments.flatMap(({ name, description }) => term(name, description)),
    ...verb.options.flatMap(({ flags, description }) => term(flags, description)),
    ...(verb.notes === "" ? [] : [literal(verb.notes)]),
  ]);
  return `${
    [
      `.TH VIPFARM 1 "${date}" "vipfarm ${version}" "User Commands"`,
      ".SH NAME",
      `vipfarm \\- ${escape(program.description())}`,
      ".SH SYNOPSIS",
      ".B vipfarm",
      "VERB [options]",
      ".SH DESCRIPTION",
      paragraph(DESCRIPTION),
      literal(notesOf(program)),
      ".SH VERBS",
      ...verbs,
      ".SH ENVIRONMENT",
      ...ENVIRONMENT.flatMap(([name, meaning]) => term(name, meaning)),
      ".SH FILES",
      ...FILES.flatMap(([path, meaning]) => term(path, meaning)),
      ".SH SEE ALSO",
      paragraph("/usr/share/doc/vipfarm/examples; systemctl(1), ip(8)"),
    ].join("\n")
  }\n`;
}

const DESCRIPTION =
  "vipfarm makes two or more servers one farm behind a virtual IP. Every node receives every packet for it; a filter on each " +
  "node accepts the packets that it owns and drops the rest. When a node fails, the others take over within half a second.";

const ENVIRONMENT = [
  ["VIPFARM_NODE", "this node's name, where --node does not give it"],
  ["VIPFARM_TOKEN", "token for the endpoint that --admin names"],
  [
    "VIPFARM_CA",
    "file with the certificate (PEM) of the authority that signed that endpoint's own, if it is none that the host trusts",
  ],
];

const FILES = [
  ["/etc/vipfarm/vipfarm.yaml", "the farm's configuration, the same on every node; the service reads it"],
  ["/etc/vipfarm/secret", "the farm's secret, the same on every node, mode 0600"],
  ["/run/vipfarm/admin.sock", "where verbs find this host's daemon"],
  ["/var/lib/vipfarm", "what a node keeps over a restart"],
];

/** Backslashes are roff's; a hyphen is written so that it can be searched and copied. */
function escape(text: string): string {
  return text.replaceAll("\\", "\\e").replaceAll("-", "\\-");
}

/** A line that begins with a dot or an apostrophe would be a macro. */
function paragraph(text: string): string {
  return escape(text).split("\n").map((line) => /^[.']/.test(line) ? `\\&${line}` : line).join("\n");
}

function term(name: string, description: string): string[] {
  return [".TP", `.B ${escape(name)}`, paragraph(description)];
}

function literal(text: string): string {
  return `.PP\n.nf\n${paragraph(text)}\n.fi`;
}
