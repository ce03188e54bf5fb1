/**
 * What goes into a packed vipfarm, whatever is made of it then (one executable file, a Debian package): the entry
 * points with everything that they import, console and licences of the packages included, as JavaScript that needs no
 * network, no cache and no `node_modules`.
 */
import { ENTRY_POINTS } from "../src/entry_points.ts";
import { checkoutRevision, REVISION_FILE, VERSION } from "../src/version.ts";
import { gitOutput, ROOT, run } from "./tools.ts";

/** The parts of the checkout that a program is packed from. */
const SOURCES = ["src", "ffi", "deno.json", "deno.lock"];

/** The file that Deno starts. */
export const MAIN_FILE = "main.js";

/**
 * How Deno runs a packed program: it looks for no configuration, lock file or package, and asks nobody. Without a code
 * cache it writes nothing to the disk.
 */
export const DENO_RUN_OPTIONS = [
  "--allow-all",
  "--quiet",
  "--no-config",
  "--no-lock",
  "--no-npm",
  "--no-remote",
  "--cached-only",
  "--no-code-cache",
];

/** An npm package that is in the program. */
export interface BundledPackage {
  readonly name: string;
  readonly version: string;
}

/** A packed program in a directory. */
export interface PackedProgram {
  readonly directory: string;
  readonly version: string;
  /** Of the checkout, if what was packed is as it was committed. */
  readonly revision: string | undefined;
  /** Seconds since the epoch, of the commit: the time of every file, so that two builds are the same. */
  readonly commitTime: number;
  /** Packages whose modules are in it. */
  readonly bundled: readonly BundledPackage[];
  /** Names of the packages that its own modules import, those of the console's page too. */
  readonly imported: readonly string[];
  /** Text of the `deno.lock` that it was packed with. */
  readonly lock: string;
}

/**
 * Packs the program into `directory`/program, by way of a copy of the sources beside it: paths, which reach the names of
 * the files, are then the same wherever the checkout is.
 */
export async function packProgram(directory: string): Promise<PackedProgram> {
  const sources = `${directory}/sources`;
  await Deno.mkdir(sources, { recursive: true });
  await run(["cp", "-r", ...SOURCES.map((path) => ROOT + path), sources]);
  const entries = ENTRY_POINTS.map((name) => `src/${name}.ts`);
  await run([
    Deno.execPath(),
    "bundle",
    "--quiet",
    "--frozen",
    "--node-modules-dir=auto",
    "--code-splitting",
    "--outdir",
    "../program",
    ...entries,
  ], { cwd: sources });
  const program = `${directory}/program`;
  const revision = await isAsCommitted() ? checkoutRevision() : undefined;
  await Deno.writeTextFile(`${program}/${REVISION_FILE}`, `${revision ?? ""}\n`);
  return {
    directory: program,
    version: VERSION,
    revision,
    commitTime: Number(await gitOutput("log", "-1", "--format=%ct")),
    bundled: await bundledPackages(program),
    imported: await importedPackages(sources),
    lock: await Deno.readTextFile(`${sources}/deno.lock`),
  };
}

async function isAsCommitted(): Promise<boolean> {
  return await gitOutput("status", "--porcelain", "--", ...SOURCES) === "";
}

/** The packages that the bundler says it took modules from, in a comment before each. */
async function bundledPackages(program: string): Promise<BundledPackage[]> {
  const found = new Map<string, BundledPackage>();
  for await (const { name } of Deno.readDir(program)) {
    const text = await Deno.readTextFile(`${program}/${name}`);
    for (const [, version, packageName] of text.matchAll(PACKAGE_COMMENT)) {
      found.set(`${packageName}@${version}`, { name: packageName, version });
    }
  }
  return [...found.values()].sort((a, b) => `${a.name}@${a.version}` < `${b.name}@${b.version}` ? -1 : 1);
}

/** `// node_modules/.deno/hono@4.13.19/node_modules/hono/dist/hono.js`; a scope is written `@hono+zod-openapi`. */
const PACKAGE_COMMENT =
  /^\/\/ node_modules\/\.deno\/@?[^@/\n]+@([^/\n_]+)[^/\n]*\/node_modules\/((?:@[^/\n]+\/)?[^/\n]+)\//gm;

/** The packages of `deno.json` that some module names: what only the tests use is not among them. */
async function importedPackages(sources: string): Promise<string[]> {
  const { imports } = JSON.parse(await Deno.readTextFile(`${sources}/deno.json`)) as {
    imports: Record<string, string>;
  };
  const names = new Set(Object.keys(imports).map((key) => key.replace(/\/$/, "")));
  const used = new Set<string>();
  const look = async (directory: string): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(directory)) {
      if (isDirectory) await look(`${directory}/${name}`);
      else if (/\.tsx?$/.test(name)) {
        for (const [, specifier] of (await Deno.readTextFile(`${directory}/${name}`)).matchAll(SPECIFIER)) {
          for (const each of names) {
            if (specifier === each || specifier.startsWith(`${each}/`)) used.add(each);
          }
        }
      }
    }
  };
  await Promise.all(["src", "ffi"].map((name) => look(`${sources}/${name}`)));
  return [...used].sort();
}

const SPECIFIER = /\b(?:from|import)\s*\(?\s*"([^"./][^"]*)"/g;
