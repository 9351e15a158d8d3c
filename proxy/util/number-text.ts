// Numbers as C++ writes them.

/** As `%g` does: six significant digits, an exponent below 10⁻⁴ and from 10⁶ on. */
export function sixDigits(value: number): string {
  const rounded = Number(value.toPrecision(6));
  const magnitude = Math.abs(rounded);
  if (magnitude === 0 || (magnitude >= 1e-4 && magnitude < 1e6)) return String(rounded);
  const [mantissa, exponent] = rounded.toExponential().split('e') as [string, string];
  return `${mantissa}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`;
}
