// Turns byte offsets of the stored text (UTF-8) into places in a JavaScript string (UTF-16).

const STEP = 512;

/** Offsets of one text: built once in one pass, then each look-up walks at most a few hundred characters. */
export class Offsets {
  constructor(text) {
    this.text = text;
    this.marks = []; // [unit, byte] at every STEP units or so
    let byte = 0;
    for (let unit = 0; unit < text.length; ) {
      if (unit >= this.marks.length * STEP) this.marks.push([unit, byte]);
      const code = text.codePointAt(unit);
      byte += width(code);
      unit += code > 0xffff ? 2 : 1;
    }
    this.bytes = byte;
  }

  /** The string index of a byte offset; the end of the text for offsets beyond it, the character's start inside one. */
  unit(offset) {
    if (offset >= this.bytes) return this.text.length;
    let [low, high] = [0, this.marks.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.marks[middle][1] <= offset) low = middle;
      else high = middle - 1;
    }
    let [unit, byte] = this.marks[low] ?? [0, 0];
    for (;;) {
      const code = this.text.codePointAt(unit);
      if (byte + width(code) > offset) return unit;
      byte += width(code);
      unit += code > 0xffff ? 2 : 1;
    }
  }
}

function width(code) {
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}
