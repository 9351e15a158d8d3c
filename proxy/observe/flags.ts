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
