/** The certificate of the admin endpoint: read, and checked before it is used. */

import { createPrivateKey, X509Certificate } from "node:crypto";
import { readSecretFile } from "../config/secret_file.ts";
import { EXIT, messageOf, VipfarmError } from "../core/errors.ts";
import type { Certificate } from "./listener.ts";

/** Where they are, in PEM. */
export interface CertificateFiles {
  /** The certificate, and after it those between it and a root. */
  readonly certificateFile: string;
  readonly keyFile: string;
}

/**
 * Reads both.
 * @throws VipfarmError if one cannot be read or is none, the key is open to others, the two do not belong together,
 * or the certificate has expired.
 */
export async function loadCertificate({ certificateFile, keyFile }: CertificateFiles): Promise<Certificate> {
  const operation = "read the admin endpoint's certificate";
  const fail = (problem: string, value: string, remedy: string, cause?: unknown) =>
    new VipfarmError({ operation, problem, value, remedy, exitCode: EXIT.usage, cause });
  const key = await readSecretFile(operation, keyFile, "admin.tls.key");
  let certificate: string;
  try {
    certificate = await Deno.readTextFile(certificateFile);
  } catch (cause) {
    const problem = messageOf(cause);
    throw fail(
      problem,
      certificateFile,
      "Check admin.tls.certificate and the permissions of the file.",
      cause,
    );
  }
  const parse = <T>(file: string, what: string, read: () => T): T => {
    try {
      return read();
    } catch (cause) {
      throw fail(`this is no ${what} in PEM`, file, "Is it the right file, and whole?", cause);
    }
  };
  const parsed = parse(certificateFile, "certificate", () => new X509Certificate(certificate));
  const parsedKey = parse(keyFile, "private key", () => createPrivateKey(key));
  if (!parsed.checkPrivateKey(parsedKey)) {
    throw fail(
      "the key does not belong to the certificate",
      keyFile,
      "Put the pair in place: a running daemon takes it up within seconds.",
    );
  }
  if (Date.parse(parsed.validTo) < Date.now()) {
    throw fail(
      `the certificate expired on ${parsed.validTo}`,
      certificateFile,
      "Put a new one in its place.",
    );
  }
  return { certificate, key };
}

/**
 * The host names that a certificate is for, in lower case; `*.` stands for one label. They are its DNS names: its subject
 * is no name any more (RFC 9110 section 4.3.4).
 */
export function certifiedNames({ certificate }: Certificate): string[] {
  const { subjectAltName = "" } = new X509Certificate(certificate);
  return [...subjectAltName.toLowerCase().matchAll(/(?:^|, )dns:([a-z0-9*._-]+)(?=,|$)/g)]
    .map(([, name]) => name);
}
