// SPDX-License-Identifier: Apache-2.0
// A text put together from chunks that say where they belong, in bytes of UTF-8 (docs/protocol.md, Classes).

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** How many bytes of UTF-8 a text has. */
function bytesOf(text: string): number {
  return encoder.encode(text).length;
}

/** Whether a byte is the first of a character. */
function begins(byte: number | undefined): boolean {
  return byte === undefined || (byte & 0xc0) !== 0x80;
}

export class GrowingText {
  text = '';
  /** The bytes of the whole text that are held: `start` is above 0 when its beginning was missed. */
  start = 0;
  end = 0;
  /** Counts texts: another one when what was held is not the beginning of what is. */
  run = 0;

  /** A chunk behind the end is added, one inside is there already or replaces all from there on, any other begins anew. */
  put(content: string, offset: number): void {
    if (offset === this.end && offset > 0) {
      this.text += content;
      this.end += bytesOf(content);
      return;
    }
    const kept = offset > this.start && offset < this.end ? this.#before(offset, content) : undefined;
    if (kept === this.text) return;
    const held = this.text;
    this.text = (kept ?? '') + content;
    if (kept === undefined) this.start = offset;
    this.end = offset + bytesOf(content);
    if (kept === undefined ? held !== '' : !this.text.startsWith(held)) this.run++;
  }

  /** What is held before `offset`; all of it when `content` is what stands there; undefined inside of a character. */
  #before(offset: number, content: string): string | undefined {
    const bytes = encoder.encode(this.text), at = offset - this.start;
    if (!begins(bytes[at])) return undefined;
    const chunk = encoder.encode(content);
    return chunk.every((byte, i) => bytes[at + i] === byte) ? this.text : decoder.decode(bytes.subarray(0, at));
  }
}
