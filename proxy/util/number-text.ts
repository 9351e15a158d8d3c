// Numbers as C++ writes them.

/** As `%g` does: six significant digits, an exponent below 10⁻⁴ and from 10⁶ on. */
export function sixDigits(value: number): string {
  const rounded = Number(value.toPrecision(6));
  const magnitude = Math.abs(rounded);
  if (magnitude === 0 || (magnitude >= 1e-4 && magnitude < 1e6)) return String(rounded);
  const [mantissa, exponent] = rounded.toExponential().split('e') as [string, string];
  return `${mantissa}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`;
}

/**
 * As the JSON of protobuf writes a double: `%.15g`, or `%.17g` where that would be another number. JavaScript's shortest
 * form is the same unless it has 16 digits or more.
 */
export function protoDouble(value: number): string {
  if (Number(value.toPrecision(15)) === value) return String(value);
  const [mantissa, exponent] = value.toExponential(16).split('e') as [string, string];
  const magnitude = Number(exponent);
  if (magnitude >= -4 && magnitude < 17) return value.toFixed(16 - magnitude).replace(/\.?0+$/, '');
  return `${mantissa.replace(/\.?0+$/, '')}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`;
}
