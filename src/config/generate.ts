/**
 * Writes the files that are made from the schema: `deno task schema`. A test holds them up to date.
 */
import { jsonSchema } from "./schema.ts";
import { starterFile } from "./starter.ts";

/** The generated files by their path from the top of the repository. */
export function generatedFiles(): Record<string, string> {
  return {
    "config/vipfarm.schema.json": `${JSON.stringify(jsonSchema(), undefined, 2)}\n`,
    "config/vipfarm.yaml": starterFile({ schema: "vipfarm.schema.json" }),
  };
}

if (import.meta.main) {
  for (const [path, text] of Object.entries(generatedFiles())) {
    Deno.writeTextFileSync(new URL(`../../${path}`, import.meta.url), text);
  }
}
