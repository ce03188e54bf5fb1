/** From a path inside a YAML document to line and column, through anchors. */
import { type Document, isAlias, isMap, isNode, isScalar, isSeq, type LineCounter, type Node } from "yaml";
import { type Path } from "./problem.ts";

/** Line and column, both from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Positions of keys and values of one parsed file. */
export class Positions {
  readonly #document: Document;
  readonly #lines: LineCounter;

  constructor(document: Document, lines: LineCounter) {
    this.#document = document;
    this.#lines = lines;
  }

  /** The position of a character offset. */
  ofOffset(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  /**
   * Where the value at `path` begins; its key, when `atKey` is set or the value is empty or a block of lines below
   * its key. A path that the file does not have gives the nearest thing above it that the file has. `into` counts
   * characters of a text that stands in the file as it is.
   */
  of(path: Path, atKey = false, into?: number): Position {
    let node = this.#document.contents as Node | null;
    let offset = node?.range?.[0] ?? 0;
    for (const [index, step] of path.entries()) {
      const container: unknown = isAlias(node) ? node.resolve(this.#document) : node;
      let key: unknown;
      let value: unknown;
      if (isMap(container)) {
        const pair = container.items.find((item) =>
          String(isScalar(item.key) ? item.key.value : item.key) === String(step)
        );
        if (!pair) break;
        key = pair.key;
        value = pair.value;
      } else if (isSeq(container) && typeof step === "number" && step < container.items.length) {
        value = container.items[step];
      } else break;

      const keyOffset = isNode(key) ? key.range?.[0] : undefined;
      const valueOffset = isNode(value) ? value.range?.[0] : undefined;
      const isLast = index === path.length - 1;
      const isBlock = (isMap(value) || isSeq(value)) && !value.flow;
      const isEmpty = isScalar(value) && value.value === null;
      const useKey = keyOffset !== undefined && (isEmpty || isBlock || (isLast && atKey));
      offset = (useKey ? keyOffset : valueOffset ?? keyOffset) ?? offset;
      node = isNode(value) ? value : null;
    }
    return this.ofOffset(offset + (into === undefined ? 0 : textOffset(node, into)));
  }
}

/** Where the character `into` of a text stands, seen from the beginning of its node: 0 if it is written otherwise. */
function textOffset(node: Node | null, into: number): number {
  if (!isScalar(node) || typeof node.value !== "string" || !node.range) return 0;
  const quotes = node.range[1] - node.range[0] - node.value.length;
  return quotes === 0 ? into : quotes === 2 && node.type?.startsWith("QUOTE") ? into + 1 : 0;
}
