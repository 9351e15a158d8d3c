// Streams that hold much memory, and which of them go when there is too little of it. The rules are Envoy's: streams fall
// into classes by powers of two, the pressure says how many classes are emptied, the heaviest first.

/** A stream with bytes that its peers do not take. */
export interface LoadedStream {
  readonly bytes: number;
  /** Ends it: the overload manager wants it. */
  giveUp(): void;
}

const CLASSES = 8;
/** Streams of one worker that are reset by one event. */
const RESETS_MAX = 50;

/**
 * @param pressure above 0, up to 1
 * @param leastBytes of the lightest class
 * @returns how many streams were given up
 */
export function resetLoaded(streams: readonly LoadedStream[], pressure: number, leastBytes: number): number {
  const emptied = Math.min(Math.floor(pressure * CLASSES) + 1, CLASSES);
  const lightest = CLASSES - emptied;
  const classOf = ({ bytes }: LoadedStream): number => Math.min(Math.floor(Math.log2(bytes / leastBytes)), CLASSES - 1);
  const given = streams
    .filter((stream) => stream.bytes >= leastBytes && classOf(stream) >= lightest)
    .sort((a, b) => classOf(b) - classOf(a))
    .slice(0, RESETS_MAX);
  for (const stream of given) stream.giveUp();
  return given.length;
}
