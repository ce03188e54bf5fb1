/**
 * What is inside, for programs: a CycloneDX document (https://cyclonedx.org/docs/1.6/json/) with the program, the Deno
 * that runs it, and every npm package that the program depends on, itself or by way of another.
 */
import { type Licence, type LockedPackage } from "./packages.ts";

export interface SbomParts {
  readonly version: string;
  readonly revision: string | undefined;
  /** Seconds since the epoch. */
  readonly commitTime: number;
  readonly packages: ReadonlyArray<LockedPackage & { readonly licence: Licence }>;
  /** The packages that the program's own modules import. */
  readonly direct: readonly string[];
  readonly deno: { readonly version: string; readonly sha256: string };
}

/** The document, the same for the same parts. */
export function sbom({ version, revision, commitTime, packages, direct, deno }: SbomParts): string {
  const program = `pkg:generic/vipfarm@${version}`;
  const runtime = `pkg:github/denoland/deno@v${deno.version}`;
  const document = {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: {
      timestamp: new Date(commitTime * 1e3).toISOString(),
      component: {
        type: "application",
        "bom-ref": program,
        name: "vipfarm",
        version,
        purl: program,
        licenses: [{ expression: "Apache-2.0" }],
        ...(revision !== undefined && { pedigree: { commits: [{ uid: revision }] } }),
      },
    },
    components: [
      {
        type: "platform",
        "bom-ref": runtime,
        name: "deno",
        version: deno.version,
        purl: runtime,
        hashes: [{ alg: "SHA-256", content: deno.sha256 }],
        licenses: [{ expression: "MIT" }],
      },
      ...packages.map((each) => ({
        type: "library",
        "bom-ref": packageUrl(each),
        name: each.name,
        version: each.version,
        purl: packageUrl(each),
        hashes: [{ alg: "SHA-512", content: Uint8Array.fromBase64(each.sha512).toHex() }],
        licenses: [{ expression: each.licence.expression }],
      })),
    ],
    dependencies: [
      {
        ref: program,
        dependsOn: [
          runtime,
          ...packages.filter(({ name }) => direct.includes(name)).map(packageUrl),
        ],
      },
      ...packages.map((each) => ({
        ref: packageUrl(each),
        dependsOn: each.dependencies.map((key) =>
          packageUrl(packages.find(({ name, version }) => `${name}@${version}` === key)!)
        ),
      })),
    ],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** https://github.com/package-url/purl-spec: the `@` of a scope is escaped. */
function packageUrl({ name, version }: { name: string; version: string }): string {
  return `pkg:npm/${name.replace(/^@/, "%40")}@${version}`;
}
