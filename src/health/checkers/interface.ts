/** An interface is there and up, has a carrier and its addresses. After a change it runs again at once. */
import { type CheckTarget } from "../../config/checks_config.ts";
import { addressFromBytes } from "../../core/address.ts";
import { bad, type Checker, type CheckerParts, good } from "../checker.ts";

export function interfaceChecker(
  target: Extract<CheckTarget, { kind: "interface" }>,
  { links, interfaceName, poke }: CheckerParts,
): Checker {
  const name = interfaceName(target.name);
  const unsubscribe = links.subscribe(name, poke);
  return {
    run() {
      const reading = links.read();
      const link = reading.links.find((each) => each.name === name);
      if (link === undefined) return bad(`there is no interface ${name}`);
      if (!link.up) return bad(`${name} is switched off`);
      if (!link.carrier) return bad(`${name} has no carrier`);
      const there = new Set(
        reading.addresses.filter(({ index, tentative }) => index === link.index && !tentative)
          .map(({ address }) => addressFromBytes(address).text),
      );
      const missing = target.addresses.find(({ text }) => !there.has(text));
      return missing === undefined ? good(`${name} is up`) : bad(`${name} does not have ${missing.text}`);
    },
    close: unsubscribe,
  };
}
