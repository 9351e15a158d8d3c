// Counting in a block of stats.

/** Adds to one slot; `index` is a constant of the block's catalogue. */
export function add(slots: Float64Array, index: number, amount: number): void {
  slots[index] = (slots[index] as number) + amount;
}
