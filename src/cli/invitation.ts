/**
 * A farm's configuration and secret as one text that may travel by mail, chat or paper: encrypted under a passphrase that
 * travels another way. scrypt (RFC 7914) makes a key of the passphrase, AES-256-GCM (NIST SP 800-38D) encrypts and
 * proves that nothing was changed.
 *
 *   "VFI" form  log2 N  salt 16  nonce 12  ciphertext  tag 16        all before the ciphertext is authenticated too
 */
import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from "node:crypto";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { z } from "zod";
import { VipfarmError } from "../core/errors.ts";

const MAGIC = new TextEncoder().encode("VFI\x01");
/** 64 MiB and a quarter of a second for each guess: RFC 7914 section 2 leaves it to the time one has. */
const SCRYPT_LOG2_N = 16;
/** What a text made elsewhere may demand of this host, 256 MiB, and what is the least worth its name. */
const SCRYPT_LOG2_N_MAX = 18;
const SCRYPT_LOG2_N_MIN = 14;
const SCRYPT_R = 8;
const SALT_BYTES = 16, NONCE_BYTES = 12, TAG_BYTES = 16, KEY_BYTES = 32;
const HEADER_BYTES = MAGIC.length + 1 + SALT_BYTES + NONCE_BYTES;
/** A configuration of the largest farm has a few kilobytes. */
const TEXT_CHARS_MAX = 1 << 20;
/** Encrypted and in base64 it still fits, should it not compress at all. */
const PLAIN_BYTES_MAX = TEXT_CHARS_MAX / 2;
const LINE_CHARS = 64;
const BEGIN = "-----BEGIN VIPFARM INVITATION-----";
const END = "-----END VIPFARM INVITATION-----";

/** Letters and digits that are not taken for each other: 32 of them, 5 bits each. */
const PASSPHRASE_ALPHABET = "abcdefghjkmnpqrstuvwxyz123456789";
/** 80 bits: with scrypt out of reach for guessing. */
const PASSPHRASE_CHARS = 16;
const PASSPHRASE_GROUP = 4;
/** Of a passphrase that somebody chose. */
export const PASSPHRASE_CHARS_MIN = 12;

const InvitationSchema = z.strictObject({
  form: z.literal(1),
  farm: z.string().max(63),
  config: z.string(),
  secret: z.string(),
});

/** What an invitation carries. */
export type Invitation = Omit<z.infer<typeof InvitationSchema>, "form">;

/** Four groups of four characters. */
export function newPassphrase(): string {
  const characters = Array.from(
    randomBytes(PASSPHRASE_CHARS),
    (byte) => PASSPHRASE_ALPHABET[byte % PASSPHRASE_ALPHABET.length],
  );
  const groups: string[] = [];
  while (characters.length > 0) groups.push(characters.splice(0, PASSPHRASE_GROUP).join(""));
  return groups.join("-");
}

/**
 * The text.
 * @throws VipfarmError if there is more in it than {@link open} takes
 */
export function seal(invitation: Invitation, passphrase: string): string {
  const plain = Buffer.from(JSON.stringify({ form: 1, ...invitation }));
  if (plain.length > PLAIN_BYTES_MAX) {
    throw new VipfarmError({
      operation: "make invitation",
      problem: `an invitation carries at most ${PLAIN_BYTES_MAX} bytes`,
      value: `${plain.length} bytes`,
      remedy:
        "Take comments out of the configuration file, or copy it and its secret to the other nodes by hand.",
    });
  }
  const header = Buffer.concat([
    MAGIC,
    new Uint8Array([SCRYPT_LOG2_N]),
    randomBytes(SALT_BYTES),
    randomBytes(NONCE_BYTES),
  ]);
  const cipher = createCipheriv("aes-256-gcm", keyOf(header, passphrase), nonceOf(header));
  cipher.setAAD(header);
  const encrypted = [cipher.update(deflateRawSync(plain)), cipher.final()];
  const sealed = Buffer.concat([header, ...encrypted, cipher.getAuthTag()]);
  const lines = sealed.toString("base64").match(new RegExp(`.{1,${LINE_CHARS}}`, "g")) ?? [];
  return [BEGIN, ...lines, END, ""].join("\n");
}

/**
 * What is in the text. Words before and after it, as in a mail, do not matter.
 * @throws VipfarmError if it is none, or the passphrase is another
 */
export function open(text: string, passphrase: string): Invitation {
  const sealed = unwrap(text);
  const header = sealed.subarray(0, HEADER_BYTES);
  const tagAt = sealed.length - TAG_BYTES;
  const decipher = createDecipheriv("aes-256-gcm", keyOf(header, passphrase), nonceOf(header));
  decipher.setAAD(header);
  decipher.setAuthTag(sealed.subarray(tagAt));
  let plain: Buffer;
  try {
    plain = Buffer.concat([decipher.update(sealed.subarray(HEADER_BYTES, tagAt)), decipher.final()]);
  } catch (cause) {
    throw refused("the passphrase is another one, or the text was changed", cause);
  }
  const { success, data } = InvitationSchema.safeParse(
    JSON.parse(inflateRawSync(plain, { maxOutputLength: PLAIN_BYTES_MAX }).toString()),
  );
  if (!success) throw ofAnotherVersion();
  const { form: _, ...invitation } = data;
  return invitation;
}

/**
 * What is sealed in the text.
 * @throws VipfarmError if it is no invitation, or not a whole one
 */
export function unwrap(text: string): Buffer {
  if (text.trim() === "") throw refused("it is empty");
  if (text.length > TEXT_CHARS_MAX) throw refused(`it has more than ${TEXT_CHARS_MAX} characters`);
  const begin = text.indexOf(BEGIN);
  if (begin < 0) throw refused(`there is no "${BEGIN}" in it`);
  const end = text.indexOf(END, begin);
  if (end < 0) throw refused(`it is cut off: there is no "${END}" in it`);
  // Quoted in a mail, its lines begin with "> ".
  const sealed = Buffer.from(text.slice(begin + BEGIN.length, end).replaceAll(/[\s>]/g, ""), "base64");
  const isOurs = sealed.length > HEADER_BYTES + TAG_BYTES &&
    MAGIC.every((byte, index) => sealed[index] === byte) &&
    sealed[MAGIC.length] >= SCRYPT_LOG2_N_MIN && sealed[MAGIC.length] <= SCRYPT_LOG2_N_MAX;
  if (!isOurs) throw ofAnotherVersion();
  return sealed;
}

function keyOf(header: Buffer, passphrase: string): Buffer {
  const N = 2 ** header[MAGIC.length];
  const salt = header.subarray(MAGIC.length + 1, MAGIC.length + 1 + SALT_BYTES);
  return scryptSync(charactersOf(passphrase), salt, KEY_BYTES, {
    N,
    r: SCRYPT_R,
    p: 1,
    maxmem: 256 * N * SCRYPT_R,
  });
}

/** What counts of a passphrase as it is typed: case, blanks and hyphens are no part of it. */
export function charactersOf(passphrase: string): string {
  return passphrase.toLowerCase().replaceAll(/[\s-]/g, "");
}

function nonceOf(header: Buffer): Buffer {
  return header.subarray(HEADER_BYTES - NONCE_BYTES, HEADER_BYTES);
}

function ofAnotherVersion(): VipfarmError {
  return refused("it is of another version of vipfarm, or incomplete");
}

function refused(problem: string, cause?: unknown): VipfarmError {
  return new VipfarmError({
    operation: "read invitation",
    problem,
    remedy: "Copy the whole text that `vipfarm invite` printed, and the passphrase beside it.",
    cause,
  });
}
