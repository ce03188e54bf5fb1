/** What is inside, for people: debian/copyright in the machine-readable form (Debian's DEP 5), with every licence's text. */
import { type Licence, type LockedPackage } from "./packages.ts";

const HEADER = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: vipfarm
Comment:
 vipfarm is carried with all that it runs on: the npm packages below are part of
 its JavaScript, and Deno is an executable of its own.

Files: *
Copyright: the vipfarm developers
License: Apache-2.0
 On Debian systems the text of the Apache License 2.0 is in
 /usr/share/common-licenses/Apache-2.0.
`;

const DENO = `Files: usr/lib/vipfarm/deno
Copyright: 2018-2026 the Deno authors
License: Expat
Comment:
 Deno's executable is as its authors publish it. Linked into it are, among others,
 V8 (BSD-3-Clause, the V8 project authors), ICU (Unicode-3.0, Unicode, Inc.),
 SQLite (in the public domain) and libraries written in Rust, nearly all under
 Expat or Apache-2.0. Its sources, with the list of them in Cargo.lock, are at
 https://github.com/denoland/deno.

License: Expat
 Permission is hereby granted, free of charge, to any person obtaining a copy of
 this software and associated documentation files (the "Software"), to deal in
 the Software without restriction, including without limitation the rights to
 use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of
 the Software, and to permit persons to whom the Software is furnished to do so,
 subject to the following conditions:
 .
 The above copyright notice and this permission notice shall be included in all
 copies or substantial portions of the Software.
 .
 THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
 IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS
 FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
 COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN
 AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION
 WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`;

/** The whole text. */
export function copyrightText(
  packages: ReadonlyArray<LockedPackage & { readonly licence: Licence }>,
): string {
  const stanzas = packages.map(({ name, version, licence: { expression, text } }) => {
    const copyright = text.split("\n").map((line) => line.trim()).filter((line) =>
      /^copyright\b/i.test(line)
    );
    // Its own name for the licence of each: the texts differ in whom they name.
    const label = `${expression}~${name.replace(/^@/, "").replaceAll("/", "-")}`;
    return [
      `Files: usr/lib/vipfarm/program/*`,
      `Copyright: ${copyright.length > 0 ? copyright.join("\n ") : `the authors of ${name}`}`,
      `License: ${label}`,
      `Comment: the parts that come from ${name} ${version}`,
      "",
      `License: ${label}`,
      paragraph(
        expression === "Apache-2.0"
          ? APACHE
          : text || `${name} states that its licence is ${expression}, and carries no text of it.`,
      ),
      "",
    ].join("\n");
  });
  return [HEADER, DENO, ...stanzas].join("\n");
}

/** Debian has this text once for all: a copy of it in a package is an error. */
const APACHE =
  "On Debian systems the text of the Apache License 2.0 is in\n/usr/share/common-licenses/Apache-2.0.";

/** Indented by a blank, with a dot on empty lines: Debian policy 5.6.13. */
function paragraph(text: string): string {
  return text.split("\n").map((line) =>
    line.trim() === "" ? " ." : ` ${line.trimEnd().replaceAll("\t", "  ")}`
  ).join("\n");
}
