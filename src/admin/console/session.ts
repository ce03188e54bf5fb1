/** Who uses this page: the token, kept as long as the tab is open and never in an address; and what it allows. */

import { signal } from "@preact/signals";

export type Role = "monitor" | "control" | "admin";

/** Who the node takes us for. */
export interface Principal {
  readonly name: string;
  readonly role: Role;
}

const KEY = "vipfarm-token";

export const token = signal(sessionStorage.getItem(KEY) ?? "");
export const me = signal<Principal | undefined>(undefined);
/** Why a token is asked for; undefined: none is. */
export const tokenWanted = signal<string | undefined>(undefined);

/** Uses this token from now on. */
export function signIn(text: string): void {
  token.value = text;
  if (text === "") sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, text);
  me.value = undefined;
  tokenWanted.value = undefined;
}

/** Forgets the token, and asks for another. Nothing is asked of the node meanwhile: wrong tokens are counted. */
export function askForToken(problem: string): void {
  signIn("");
  tokenWanted.value = problem;
}

/** Whether the node would let us act; it has the last word in any case. */
export function mayAct(): boolean {
  return me.value === undefined || me.value.role !== "monitor";
}

/** Whether it would let us do what only the role admin may. */
export function mayAll(): boolean {
  return me.value?.role === "admin";
}
