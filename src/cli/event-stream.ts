/** Reads server-sent events from a response, chunk by chunk (WHATWG HTML, 9.2.6). */
export type StreamEvent = { readonly id: string; readonly name: string; readonly data: string };

export async function* readEventStream(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<StreamEvent> {
  const decoder = new TextDecoder();
  let rest = "";
  let fields = noFields();
  let id = "";
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (fields.data.length > 0) {
          yield { id, name: fields.name, data: fields.data.join("\n") };
        }
        fields = noFields();
        continue;
      }
      const colon = line.indexOf(":");
      const name = colon === -1 ? line : line.slice(0, colon);
      const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (name === "event") fields.name = value;
      else if (name === "data") fields.data.push(value);
      else if (name === "id") id = value;
    }
  }
}

function noFields(): { name: string; data: string[] } {
  return { name: "message", data: [] };
}
