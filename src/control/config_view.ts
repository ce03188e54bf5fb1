/** The configuration in use as the API shows it: every default filled in, without what may be secret. Pure. */
import { type FarmConfig } from "../config/load.ts";

/** In the place of what may be secret. */
export const HIDDEN = "(hidden)";

/** Keys whose values may be secret; those that end in `_file` name a place, and are shown. */
const SECRET_KEY = /secret|token|password|passphrase|authorization|cookie|credential|private|api[_-]?key/i;
/** Mappings whose values are for somebody else: what is secret in them cannot be told from their keys. */
const SECRET_VALUES = /^(headers|env|environment)$/;
const USER_INFO = /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+(?=@)/gi;
const SECRET_ARGUMENT = /((?:secret|token|password|passphrase|api[_-]?key)[=:])\S+/gi;
const SECRET_HEADER = /\b((?:authorization|cookie|x-[a-z-]*key)\s*:\s*).+/gi;
/** `--password`, `token`: the argument after it is the secret; `--password=…` and paths have it in themselves, or not at all. */
const ARGUMENT_NAME = /^[\w-]+$/;

/** The configuration with the file's own kind of names, addresses and durations as text. */
export function configView(config: FarmConfig): Record<string, unknown> {
  const { digest: _digest, servicesDigest: _services, ...rest } = config;
  return view(rest) as Record<string, unknown>;
}

function view(value: unknown): unknown {
  if (typeof value === "string") {
    return [USER_INFO, SECRET_ARGUMENT, SECRET_HEADER].reduce(
      (text, secret) => text.replace(secret, `$1${HIDDEN}`),
      value,
    );
  }
  if (Array.isArray(value)) {
    return value.map((each, index) => announcesSecret(value[index - 1]) ? HIDDEN : view(each));
  }
  if (value instanceof RegExp) return value.source;
  if (value instanceof Uint8Array) return HIDDEN;
  if (typeof value !== "object" || value === null) return value;
  if (isAddress(value)) return value.text;
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return Object.fromEntries(entries.map(([key, inner]) => {
    const name = snakeCase(String(key));
    return [
      name,
      isSecret(name, inner)
        ? HIDDEN
        : SECRET_VALUES.test(name)
        ? hideValues(inner)
        : name === "webhook"
        ? webhookView(inner)
        : view(inner),
    ];
  }));
}

/** Whoever knows the path of a chat's webhook may write there. */
function webhookView(webhook: unknown): unknown {
  const shown = view(webhook);
  if (typeof shown !== "object" || shown === null || !("url" in shown)) return shown;
  const origin = URL.canParse(String(shown.url)) ? `${new URL(String(shown.url)).origin}/` : "";
  return { ...shown, url: `${origin}${HIDDEN}` };
}

function announcesSecret(argument: unknown): boolean {
  return typeof argument === "string" && ARGUMENT_NAME.test(argument) && SECRET_KEY.test(argument) &&
    !argument.endsWith("file");
}

function isSecret(name: string, value: unknown): boolean {
  return SECRET_KEY.test(name) && !name.endsWith("_file") && value !== undefined && value !== null;
}

function hideValues(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return HIDDEN;
  return Object.fromEntries(Object.keys(value).map((key) => [key, HIDDEN]));
}

function isAddress(value: object): value is { text: string } {
  return "family" in value && "bytes" in value && "text" in value && typeof value.text === "string";
}

/** `drainOnStopMs` → `drain_on_stop_ms`; names of nodes and services have no such humps to lose. */
function snakeCase(key: string): string {
  return /^[a-z]+([A-Z][a-z0-9]*)+$/.test(key)
    ? key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    : key;
}
