/**
 * `deno task package`: a Debian package of the program with the Deno that runs it, made by dpkg-deb, with the list of
 * what is inside (CycloneDX) and SHA-256 sums beside it. The same commit gives the same bytes.
 */
import { parseArgs } from "node:util";
import { completionScript, SHELLS } from "../src/cli/completions.ts";
import { terminal } from "../src/cli/output.ts";
import { buildProgram } from "../src/cli/program.ts";
import { manPage } from "../src/cli/man_page.ts";
import { debianChangelog } from "./debian_changelog.ts";
import { copyrightText } from "./copyright.ts";
import { licenceOf, lockedClosure } from "./packages.ts";
import { DENO_RUN_OPTIONS, MAIN_FILE, type PackedProgram, packProgram } from "./program.ts";
import { sbom } from "./sbom.ts";
import { ROOT, run, sha256OfFile } from "./tools.ts";

/** Where the program lies once it is installed. */
const LIBRARY = "/usr/lib/vipfarm";
const DOCUMENTS = "usr/share/doc/vipfarm";
const COMPLETIONS: Readonly<Record<(typeof SHELLS)[number], string>> = {
  bash: "usr/share/bash-completion/completions/vipfarm",
  zsh: "usr/share/zsh/vendor-completions/_vipfarm",
  fish: "usr/share/fish/vendor_completions.d/vipfarm.fish",
};
const MAINTAINER = "The vipfarm developers <vipfarm@vipfarm.invalid>";
/** Debian's names of the architectures that Deno runs on. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x86_64: "amd64", aarch64: "arm64" };
/** Files of `config/` that are in force once they are installed; the rest are examples. */
const INSTALLED: Readonly<Record<string, string>> = {
  "systemd/vipfarm.service": "lib/systemd/system/vipfarm.service",
  "networkd/05-vipfarm.network": "usr/lib/systemd/network/05-vipfarm.network",
  "NetworkManager/vipfarm.conf": "usr/lib/NetworkManager/conf.d/vipfarm.conf",
};
const SCRIPTS = ["postinst", "prerm", "postrm"];

/** How dpkg-deb compresses: `best` is for what is given to others, `fast` for tests. One thread: more give other bytes. */
export type Compression = "best" | "fast";
const DPKG_COMPRESSION: Readonly<Record<Compression, readonly string[]>> = {
  best: ["-Zxz", "-z6", "--threads-max=1"],
  fast: ["-Zgzip", "-z1"],
};

/** What `makeDebianPackage` made. */
export interface DebianPackage {
  readonly file: string;
  readonly sbomFile: string;
  readonly sumsFile: string;
}

/** Makes the package in `output`; `directory` is for what comes in between, and has what packProgram left there. */
export async function makeDebianPackage(
  program: PackedProgram,
  directory: string,
  output: string,
  compression: Compression,
): Promise<DebianPackage> {
  const root = `${directory}/root`;
  const architecture = ARCHITECTURES[Deno.build.arch];
  const packages = await Promise.all(
    lockedClosure(program.lock, [
      ...program.bundled.map(({ name, version }) => `${name}@${version}`),
      ...program.imported,
    ]).map(
      async (each) => ({ ...each, licence: await licenceOf(`${directory}/sources/node_modules`, each) }),
    ),
  );
  const parts = sbom({
    version: program.version,
    revision: program.revision,
    commitTime: program.commitTime,
    packages,
    direct: program.imported,
    deno: { version: Deno.version.deno, sha256: await sha256OfFile(Deno.execPath()) },
  });

  const write = async (path: string, text: string, mode = 0o644) => {
    await Deno.mkdir(`${root}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.writeTextFile(`${root}/${path}`, text);
    await Deno.chmod(`${root}/${path}`, mode);
  };
  await Deno.mkdir(`${root}${LIBRARY}/program`, { recursive: true });
  await run(["cp", "-r", `${program.directory}/.`, `${root}${LIBRARY}/program`]);
  await run(["install", "-m", "755", Deno.execPath(), `${root}${LIBRARY}/deno`]);
  await write("usr/bin/vipfarm", await launcher(), 0o755);
  await Deno.mkdir(`${root}/etc/vipfarm`, { recursive: true });
  for (const [file, place] of Object.entries(INSTALLED)) {
    await write(place, await Deno.readTextFile(`${ROOT}config/${file}`));
  }
  const commandLine = buildProgram(terminal());
  for (const shell of SHELLS) await write(COMPLETIONS[shell], completionScript(commandLine, shell));
  const date = new Date(program.commitTime * 1e3).toISOString().slice(0, 10);
  await write("usr/share/man/man1/vipfarm.1", manPage(commandLine, { version: program.version, date }));
  await write(`${DOCUMENTS}/copyright`, copyrightText(packages));
  const changes = debianChangelog(await Deno.readTextFile(`${ROOT}CHANGELOG.md`), {
    version: program.version,
    commitTime: program.commitTime,
    maintainer: MAINTAINER,
  });
  await write(`${DOCUMENTS}/changelog`, changes);
  await write(`${DOCUMENTS}/vipfarm.cdx.json`, parts);
  await write("usr/share/lintian/overrides/vipfarm", await template("lintian-overrides", {}));
  const examples = `${root}/${DOCUMENTS}/examples`;
  await run(["cp", "-r", `${ROOT}config/.`, examples]);
  for (const file of Object.keys(INSTALLED)) {
    await Deno.remove(`${examples}/${file.split("/")[0]}`, { recursive: true });
  }
  // Debian takes no examples within examples.
  await run(["cp", "-r", `${examples}/examples/.`, examples]);
  await Deno.remove(`${examples}/examples`, { recursive: true });
  await run(["cp", "-r", `${ROOT}docs`, `${root}/${DOCUMENTS}/docs`]);
  await run(["gzip", "-9n", `${root}/usr/share/man/man1/vipfarm.1`, `${root}/${DOCUMENTS}/changelog`]);
  await run(["chmod", "-R", "u+rwX,go-w,go+rX", root]);

  const control = {
    VERSION: program.version,
    ARCHITECTURE: architecture,
    MAINTAINER,
    INSTALLED_SIZE: String(kibibytesOf(root)),
  };
  const sums = await run(["sh", "-c", "find * -type f | LC_ALL=C sort | xargs md5sum"], { cwd: root });
  await write("DEBIAN/control", await template("control", control));
  await write("DEBIAN/md5sums", sums);
  for (const name of SCRIPTS) await write(`DEBIAN/${name}`, await template(name, {}), 0o755);

  const base = `vipfarm_${program.version}_${architecture}`;
  const file = `${output}/${base}.deb`;
  // dpkg-deb takes no file to be younger than this: reproducible-builds.org/specs/source-date-epoch.
  await run(["dpkg-deb", "--build", "--root-owner-group", ...DPKG_COMPRESSION[compression], root, file], {
    env: { SOURCE_DATE_EPOCH: String(program.commitTime) },
  });
  const sbomFile = `${output}/${base}.cdx.json`;
  await Deno.writeTextFile(sbomFile, parts);
  const sumsFile = `${output}/SHA256SUMS`;
  await Deno.writeTextFile(
    sumsFile,
    await run(["sha256sum", `${base}.cdx.json`, `${base}.deb`], { cwd: output }),
  );
  return { file, sbomFile, sumsFile };
}

/** Of all files, each rounded up; one for each directory: deb-substvars(5). */
function kibibytesOf(directory: string): number {
  let sum = 0;
  for (const { name, isDirectory } of Deno.readDirSync(directory)) {
    const path = `${directory}/${name}`;
    sum += isDirectory ? 1 + kibibytesOf(path) : Math.ceil(Deno.statSync(path).size / 1024);
  }
  return sum;
}

function launcher(): Promise<string> {
  return template("launcher.sh", {
    LIBRARY,
    MAIN_FILE: `program/${MAIN_FILE}`,
    DENO_RUN_OPTIONS: DENO_RUN_OPTIONS.join(" "),
  });
}

async function template(name: string, values: Readonly<Record<string, string>>): Promise<string> {
  const text = await Deno.readTextFile(new URL(`./debian/${name}`, import.meta.url));
  return text.replaceAll(/@([A-Z_]+)@/g, (_, key: string) => values[key]);
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { fast: { type: "boolean" } }, args: Deno.args });
  const directory = await Deno.makeTempDir({ prefix: "vipfarm-package-" });
  try {
    const output = `${ROOT}dist`;
    await Deno.mkdir(output, { recursive: true });
    const program = await packProgram(directory);
    if (program.revision === undefined) {
      console.error("the checkout differs from its commit: this package is of no revision");
    }
    const made = await makeDebianPackage(program, directory, output, values.fast ? "fast" : "best");
    console.log(`${made.file}: ${((await Deno.stat(made.file)).size / 1e6).toFixed(1)} MB`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
