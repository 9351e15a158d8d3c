// Request headers that Envoy keeps as one field: a repeated one is joined with commas. Any other repeated header stays
// several, of which formats show the first and matchers try each. Found by sending each name twice to Envoy 1.40; the
// last group could not be seen that way (Envoy rewrites them on arrival) and is declared alike.

const INLINE: ReadonlySet<string> = new Set(
  [
    'accept accept-encoding authorization cache-control origin referer user-agent via expect',
    'if-match if-none-match if-modified-since if-range pragma content-type content-encoding content-length',
    'access-control-request-method access-control-request-headers grpc-timeout grpc-accept-encoding',
    'x-forwarded-for x-forwarded-host x-forwarded-port x-client-trace-id',
    'x-envoy-original-path x-envoy-original-host x-envoy-external-address x-envoy-decorator-operation',
    'x-envoy-downstream-service-cluster x-envoy-downstream-service-node x-envoy-attempt-count x-envoy-is-timeout-retry',
    'te x-forwarded-proto x-forwarded-client-cert x-request-id',
  ]
    .join(' ')
    .split(' '),
);

/** Whether repeated request headers of this lower-case name count as one. */
export function isInlineRequestHeader(name: string): boolean {
  return INLINE.has(name);
}
