/**
 * What the schema is made of: values with the words that complete "expected …" when one is wrong. Each part of the
 * file (`schema.ts` and the sections that it puts together) is written with these.
 */
import { z } from "zod";
import { type IpAddress, parseAddress } from "../core/address.ts";
import { WEIGHT_MAX } from "../core/limits.ts";
import {
  DURATION_PATTERN,
  formatDuration,
  INTERFACE_PATTERN,
  isUnicast,
  isVirtualIp,
  NAME_PATTERN,
  PORT_MAX,
} from "./values.ts";

/** What a value should have been, in words that complete "expected …". Kept out of the JSON Schema. */
export const expectations: ReturnType<typeof z.registry<{ expected: string }>> = z.registry();

export function expecting<T extends z.ZodType>(schema: T, expected: string): T {
  expectations.add(schema, { expected });
  return schema;
}

export const name = () =>
  expecting(
    z.string().regex(NAME_PATTERN),
    "1 to 63 letters, digits, dots, underscores or hyphens (in quotes if it looks like a number)",
  );
export const interfaceName = () =>
  expecting(z.string().regex(INTERFACE_PATTERN), "the name of a network interface, such as eth0");
const addressThat = (fits: (address: IpAddress) => boolean, expected: string) =>
  expecting(
    z.string().refine((text) => {
      const address = parseAddress(text);
      return address !== undefined && fits(address);
    }).meta({ anyOf: [{ format: "ipv4" }, { format: "ipv6" }] }),
    expected,
  );
export const unicastAddress = () =>
  addressThat(
    isUnicast,
    "a unicast IPv4 or IPv6 address without prefix length, such as 192.0.2.100 or 2001:db8::100",
  );
export const virtualIpAddress = () =>
  addressThat(
    isVirtualIp,
    "a unicast IPv4 or IPv6 address, no link-local one (fe80::/10), without prefix length, such as 192.0.2.100 or " +
      "2001:db8::100",
  );
export const anyAddress = () => addressThat(() => true, "an IPv4 or IPv6 address");
export const duration = (example: string) =>
  expecting(
    z.string().regex(DURATION_PATTERN),
    `a duration with its unit (ms, s, m or h), such as ${example}`,
  );
/** The bounds of a duration, for its description. */
export const between = ({ min, max }: { readonly min: number; readonly max: number }) =>
  `${formatDuration(min)} to ${formatDuration(max)}`;
export const weight = () =>
  expecting(z.int().min(0).max(WEIGHT_MAX), `a whole number from 0 (no new flows) to ${WEIGHT_MAX}`);
export const filePath = (what: string) => expecting(z.string().min(1).max(4_095), `the path of ${what}`);
export const portNumber = () =>
  expecting(z.int().min(1).max(PORT_MAX), `a port number from 1 to ${PORT_MAX}`);
export const choice = <const T extends readonly [string, ...string[]]>(values: T) =>
  expecting(
    z.enum(values),
    values.length === 1 ? values[0] : `${values.slice(0, -1).join(", ")} or ${values.at(-1)}`,
  );
export const list = <T extends z.ZodType>(item: T, max: number, what: string) =>
  expecting(z.array(item).max(max), `a list of ${what}, at most ${max}`);
export const someOf = <T extends z.ZodType>(item: T, max: number, what: string) =>
  expecting(z.array(item).min(1).max(max), `a list of one to ${max} ${what}`);
export const section = <T extends z.ZodRawShape>(shape: T) =>
  expecting(z.strictObject(shape), `a mapping with ${Object.keys(shape).join(", ")}`);
