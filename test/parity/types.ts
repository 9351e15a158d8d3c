// What a parity scenario is made of: a bootstrap, scripted upstreams and clients, and what was observed.

import type { H2Options } from '../../proxy/codec/http2.ts';

/** Something a scripted peer does. Text is sent as latin1 bytes. */
export type Action =
  | string
  /** Waits that long, and then until the proxy has done all that was to be done by then. */
  | { readonly waitMs: number }
  /** `fin` half-closes, `reset` sends a TCP reset, `full` closes both ways. */
  | { readonly close: 'fin' | 'reset' | 'full' };

export type ClientStep =
  | Action
  /** Waits for that many final answers. */
  | { readonly answers: number }
  /** Waits until the upstreams have seen the heads of that many requests (or, raw, that many bytes). */
  | { readonly upstreamSaw: number }
  /** Waits until that many bytes have arrived here. */
  | { readonly bytes: number }
  /** Waits until a stat of the proxy has come so far: for what its timers do. */
  | { readonly stat: string; readonly atLeast: number };

/** Something a scripted HTTP/2 upstream does about a request. */
export type Http2Action =
  /** A header block of `name: value` lines, pseudo-headers included: a head, or trailers. */
  | { readonly head: readonly string[]; readonly end?: boolean }
  | { readonly data: string; readonly end?: boolean }
  | { readonly reset: number }
  /** With the last stream id. */
  | { readonly goaway: number; readonly code?: number }
  /** Bytes, latin1. */
  | { readonly raw: string }
  | { readonly waitFor: 'end' }
  | { readonly waitMs: number }
  | { readonly close: 'fin' | 'reset' | 'full' };

export interface Http2Script {
  /** As in `UpstreamScript`; without any, 200 with the body `ok`. */
  readonly replies?: readonly (readonly Http2Action[])[];
  /** Reply when the head is there, not when the body is. */
  readonly early?: boolean;
  /** Nothing is read behind a request's head: PINGs stay without an answer. */
  readonly deaf?: boolean;
  /** Of the session, e.g. the streams that it allows. */
  readonly options?: Partial<H2Options>;
}

export interface UpstreamScript {
  /** The upstream speaks HTTP/2, and does nothing else of this script; with protocols of TLS only where they say so. */
  readonly http2?: Http2Script;
  /** Done when a connection is accepted, before anything is read. */
  readonly onConnect?: readonly Action[];
  /** One entry per request in order of arrival, over all connections; the last one repeats. */
  readonly replies?: readonly (readonly Action[])[];
  /** Reply when the head is there, not when the body is. */
  readonly early?: boolean;
  /** Everything else happens within TLS. */
  readonly tls?: ServerTls;
  /** Not HTTP: what to do on a connection; `read` waits until that many bytes have come in all. */
  readonly raw?: readonly (Action | { readonly read: number })[];
}

/** Parts of an observation that a comparison can leave out. */
export type Part = 'answers' | 'end' | 'upstream' | 'log';

/** How an upstream speaks TLS; names as in `ClientTls`. What its client says is recorded as headers of each request. */
export interface ServerTls {
  readonly certificate: string;
  /** Asks for a certificate of `ca.pem`; `require` refuses everybody else. */
  readonly asks?: 'accept' | 'require';
  readonly alpn?: readonly string[];
  /** Both bounds; default TLS 1.2 and 1.3. */
  readonly version?: 'TLSv1.2' | 'TLSv1.3';
}

/** How a client speaks TLS; the names are those of files in `test/fixtures/tls/`. */
export interface ClientTls {
  /** Certificate that the client shows; default none. */
  readonly certificate?: string;
  /** Default none. */
  readonly serverName?: string;
  readonly alpn?: readonly string[];
  /** Both bounds; default what Node offers. */
  readonly version?: 'TLSv1.2' | 'TLSv1.3';
  /** Suites of TLS 1.2, groups: OpenSSL's names joined with `:`. */
  readonly ciphers?: string;
  readonly groups?: string;
  /** Asks for a staple. */
  readonly status?: boolean;
}

export interface Scenario {
  readonly name: string;
  /** Name of the listener that the client connects to; default `main`. */
  readonly listener?: string;
  /** Addresses of the client and the one it connects to; default 127.0.0.1. */
  readonly from?: string;
  readonly target?: string;
  readonly client: readonly ClientStep[];
  /** The client speaks TLS; what it sees of the handshake is recorded. */
  readonly tls?: ClientTls;
  /** Final answers (ended streams) that end the scenario; default 1. 0 = wait for the connection to close. */
  readonly answers?: number;
  /** What comes back are frames (`frames.ts`); a polite client answers SETTINGS and PING, a mute one does not. */
  readonly http2?: 'polite' | 'mute';
  /** Answers have no bodies (HEAD). */
  readonly bodiless?: boolean;
  /** Scripts by upstream name. An upstream without a script answers 200 with the body `ok`. */
  readonly upstreams?: Readonly<Record<string, UpstreamScript>>;
  /** Where this proxy differs from Envoy on purpose, and why; these parts are not compared. */
  readonly differs?: {
    readonly why: string;
    readonly parts: readonly Part[];
    /** First line of this proxy's only answer. */
    readonly ours: string;
  };
}

/** Ports of a running group by name: `admin`, listeners, upstreams, and `dead`, where nothing listens. */
export type Ports = Readonly<Record<string, number>>;

/** Scenarios that share one process, run one after the other. */
export interface Group {
  readonly name: string;
  readonly listeners: readonly string[];
  readonly upstreams: readonly string[];
  /** A bootstrap as a JSON value. */
  readonly bootstrap: (ports: Ports, logPath: string) => object;
  readonly scenarios: readonly Scenario[];
  /** Stats compared after all scenarios, as a regular expression over names. */
  readonly stats?: RegExp;
}

export interface ObservedMessage {
  /** Request or status line. */
  readonly line: string;
  /** `name: value`, sorted by name; names as written. */
  readonly headers: readonly string[];
  readonly body: string;
}

/** What a client sees of its handshake. */
export interface ObservedTls {
  readonly version: string;
  readonly cipher: string;
  /** Empty = none was agreed on. */
  readonly alpn: string;
  /** Serial number of the server's certificate, hex. */
  readonly serial: string;
  /** Of who asked for one: `stapled`, `none`. */
  readonly staple?: string;
}

export interface Observation {
  readonly tls?: ObservedTls;
  readonly answers: readonly ObservedMessage[];
  /** Bytes that are no answer. */
  readonly rest?: string;
  /** How the connection was left by the proxy. */
  readonly end: 'open' | 'closed' | 'reset' | 'by client';
  /** What each upstream saw; raw upstreams: their bytes as `body`. */
  readonly upstream: Readonly<Record<string, readonly ObservedMessage[]>>;
  /** Access log records. */
  readonly log: readonly Readonly<Record<string, unknown>>[];
}

export interface GroupObservation {
  readonly scenarios: Readonly<Record<string, Observation>>;
  readonly stats: Readonly<Record<string, number>>;
  /** Lines of outlier detection's log by cluster, without times; absent = nothing is in `eventLog(logPath)`. */
  readonly events?: { readonly [cluster: string]: readonly Readonly<Record<string, unknown>>[] | undefined };
}
