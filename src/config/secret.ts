/** The farm secret: made, judged and read here and nowhere else. */
import { EXIT, messageOf, VipfarmError } from "../core/errors.ts";
import { SECRET_BYTES_MAX, SECRET_BYTES_MIN } from "../core/limits.ts";

/** Bytes of a new secret: a third more than the least, and a multiple of 3, so that base64 needs no padding. */
const NEW_SECRET_BYTES = 48;
/** Different byte values in 32 random bytes: fewer than this happens once in 10^20 times. */
const DIFFERENT_BYTES_MIN = 12;
/** Base64 of the shortest secret, without padding. */
const BASE64_CHARS_MIN = Math.ceil(SECRET_BYTES_MIN * 4 / 3);
/** Base64 of the longest secret, with line breaks. */
const FILE_BYTES_MAX = 2 * SECRET_BYTES_MAX;

/** What is wrong with a secret file, in the shape of a problem of the configuration. */
export interface SecretProblem {
  readonly message: string;
  readonly expected: string;
  readonly severity: "error" | "warning";
}

/** The bytes of a secret, or what keeps it from being one. */
export type JudgedSecret =
  | { readonly secret: Uint8Array; readonly problem?: SecretProblem }
  | { readonly secret?: undefined; readonly problem: SecretProblem };

/** A new farm secret in base64, with a line feed. */
export function newSecret(): string {
  return `${crypto.getRandomValues(new Uint8Array(NEW_SECRET_BYTES)).toBase64()}\n`;
}

/**
 * Reads the secret and judges file and content.
 * A file that this user may not read is a warning: who checks a configuration need not know the secret.
 */
export async function inspectSecret(path: string): Promise<JudgedSecret> {
  const quoted = `'${path.replaceAll("'", `'\\''`)}'`;
  const make = `make one with: vipfarm keygen --output ${quoted}`;
  // It may be another file than was meant: nothing is told to delete it.
  const anew = `move that file away and ${make}`;
  const error = (message: string, expected: string) => ({
    problem: { message, expected, severity: "error" as const },
  });
  let text: string;
  try {
    const info = await Deno.stat(path);
    if (!info.isFile) return error(`the secret ${path} is not a regular file`, "a file with the farm secret");
    const mode = info.mode === null ? 0 : info.mode & 0o777;
    if ((mode & 0o077) !== 0) {
      return error(
        `the secret ${path} can be read or changed by others (mode ${mode.toString(8).padStart(4, "0")})`,
        `mode 0600: chmod 600 ${quoted}, and a new secret if others may have seen it`,
      );
    }
    if (info.size > FILE_BYTES_MAX) {
      return error(`the secret ${path} has ${info.size} bytes`, `at most ${FILE_BYTES_MAX}; ${anew}`);
    }
    text = await Deno.readTextFile(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) {
      return error(`the secret ${path} does not exist`, `a file that is the same on every node; ${make}`);
    }
    if (cause instanceof Deno.errors.PermissionDenied) {
      return {
        problem: {
          message: `the secret ${path} may not be read by this user, so it was not checked`,
          expected: "a file that the user of the daemon (normally root) can read",
          severity: "warning",
        },
      };
    }
    const reason = messageOf(cause);
    return error(`the secret ${path} cannot be read (${reason})`, `a file with the farm secret; ${make}`);
  }
  return judgeSecret(text, `the secret ${path}`, anew);
}

/** Judges a secret in base64. `name` and `remedy` are for what is said of it. */
export function judgeSecret(text: string, name: string, remedy: string): JudgedSecret {
  const error = (message: string, expected: string): JudgedSecret => ({
    problem: { message, expected: `${expected}; ${remedy}`, severity: "error" },
  });
  const packed = text.replaceAll(/\s+/g, "");
  const secret = decodeBase64(packed);
  if (!secret) {
    const { length } = packed;
    if (length >= BASE64_CHARS_MIN) return error(`${name} is not base64`, "random bytes in base64");
    const what = length === 0
      ? "is empty"
      : `has ${length} character${length === 1 ? "" : "s"}, which is too short`;
    return error(`${name} ${what}`, `${SECRET_BYTES_MIN} to ${SECRET_BYTES_MAX} random bytes in base64`);
  }
  if (secret.length < SECRET_BYTES_MIN || secret.length > SECRET_BYTES_MAX) {
    return error(
      `${name} has ${secret.length} bytes`,
      `${SECRET_BYTES_MIN} to ${SECRET_BYTES_MAX} random bytes in base64`,
    );
  }
  if (new Set(secret).size < DIFFERENT_BYTES_MIN) {
    return {
      secret,
      problem: {
        message: `${name} repeats a few values and is easily guessed`,
        expected: `random bytes; ${remedy}`,
        severity: "warning",
      },
    };
  }
  return { secret };
}

/**
 * The bytes of the secret.
 * @throws VipfarmError if the file is missing, open to others, not readable or not a secret; `EXIT.privilege` where
 * this user may not read it
 */
export async function readSecret(path: string): Promise<Uint8Array> {
  const found = await inspectSecret(path);
  if (found.secret) return found.secret;
  const { message, expected, severity } = found.problem;
  throw new VipfarmError({
    operation: "read farm secret",
    problem: message,
    remedy: `Expected ${expected}.`,
    exitCode: severity === "warning" ? EXIT.privilege : EXIT.no,
  });
}

/** Bytes of standard base64 (RFC 4648 section 4); `undefined` for anything else. */
function decodeBase64(packed: string): Uint8Array | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(packed)) return undefined;
  try {
    return Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  } catch {
    return undefined;
  }
}
