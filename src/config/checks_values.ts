/** Values that only checks have. */
import { z } from "zod";
import { parseAddress } from "../core/address.ts";
import { expecting } from "./schema_values.ts";
import { isLinkLocal, isLoopback, isUnicast } from "./values.ts";

/**
 * A check's name stands in expressions: a CEL identifier that is none of CEL's own words, nor one that every JavaScript
 * object has, which the library would find in place of the check.
 */
export const CHECK_NAME_PATTERN =
  /^(?!(?:in|true|false|null|constructor|toString|toLocaleString|valueOf|hasOwnProperty|isPrototypeOf|propertyIsEnumerable)$)[A-Za-z]\w{0,62}$/;
export const identifier =
  "1 to 63 letters, digits or underscores, a letter first (it stands in rules; not in, true, false, null or constructor)";
/** Labels of RFC 1123, and underscores as services have them. */
export const HOST_PATTERN = /^(?=.{1,253}$)[A-Za-z0-9_]([\w-]{0,61}\w)?(\.[A-Za-z0-9_]([\w-]{0,61}\w)?)*\.?$/;
/** A status or a range of statuses written as text. */
export const STATUS_PATTERN = /^[1-5]\d\d(-[1-5]\d\d)?$/;

/** An address that this host can ask: its own loopback too, but no link-local one, which needs an interface. */
export const hostAddress = () =>
  expecting(
    z.string().refine((text) => {
      const address = parseAddress(text);
      return address !== undefined && (isUnicast(address) || isLoopback(address)) && !isLinkLocal(address);
    }).meta({ anyOf: [{ format: "ipv4" }, { format: "ipv6" }] }),
    "an IPv4 or IPv6 address of one host, such as 127.0.0.1 (no link-local one)",
  );
