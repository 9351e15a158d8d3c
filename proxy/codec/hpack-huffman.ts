// Huffman code of HPACK (RFC 7541 §5.2, appendix B): decoding by a table that eats four bits a step.
//
// The code is canonical, so its lengths say everything: codes of one length count upwards in the order of their symbols.

/** Bits of the code of each byte; the last one is EOS. */
const CODE_BITS = Uint8Array.of(
  ...[13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28],
  ...[28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15],
  ...[6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6],
  ...[15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22],
  ...[20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23],
  ...[23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22],
  ...[22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26],
  ...[27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27],
  ...[26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30],
);
const SYMBOLS = 257;
const EOS = 256;
const CODE_BITS_MAX = 30;

/** Decoded bytes come of at least 5 bits each. */
const EXPANSION_BITS_MIN = 5;
/** Buffer kept for decoding; longer strings get one of their own. */
const SCRATCH_BYTES = 16_384;

/** Where `decodeHuffman` leaves its result; valid until its next call. */
export let decoded: Buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
const scratch = decoded;

// A step: next state in bits 0–7, the byte that ends here in bits 8–15, and whether there is one in bit 16.
const EMITS = 1 << 16;
const INVALID = -1;
const steps = new Int32Array(256 * 16);
/** States in which a string may end: at a byte's end, or within at most seven one bits of padding. */
const mayEnd = new Uint8Array(256);
buildSteps();

/** Nodes of the code tree, two places each: ≥ 0 another node, < 0 the symbol −1 − x. */
function buildTree(): Int32Array {
  const tree = new Int32Array((SYMBOLS - 1) * 2);
  let nodes = 1;
  let code = 0;
  for (let bits = 1; bits <= CODE_BITS_MAX; bits++) {
    code *= 2;
    for (let symbol = 0; symbol < SYMBOLS; symbol++) {
      if (CODE_BITS[symbol] !== bits) continue;
      let node = 0;
      for (let bit = bits - 1; bit > 0; bit--) {
        const place = node * 2 + ((code >>> bit) & 1);
        if (tree[place] === 0) tree[place] = nodes++;
        node = tree[place] as number;
      }
      tree[node * 2 + (code & 1)] = -1 - symbol;
      code++;
    }
  }
  return tree;
}

function buildSteps(): void {
  const tree = buildTree();
  for (let node = 0; node < SYMBOLS - 1; node++)
    for (let four = 0; four < 16; four++) {
      let at = node;
      let step = 0;
      for (let bit = 3; bit >= 0 && step !== INVALID; bit--) {
        const next = tree[at * 2 + ((four >>> bit) & 1)] as number;
        at = Math.max(next, 0);
        if (next < 0) step = -1 - next === EOS ? INVALID : EMITS | ((-1 - next) << 8);
      }
      steps[node * 16 + four] = step === INVALID ? INVALID : step | at;
    }
  for (let node = 0, ones = 0; ones < 8; ones++) {
    mayEnd[node] = 1;
    node = tree[node * 2 + 1] as number;
  }
}

/**
 * Decodes `bytes` from `start` to `end` into `decoded`.
 * @returns how many bytes it gave; −1 = no valid code (EOS inside, padding longer than seven bits or not all ones)
 */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number): number {
  const most = Math.ceil(((end - start) * 8) / EXPANSION_BITS_MIN);
  const out = most <= SCRATCH_BYTES ? scratch : Buffer.allocUnsafeSlow(most);
  decoded = out;
  let state = 0;
  let count = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    let step = steps[(state << 4) | (byte >> 4)] as number;
    if (step < 0) return -1;
    if (step >= EMITS) out[count++] = (step >> 8) & 255;
    step = steps[((step & 255) << 4) | (byte & 15)] as number;
    if (step < 0) return -1;
    if (step >= EMITS) out[count++] = (step >> 8) & 255;
    state = step & 255;
  }
  return mayEnd[state] === 1 ? count : -1;
}
