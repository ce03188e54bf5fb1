/** `debian/changelog` in the form that Debian's tools read (deb-changelog(5)), made from CHANGELOG.md. */

const COLUMNS_MAX = 78;

/** One entry for `version`, with every change of the first section. `commitTime` in seconds since the epoch. */
export function debianChangelog(
  markdown: string,
  { version, commitTime, maintainer }: { version: string; commitTime: number; maintainer: string },
): string {
  const section = markdown.split(/^## .*$/m)[1] ?? "";
  const changes = section.split(/^- /m).slice(1).map((text) => wrap(text.replaceAll(/\s+/g, " ").trim()));
  // RFC 5322, as date -R writes it.
  const date = new Date(commitTime * 1e3).toUTCString().replace("GMT", "+0000");
  return `vipfarm (${version}) unstable; urgency=medium\n\n${changes.join("")}\n -- ${maintainer}  ${date}\n`;
}

function wrap(text: string): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    if (lines.at(-1)!.length + word.length + 1 > COLUMNS_MAX - 4) lines.push("");
    lines[lines.length - 1] += `${lines.at(-1) === "" ? "" : " "}${word}`;
  }
  return `  * ${lines.join("\n    ")}\n`;
}
