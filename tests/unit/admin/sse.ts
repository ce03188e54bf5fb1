/** Reads an event stream in tests: block by block, as it arrives. */

export interface Block {
  readonly comment: string;
  readonly fields: Record<string, string>;
}

/** The blocks of a stream; ends with it. */
export async function* blocks(body: ReadableStream<Uint8Array>): AsyncGenerator<Block> {
  let text = "";
  for await (const piece of body.pipeThrough(new TextDecoderStream())) {
    const parts = (text + piece).split("\n\n");
    text = parts.pop()!;
    for (const part of parts) {
      const fields: Record<string, string> = {};
      const comments: string[] = [];
      for (const line of part.split("\n")) {
        if (line.startsWith(":")) comments.push(line.slice(1).trim());
        else fields[line.slice(0, line.indexOf(":"))] = line.slice(line.indexOf(":") + 2);
      }
      yield { comment: comments.join("\n"), fields };
    }
  }
}

/** The next `count` blocks that carry data. */
export async function take(
  from: AsyncGenerator<Block>,
  count: number,
): Promise<Array<Record<string, string>>> {
  const taken: Array<Record<string, string>> = [];
  while (taken.length < count) {
    const { done, value } = await from.next();
    if (done) break;
    if (value.fields.data !== undefined) taken.push(value.fields);
  }
  return taken;
}
