/** The npm packages that the program depends on, read from `deno.lock` and from the packages themselves. */

/** A package at the version of the lock file. */
export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  /** SHA-512 of its archive, base64. */
  readonly sha512: string;
  /** `name@version` of what it depends on. */
  readonly dependencies: readonly string[];
}

interface LockFile {
  readonly npm: Readonly<Record<string, { integrity: string; dependencies?: string[] }>>;
}

/** `name@version` of a key such as `@hono/zod-validator@0.9.1_hono@4.13.19`: what follows are its peers. */
function nameAndVersion(key: string): { name: string; version: string } {
  const at = key.indexOf("@", 1);
  return { name: key.slice(0, at), version: key.slice(at + 1).split("_")[0] };
}

/** Every package that these need, they included, in order of their names. @throws Error if the lock file lacks one */
export function lockedClosure(lockText: string, names: readonly string[]): LockedPackage[] {
  const { npm } = JSON.parse(lockText) as LockFile;
  const all = new Map(
    Object.entries(npm).map(([key, entry]) => {
      const { name, version } = nameAndVersion(key);
      return [`${name}@${version}`, { name, version, ...entry }];
    }),
  );
  /** A dependency is written without its version where the lock file has only one of that name. */
  const find = (wanted: string) => {
    const { name, version } = wanted.indexOf("@", 1) < 0
      ? { name: wanted, version: "" }
      : nameAndVersion(wanted);
    const found = version === ""
      ? [...all.values()].find((each) => each.name === name)
      : all.get(`${name}@${version}`);
    if (found === undefined) throw new Error(`deno.lock has no ${wanted}`);
    return found;
  };
  const needed = new Map<string, LockedPackage>();
  const add = (wanted: string) => {
    const { name, version, integrity, dependencies = [] } = find(wanted);
    const key = `${name}@${version}`;
    if (needed.has(key)) return;
    needed.set(key, {
      name,
      version,
      sha512: integrity.replace(/^sha512-/, ""),
      dependencies: dependencies.map((each) => find(each)).map((each) => `${each.name}@${each.version}`),
    });
    for (const each of dependencies) add(each);
  };
  for (const name of names) add(name);
  return [...needed.entries()].sort(([a], [b]) => a < b ? -1 : 1).map(([, each]) => each);
}

/** A licence as a package states it, and its text. */
export interface Licence {
  /** SPDX expression. */
  readonly expression: string;
  readonly text: string;
}

/** Names under which packages keep their licence. */
const LICENCE_FILE = /^(licen[cs]e|copying|notice)([-.].*)?$/i;

/** The licence of a package in the `node_modules` that Deno made. @throws Error if it states none */
export async function licenceOf(nodeModules: string, { name, version }: LockedPackage): Promise<Licence> {
  const store = `${nodeModules}/.deno`;
  const prefix = `${name.replace("/", "+")}@${version}`;
  const entry = [...Deno.readDirSync(store)].find((each) =>
    each.name === prefix || each.name.startsWith(`${prefix}_`)
  );
  if (entry === undefined) throw new Error(`${prefix} is not in ${store}`);
  const directory = `${store}/${entry.name}/node_modules/${name}`;
  const { license } = JSON.parse(await Deno.readTextFile(`${directory}/package.json`));
  if (typeof license !== "string") throw new Error(`${prefix} states no licence`);
  const files = [...Deno.readDirSync(directory)].map((each) => each.name).filter((each) =>
    LICENCE_FILE.test(each)
  );
  const texts = await Promise.all(files.sort().map((file) => Deno.readTextFile(`${directory}/${file}`)));
  return { expression: license, text: texts.join("\n").trim() };
}
