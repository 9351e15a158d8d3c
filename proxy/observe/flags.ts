// Envoy's response flags as bits of one integer, with their short and long names
// (Envoy: source/common/stream_info/utility.h order; docs "Access log", %RESPONSE_FLAGS%).

export const FLAG_LH = 1 << 0; // failed local health check
export const FLAG_UH = 1 << 1; // no healthy upstream
export const FLAG_UT = 1 << 2; // upstream request timeout
export const FLAG_LR = 1 << 3; // local reset
export const FLAG_UR = 1 << 4; // upstream remote reset
export const FLAG_UF = 1 << 5; // upstream connection failure
export const FLAG_UC = 1 << 6; // upstream connection termination
export const FLAG_UO = 1 << 7; // upstream overflow
export const FLAG_NR = 1 << 8; // no route found
export const FLAG_DI = 1 << 9; // delay injected
export const FLAG_FI = 1 << 10; // fault injected
export const FLAG_RL = 1 << 11; // rate limited
export const FLAG_UAEX = 1 << 12; // unauthorized by an external service
export const FLAG_RLSE = 1 << 13; // rate limit service error
export const FLAG_DC = 1 << 14; // downstream connection termination
export const FLAG_URX = 1 << 15; // upstream retry limit exceeded
export const FLAG_SI = 1 << 16; // stream idle timeout
export const FLAG_IH = 1 << 17; // invalid request headers (strictly checked)
export const FLAG_DPE = 1 << 18; // downstream protocol error
export const FLAG_UMSDR = 1 << 19; // upstream max stream duration reached
export const FLAG_RFCF = 1 << 20; // response from cache
export const FLAG_NFCF = 1 << 21; // no filter config found
export const FLAG_DT = 1 << 22; // duration timeout
export const FLAG_UPE = 1 << 23; // upstream protocol error
export const FLAG_NC = 1 << 24; // no cluster found
export const FLAG_OM = 1 << 25; // overload manager
export const FLAG_DF = 1 << 26; // DNS resolution failure
export const FLAG_DO = 1 << 27; // drop overload
export const FLAG_DR = 1 << 28; // downstream remote reset
export const FLAG_UDO = 1 << 29; // unconditional drop overload

/** Short and long names by bit position. */
const NAMES: readonly (readonly [short: string, long: string])[] = [
  ['LH', 'FailedLocalHealthCheck'],
  ['UH', 'NoHealthyUpstream'],
  ['UT', 'UpstreamRequestTimeout'],
  ['LR', 'LocalReset'],
  ['UR', 'UpstreamRemoteReset'],
  ['UF', 'UpstreamConnectionFailure'],
  ['UC', 'UpstreamConnectionTermination'],
  ['UO', 'UpstreamOverflow'],
  ['NR', 'NoRouteFound'],
  ['DI', 'DelayInjected'],
  ['FI', 'FaultInjected'],
  ['RL', 'RateLimited'],
  ['UAEX', 'UnauthorizedExternalService'],
  ['RLSE', 'RateLimitServiceError'],
  ['DC', 'DownstreamConnectionTermination'],
  ['URX', 'UpstreamRetryLimitExceeded'],
  ['SI', 'StreamIdleTimeout'],
  ['IH', 'InvalidEnvoyRequestHeaders'],
  ['DPE', 'DownstreamProtocolError'],
  ['UMSDR', 'UpstreamMaxStreamDurationReached'],
  ['RFCF', 'ResponseFromCacheFilter'],
  ['NFCF', 'NoFilterConfigFound'],
  ['DT', 'DurationTimeout'],
  ['UPE', 'UpstreamProtocolError'],
  ['NC', 'NoClusterFound'],
  ['OM', 'OverloadManagerTerminated'],
  ['DF', 'DnsResolutionFailed'],
  ['DO', 'DropOverload'],
  ['DR', 'DownstreamRemoteReset'],
  ['UDO', 'UnconditionalDropOverload'],
];

// Envoy prints flags in the order in which they were set: what a fault filter or a spent retry policy says comes before
// the failure that ends the request. The TCP proxy counts its attempts after they failed.
const SET_FIRST = FLAG_DI | FLAG_FI | FLAG_URX;
const BITS = NAMES.map((_, bit) => bit);
const PRINT_ORDER: readonly number[] = [
  ...BITS.filter((bit) => (SET_FIRST & (1 << bit)) !== 0),
  ...BITS.filter((bit) => (SET_FIRST & (1 << bit)) === 0),
];

const shortTexts = new Map<number, string>();
const tcpTexts = new Map<number, string>();
const longTexts = new Map<number, string>();

function join(flags: number, which: 0 | 1, kept: Map<number, string>, order = PRINT_ORDER): string {
  let text = kept.get(flags);
  if (text === undefined) {
    text = order
      .filter((bit) => (flags & (1 << bit)) !== 0)
      .map((bit) => NAMES[bit]?.[which])
      .join(',');
    if (kept.size < KEPT_TEXTS_MAX) kept.set(flags, text);
  }
  return text;
}
/** Combinations of flags whose text is kept; few occur in practice. */
const KEPT_TEXTS_MAX = 1024;

/** `URX,UF`; `-` when no flag is set. */
export function flagsText(flags: number): string {
  return flags === 0 ? '-' : join(flags, 0, shortTexts);
}

/** As `flagsText`, of a connection without HTTP. */
export function tcpFlagsText(flags: number): string {
  return flags === 0 ? '-' : join(flags, 0, tcpTexts, BITS);
}

/** `UpstreamConnectionFailure,UpstreamRetryLimitExceeded`; `-` when no flag is set. */
export function flagsLongText(flags: number): string {
  return flags === 0 ? '-' : join(flags, 1, longTexts);
}

/** Bit of a short flag name; 0 when there is no such flag. */
export function flagOf(shortName: string): number {
  const bit = NAMES.findIndex((names) => names[0] === shortName);
  return bit < 0 ? 0 : 1 << bit;
}

/** Short names of all flags, for messages and validation. */
export function flagNames(): readonly string[] {
  return NAMES.map((names) => names[0]);
}
