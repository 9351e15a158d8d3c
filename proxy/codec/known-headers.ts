// Header names the decoder knows: raw spelling → one interned entry, so that a name costs one map lookup and no copy.
//
// Names met on the wire are learned too, up to a bound, and the spelling last seen is found without hashing it; an attacker who fills the tables only makes others take the slower path.
import {
  KNOWN_CONNECTION,
  KNOWN_CONTENT_LENGTH,
  KNOWN_CONTENT_TYPE,
  KNOWN_COOKIE,
  KNOWN_DATE,
  KNOWN_ENVOY,
  KNOWN_EXPECT,
  KNOWN_FORWARDED_FOR,
  KNOWN_FORWARDED_OTHER,
  KNOWN_GRPC,
  KNOWN_HOP,
  KNOWN_REQUEST_ID,
  KNOWN_SERVER,
  KNOWN_TE,
  KNOWN_TRACE,
  KNOWN_TRANSFER_ENCODING,
  KNOWN_UPGRADE,
  KNOWN_USER_AGENT,
  KNOWN_VIA,
} from './http1.ts';

/** Names that the decoder itself acts on. */
export const KIND_PLAIN = 0;
export const KIND_HOST = 1;
export const KIND_CONTENT_LENGTH = 2;
export const KIND_TRANSFER_ENCODING = 3;
export const KIND_CONNECTION = 4;
export const KIND_UPGRADE = 5;
export const KIND_HTTP2_SETTINGS = 6;

/** One header name: its lower-case form and what the decoder must know of it. */
export class HeaderName {
  readonly name: string;
  /** `KNOWN_*` bit, 0 for most. */
  readonly bit: number;
  readonly kind: number;
  /** Place among the names of which Envoy keeps one entry in a request (values joined with `,`); −1 = repeated freely. */
  readonly requestInline: number;
  /** The same for responses. */
  readonly responseInline: number;
  readonly underscore: boolean;

  constructor(name: string, bit: number, kind: number, requestInline: number, responseInline: number) {
    this.name = name;
    this.bit = bit;
    this.kind = kind;
    this.requestInline = requestInline;
    this.responseInline = responseInline;
    this.underscore = name.includes('_');
  }
}

/** Most spellings kept; beyond it unknown names are checked and lower-cased each time. */
const LEARNED_NAMES_MAX = 2_048;
/** Longer names are not learned. */
const LEARNED_NAME_BYTES_MAX = 64;

// Seen on Envoy 1.40: repeated, these reach the upstream as one header. At most 64 names.
const REQUEST_INLINE = `accept accept-encoding authorization cache-control connection content-encoding content-length
  content-type expect if-match if-modified-since if-none-match if-range if-unmodified-since keep-alive origin pragma
  proxy-connection proxy-status referer te transfer-encoding upgrade user-agent via x-client-trace-id
  x-envoy-attempt-count x-envoy-decorator-operation x-envoy-downstream-service-cluster x-envoy-downstream-service-node
  x-envoy-expected-rq-timeout-ms x-envoy-external-address x-envoy-force-trace x-envoy-hedge-on-per-try-timeout
  x-envoy-internal x-envoy-ip-tags x-envoy-is-timeout-retry x-envoy-max-retries x-envoy-original-host
  x-envoy-original-path x-envoy-original-url x-envoy-retriable-header-names x-envoy-retriable-status-codes
  x-envoy-retry-grpc-on x-envoy-retry-on x-envoy-upstream-alt-stat-name x-envoy-upstream-rq-per-try-timeout-ms
  x-envoy-upstream-rq-timeout-alt-response x-envoy-upstream-rq-timeout-ms x-envoy-upstream-stream-duration-ms
  x-forwarded-client-cert x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto x-request-id grpc-timeout
  grpc-accept-encoding access-control-request-headers access-control-request-method
  access-control-request-private-network`.split(/\s+/);

const RESPONSE_INLINE = `access-control-allow-credentials access-control-allow-headers access-control-allow-methods
  access-control-allow-origin access-control-allow-private-network access-control-expose-headers access-control-max-age
  age cache-control connection content-encoding content-length content-type date etag expires grpc-message grpc-status
  keep-alive last-modified location proxy-connection proxy-status server transfer-encoding upgrade vary via
  x-envoy-attempt-count x-envoy-decorator-operation x-envoy-degraded x-envoy-immediate-health-check-fail
  x-envoy-ratelimited x-envoy-upstream-canary x-envoy-upstream-healthchecked-cluster x-envoy-upstream-service-time
  x-request-id`.split(/\s+/);

// Common on the wire, nothing special about them.
const OTHERS = `accept-charset accept-language accept-ranges alt-svc baggage b3 content-disposition content-language
  content-location content-range cookie dnt forwarded from host http2-settings grpc-encoding link max-forwards nel
  ot-tracer-sampled ot-tracer-spanid ot-tracer-traceid priority proxy-authenticate proxy-authorization range
  report-to retry-after sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site
  sec-fetch-user sec-websocket-accept sec-websocket-extensions sec-websocket-key sec-websocket-protocol
  sec-websocket-version server-timing set-cookie strict-transport-security traceparent tracestate trailer
  upgrade-insecure-requests warning www-authenticate x-b3-flags x-b3-parentspanid x-b3-sampled x-b3-spanid x-b3-traceid
  x-content-type-options x-envoy-overloaded x-envoy-peer-metadata x-envoy-peer-metadata-id x-forwarded-scheme
  x-frame-options x-ot-span-context x-powered-by x-real-ip x-requested-with x-xss-protection`.split(/\s+/);

// Usual spellings that are not Proper-Case-Words.
const SPELLINGS = ['DNT', 'ETag', 'NEL', 'TE', 'WWW-Authenticate', 'HTTP2-Settings', 'X-B3-TraceId', 'X-B3-SpanId']
  .concat(['X-B3-ParentSpanId', 'X-Request-ID', 'X-XSS-Protection', 'Sec-WebSocket-Accept', 'Sec-WebSocket-Key'])
  .concat(['Sec-WebSocket-Version', 'Sec-WebSocket-Protocol', 'Sec-WebSocket-Extensions', 'Sec-CH-UA', 'X-Real-IP']);

const KINDS: ReadonlyMap<string, number> = new Map([
  ['host', KIND_HOST],
  ['content-length', KIND_CONTENT_LENGTH],
  ['transfer-encoding', KIND_TRANSFER_ENCODING],
  ['connection', KIND_CONNECTION],
  ['upgrade', KIND_UPGRADE],
  ['http2-settings', KIND_HTTP2_SETTINGS],
]);

const BITS: ReadonlyMap<string, number> = new Map([
  ['connection', KNOWN_CONNECTION],
  ['upgrade', KNOWN_UPGRADE],
  ['transfer-encoding', KNOWN_TRANSFER_ENCODING],
  ['content-length', KNOWN_CONTENT_LENGTH],
  ['expect', KNOWN_EXPECT],
  ['te', KNOWN_TE],
  ['keep-alive', KNOWN_HOP],
  ['proxy-connection', KNOWN_HOP],
  ['x-forwarded-for', KNOWN_FORWARDED_FOR],
  ['x-request-id', KNOWN_REQUEST_ID],
  ['content-type', KNOWN_CONTENT_TYPE],
  ['user-agent', KNOWN_USER_AGENT],
  ['via', KNOWN_VIA],
  ['server', KNOWN_SERVER],
  ['date', KNOWN_DATE],
  ['cookie', KNOWN_COOKIE],
  ['traceparent', KNOWN_TRACE],
  ['tracestate', KNOWN_TRACE],
  ['b3', KNOWN_TRACE],
  ['x-client-trace-id', KNOWN_TRACE],
  ['x-ot-span-context', KNOWN_TRACE],
]);

/** Whether a header may tell the router what to do. @param name lower case */
export function isEnvoyHeader(name: string): boolean {
  return name.startsWith('x-envoy-');
}

function bitOf(name: string): number {
  const bit = BITS.get(name);
  if (bit !== undefined) return bit;
  if (isEnvoyHeader(name)) return KNOWN_ENVOY;
  if (name.startsWith('x-forwarded-')) return KNOWN_FORWARDED_OTHER;
  if (name.startsWith('grpc-')) return KNOWN_GRPC;
  return name.startsWith('x-b3-') ? KNOWN_TRACE : 0;
}

/** `x-request-id` → `X-Request-Id`, as Envoy's `proper_case_words` writes it. */
export function properCase(name: string): string {
  return name.replace(/(^|[^a-z0-9])([a-z])/g, (_, before: string, letter: string) => before + letter.toUpperCase());
}

const byRawName = new Map<string, HeaderName>();
for (const name of new Set([...REQUEST_INLINE, ...RESPONSE_INLINE, ...OTHERS])) {
  const kind = KINDS.get(name) ?? KIND_PLAIN;
  const entry = new HeaderName(name, bitOf(name), kind, REQUEST_INLINE.indexOf(name), RESPONSE_INLINE.indexOf(name));
  byRawName.set(name, entry);
  byRawName.set(properCase(name), entry);
}
for (const spelling of SPELLINGS) {
  const entry = byRawName.get(spelling.toLowerCase());
  if (entry !== undefined) byRawName.set(spelling, entry);
}
const learnedMax = byRawName.size + LEARNED_NAMES_MAX;

// RFC 9110 §5.6.2 token
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Whether the text is an RFC 9110 token. */
export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** Places of spellings seen last; one each, the newest wins. A power of two. */
const SEEN_SLOTS = 4_096;

/** A spelling and its entry. */
class SeenName {
  readonly raw: string;
  readonly name: HeaderName;

  constructor(raw: string, name: HeaderName) {
    this.raw = raw;
    this.name = name;
  }
}

const seen: SeenName[] = new Array(SEEN_SLOTS).fill(new SeenName('', new HeaderName('', 0, KIND_PLAIN, -1, -1)));

/**
 * The entry of the name that stands in `text` from `start` to `end`, or `null` when it is no token.
 * Length and three characters find the place; a comparison decides. Half the cost of a map lookup (micro.ts).
 */
export function headerNameIn(text: string, start: number, end: number): HeaderName | null {
  const length = end - start;
  if (length <= 0) return null;
  const mix =
    length * 37 + text.charCodeAt(start) * 5 + text.charCodeAt(end - 1) * 11 + text.charCodeAt((start + end) >> 1) * 3;
  const slot = mix & (SEEN_SLOTS - 1);
  const raw = text.slice(start, end);
  const found = seen[slot] as SeenName;
  if (found.raw === raw) return found.name;
  const name = headerName(raw);
  if (name !== null && length <= LEARNED_NAME_BYTES_MAX) seen[slot] = new SeenName(flatCopy(raw), name);
  return name;
}

/** The entry of a name as written, or `null` when it is no token. */
export function headerName(raw: string): HeaderName | null {
  return byRawName.get(raw) ?? learn(raw);
}

function learn(raw: string): HeaderName | null {
  if (!TOKEN.test(raw)) return null;
  const name = raw.toLowerCase();
  const entry = byRawName.get(name) ?? new HeaderName(name, bitOf(name), KIND_PLAIN, -1, -1);
  if (raw.length <= LEARNED_NAME_BYTES_MAX && byRawName.size < learnedMax) byRawName.set(flatCopy(raw), entry);
  return entry;
}

/** A copy that does not keep the head it was cut from alive. */
function flatCopy(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
