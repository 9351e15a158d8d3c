// Whole numbers in headers, as Envoy reads them (Abseil's `SimpleAtoi`).

/** Blanks around it and a sign are allowed. NaN = it is none. */
export function wholeNumber(text: string): number {
  return /^\s*[+-]?\d+\s*$/.test(text) ? Number(text) : Number.NaN;
}
