// Constants that the programs of the benchmark share.

/** Body of the origin's answer to `/`: 100 bytes. */
export const HOST_BODY = `${'outrigger'.repeat(11)}\n`;
/** Core of the proxy under test, and core of load and origin. */
export const PROXY_CORE = 0;
export const LOAD_CORE = 1;
/** Not pinned to a core. */
export const ANY_CORE = -1;
/** Connections of the closed loop. */
export const CONNECTIONS = 32;
/** Open loop: requests a second. */
export const OPEN_RATE = 1_000;
/** Reader of the big body: bytes a second. */
export const SLOW_READER_BYTES_PER_S = 50_000_000;
/** Idle connections held by the `idle` row. */
export const IDLE_CONNECTIONS = 10_000;
/** HTTP/2 load: connections, and streams on each. */
export const HTTP2_CONNECTIONS = 4;
export const HTTP2_STREAMS = 50;
/** Idle connections under mutual TLS. */
export const IDLE_TLS_CONNECTIONS = 2_000;
