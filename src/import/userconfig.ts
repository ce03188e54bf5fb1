/** SafeKit's `userconfig.xml` as a tree: well-formed XML, bounded, without entities of its own, with macros filled in. */
import {
  parseXml,
  XmlCdata,
  XmlComment,
  XmlElement as ParsedElement,
  XmlError,
  type XmlNode,
  XmlText,
} from "@rgrove/parse-xml";
import { EXIT, VipfarmError } from "../core/errors.ts";

/** A configuration is some kilobytes; nothing that a person wrote comes near these. */
const FILE_CHARACTERS_MAX = 1_048_576;
const ELEMENTS_MAX = 10_000;
const DEPTH_MAX = 32;
/** A macro may use others; deeper than this is a loop. */
const MACRO_DEPTH_MAX = 8;
/** A value with its macros filled in; what would become longer is cut off. */
const VALUE_CHARACTERS_MAX = 10_000;

/** An element with what is in it. */
export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  /** Text and CDATA. */
  readonly text: string;
  /** Comments that stand in it, in their order. */
  readonly comments: readonly string[];
  /** From 1. */
  readonly line: number;
}

/**
 * The element `safe`.
 * @throws VipfarmError if the text is no XML, is too large, or is no configuration of a SafeKit module
 */
export function parseUserconfig(text: string): XmlElement {
  const refuse = (problem: string, value?: string) =>
    new VipfarmError({ operation: "read SafeKit's userconfig.xml", problem, value, exitCode: EXIT.no });
  if (text.length > FILE_CHARACTERS_MAX) throw refuse(`it has more than ${FILE_CHARACTERS_MAX} characters`);
  // Files in the field have macros before <safe>, so it is not always the only element at the top.
  const prolog = /^\uFEFF?\s*(<\?xml[^>]*\?>)?(\s|<!--[\s\S]*?-->)*<!DOCTYPE([^>[]*)(\[?)/.exec(text);
  if (prolog?.[4]) throw refuse("it declares entities or elements of its own, which are not read");
  const blank = (match: string) => match.replaceAll(/[^\n]/g, " ");
  const body = text.replace(/^\uFEFF/, "").replace(/<\?xml[^>]*\?>/, blank).replace(
    /<!DOCTYPE[^>[]*>/,
    blank,
  );
  if (/^\s*[^<\s]/.test(body)) throw refuse("this is not XML");
  let top: ParsedElement;
  try {
    top = parseXml(`<top>${body}</top>`, { preserveComments: true, includeOffsets: true }).root!;
  } catch (error) {
    if (!(error instanceof XmlError)) throw error;
    throw refuse(error.message.split("\n")[0]);
  }
  const lineAt = lineCounter(body, "<top>".length);
  let elements = 0;
  const convert = (element: ParsedElement, depth: number): XmlElement => {
    if (++elements > ELEMENTS_MAX) throw refuse(`it has more than ${ELEMENTS_MAX} elements`);
    if (depth > DEPTH_MAX) throw refuse(`elements are nested deeper than ${DEPTH_MAX}`);
    const of = <T extends XmlNode>(kind: abstract new (...args: never[]) => T) =>
      element.children.filter((child): child is T & typeof child => child instanceof kind);
    return {
      name: element.name,
      attributes: { ...element.attributes },
      children: of(ParsedElement).map((child) => convert(child, depth + 1)),
      text: element.children.filter((child) => child instanceof XmlText || child instanceof XmlCdata)
        .map((child) => child.text).join("").trim(),
      comments: of(XmlComment).map(({ content }) => content.trim()),
      line: lineAt(element.start),
    };
  };
  const whole = convert(top, 0);
  const safe = whole.children.find(({ name }) => name === "safe");
  if (safe === undefined) throw refuse("it has no <safe> element");
  return fillMacros({ ...safe, comments: [...whole.comments, ...safe.comments] }, macrosOf(whole));
}

/** Every element of this name, however deep. */
export function elementsNamed(element: XmlElement, name: string): XmlElement[] {
  return element.children.flatMap((child) => [
    ...(child.name === name ? [child] : []),
    ...elementsNamed(child, name),
  ]);
}

/** Every comment in an element, however deep. */
export function commentsIn(element: XmlElement): string[] {
  return [...element.comments, ...element.children.flatMap(commentsIn)];
}

function lineCounter(text: string, before: number): (offset: number) => number {
  const ends = [...text.matchAll(/\n/g)].map(({ index }) => index);
  return (offset) => ends.filter((end) => end < offset - before).length + 1;
}

function macrosOf(whole: XmlElement): Map<string, string> {
  return new Map(
    elementsNamed(whole, "macro").map(({ attributes: { name = "", value = "" } }) => [
      name,
      value.slice(0, VALUE_CHARACTERS_MAX),
    ]),
  );
}

/** `%NAME%` in an attribute or a text is the macro's value. */
function fillMacros(element: XmlElement, macros: ReadonlyMap<string, string>): XmlElement {
  const fill = (text: string) => {
    for (let depth = 0; depth < MACRO_DEPTH_MAX && text.length <= VALUE_CHARACTERS_MAX; depth++) {
      const filled = text.replaceAll(/%(\w+)%/g, (whole, name) => macros.get(name) ?? whole);
      if (filled === text) break;
      text = filled.slice(0, VALUE_CHARACTERS_MAX + 1);
    }
    return text;
  };
  return {
    ...element,
    attributes: Object.fromEntries(
      Object.entries(element.attributes).map(([key, value]) => [key, fill(value)]),
    ),
    children: element.children.map((child) => fillMacros(child, macros)),
    text: fill(element.text),
  };
}
