// The model of listener filters (Envoy: extensions.filters.listener).

import type { LocalRateLimitModel } from './common.ts';

/** `ListenerFilterChainMatchPredicate`. */
export type ConnectionPredicateModel =
  | { readonly kind: 'any' }
  | { readonly kind: 'not'; readonly rule: ConnectionPredicateModel }
  | { readonly kind: 'and' | 'or'; readonly rules: readonly ConnectionPredicateModel[] }
  /** From `start` up to, but without, `end`. */
  | { readonly kind: 'destination_port'; readonly start: number; readonly end: number };

/** `TlsInspector`. Sizes in bytes. */
export interface TlsInspectorModel {
  readonly kind: 'tls_inspector';
  readonly ja3: boolean;
  readonly ja4: boolean;
  readonly helloBytesMax: number;
  readonly closeOnErrors: boolean;
}

/** What of a PROXY header's values is kept for upstream PROXY headers: all, the listed types, or none. */
export interface KeptTlvsModel {
  readonly all: boolean;
  readonly types: readonly number[];
}

/** `ProxyProtocol`. */
export interface ProxyProtocolModel {
  readonly kind: 'proxy_protocol';
  readonly rules: readonly {
    readonly type: number;
    /** Default `envoy.filters.listener.proxy_protocol`. */
    readonly namespace: string;
    readonly key: string;
    readonly encoding: 'sanitized' | 'base64';
  }[];
  readonly optional: boolean;
  readonly passThrough: KeptTlvsModel;
  readonly allowV1: boolean;
  readonly allowV2: boolean;
  readonly statPrefix: string;
}

/** One listener filter; filters run in the order of the configuration. */
export type ListenerFilterModel = (
  | TlsInspectorModel
  | { readonly kind: 'http_inspector' }
  | ProxyProtocolModel
  | { readonly kind: 'original_dst' }
  | { readonly kind: 'local_ratelimit'; readonly config: LocalRateLimitModel }
  | { readonly kind: 'original_src'; readonly bindPort: boolean; readonly mark: number }
) & {
  /** The filter is passed over for connections that match; `null` = for none. */
  readonly disabled: ConnectionPredicateModel | null;
};
