/** Certificates for tests, made by the program `openssl`. */

import { canRun } from "./programs.ts";

export const opensslIsHere = await canRun("openssl", "version");

/** A self-signed certificate for localhost and this name; with empty text, if this openssl cannot make one for those dates. */
export async function makeCertificate(
  name: string,
  notBefore?: string,
  notAfter?: string,
): Promise<{ certificate: string; key: string }> {
  const directory = await Deno.makeTempDir();
  try {
    const validity = notBefore === undefined
      ? ["-days", "2"]
      : ["-not_before", notBefore, "-not_after", notAfter!];
    const { success } = await new Deno.Command("openssl", {
      args: [
        ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
        ...["-keyout", `${directory}/key`, "-out", `${directory}/crt`, "-subj", `/CN=${name}`, ...validity],
        ...["-addext", `subjectAltName=DNS:localhost,DNS:${name},IP:127.0.0.1`],
        ...["-addext", "basicConstraints=critical,CA:FALSE"],
      ],
      stderr: "null",
    }).output();
    if (!success) return { certificate: "", key: "" };
    const [certificate, key] = ["crt", "key"].map((file) => Deno.readTextFileSync(`${directory}/${file}`));
    return { certificate, key };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
