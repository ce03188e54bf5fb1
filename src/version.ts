/** Version and build of this program. */
import project from "../deno.json" with { type: "json" };
import { isPacked } from "./entry_points.ts";

/** The version in `deno.json`, the only place where it stands. */
export const VERSION: string = project.version;

/** Longest file of `.git` that is read: a packed list of references of a large repository. */
const GIT_FILE_BYTES_MAX = 4_194_304;

/** What is running: version, revision where it runs from a checkout, runtime and platform. */
export interface Build {
  readonly version: string;
  /** Git revision of the checkout that runs, or that the program was packed from; `undefined` if neither is known. */
  readonly revision: string | undefined;
  readonly deno: string;
  readonly os: string;
  readonly arch: string;
}

/** Lies beside a packed program, with the revision that it was packed from. */
export const REVISION_FILE = "revision";

/** Describes the running program. Reads the checkout's `.git`, if there is one; never fails. */
export function build(): Build {
  const { os, arch } = Deno.build;
  const revision = isPacked() ? hash(read(new URL(REVISION_FILE, import.meta.url))) : checkoutRevision();
  return { version: VERSION, revision, deno: Deno.version.deno, os, arch };
}

/** `0.1.0 (revision 0123456789ab, deno 2.9.6, linux x86_64)`. */
export function formatBuild({ version, revision, deno, os, arch }: Build): string {
  const source = revision === undefined ? "" : `revision ${revision.slice(0, 12)}, `;
  return `${version} (${source}deno ${deno}, ${os} ${arch})`;
}

/** The revision of the checkout that this runs from. */
export function checkoutRevision(): string | undefined {
  const top = new URL("../", import.meta.url);
  if (top.protocol !== "file:") return undefined;
  let git = new URL(".git/", top);
  // In a work tree of its own `.git` is a file that names the place: gitrepository-layout(5).
  const link = read(new URL(".git", top));
  if (link?.startsWith("gitdir: ")) git = directory(link.slice(8), top);
  const common = read(new URL("commondir", git));
  const shared = common === undefined ? git : directory(common, git);

  const head = read(new URL("HEAD", git));
  if (head === undefined || !head.startsWith("ref: ")) return hash(head);
  const reference = head.slice(5);
  const packed = read(new URL("packed-refs", shared))?.split("\n").find((line) =>
    line.endsWith(` ${reference}`)
  );
  return hash(read(new URL(reference, git))) ?? hash(read(new URL(reference, shared))) ??
    hash(packed?.split(" ")[0]);
}

function directory(path: string, base: URL): URL {
  return new URL(encodeURI(path.endsWith("/") ? path : `${path}/`), base);
}

function hash(text: string | undefined): string | undefined {
  return text !== undefined && /^[0-9a-f]{40,64}$/.test(text) ? text : undefined;
}

function read(url: URL): string | undefined {
  try {
    const { isFile, size } = Deno.statSync(url);
    return isFile && size <= GIT_FILE_BYTES_MAX ? Deno.readTextFileSync(url).trim() : undefined;
  } catch {
    return undefined;
  }
}
