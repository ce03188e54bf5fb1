/** Reading values that passed the checks: one that cannot be read now is a fault of the program, not of the file. */
import { VipfarmError } from "../core/errors.ts";

/**
 * What `reader` makes of the value.
 * @throws VipfarmError if that is nothing
 */
export function read<T, R>(value: T, reader: (value: T) => R | undefined): R {
  const result = reader(value);
  if (result === undefined) throw unread(String(value));
  return result;
}

/** The failure where a value cannot be read. */
export function unread(value: string): VipfarmError {
  return new VipfarmError({
    operation: "resolve configuration",
    problem: "a value passed the checks that cannot be read",
    value,
    remedy: "Please report this with the configuration file.",
  });
}
