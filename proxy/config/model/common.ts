// Small parts that occur everywhere in the model.

/** `envoy.config.core.v3.Address`: a TCP or UDP socket, a Unix socket path (`@name` = abstract) or an internal listener. */
export type AddressModel =
  | {
      readonly kind: 'socket';
      readonly protocol: 'tcp' | 'udp';
      /** Literal IP, or a host name where DNS clusters allow one. */
      readonly address: string;
      readonly port: number;
      /** `ipv4_compat`: an IPv6 socket also takes IPv4. */
      readonly ipv4Compat: boolean;
    }
  | { readonly kind: 'pipe'; readonly path: string /** 0 = leave as created. */; readonly mode: number }
  | { readonly kind: 'internal'; readonly listenerName: string; readonly endpointId: string };

/** An address range; `address` is a literal IP. */
export interface CidrModel {
  readonly address: string;
  readonly prefixLength: number;
}

/** `core.v3.Metadata.filter_metadata`: namespace → struct as JSON. */
export type MetadataModel = { readonly [namespace: string]: JsonObject };

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;

export type JsonObject = { readonly [key: string]: JsonValue };

/** `type.v3.FractionalPercent` under an optional runtime key; `numerator / denominator` is the share. */
export interface FractionModel {
  readonly numerator: number;
  readonly denominator: 100 | 10_000 | 1_000_000;
  /** Empty when not runtime-controlled. */
  readonly runtimeKey: string;
}

export interface TcpKeepaliveModel {
  /** Unanswered probes before the connection is dropped; 0 = the kernel's default. */
  readonly probes: number;
  /** Idle time before the first probe, seconds; 0 = the kernel's default. */
  readonly timeSeconds: number;
  /** Between probes, seconds; 0 = the kernel's default. */
  readonly intervalSeconds: number;
}

export interface SocketOptionModel {
  readonly description: string;
  readonly level: number;
  readonly name: number;
  /** Base64 when `buffer`, otherwise an integer. */
  readonly value:
    | { readonly kind: 'int'; readonly value: number }
    | { readonly kind: 'bytes'; readonly base64: string };
  readonly state: 'prebind' | 'bound' | 'listening';
}

/** `type.matcher.v3.StringMatcher`. With `ignoreCase`, `value` is already lower case. A regex matches in full (RE2 meaning). */
export interface StringMatchModel {
  readonly kind: 'exact' | 'prefix' | 'suffix' | 'contains' | 'regex';
  readonly value: string;
  readonly ignoreCase: boolean;
}

/** `RuntimeFeatureFlag`. */
export interface RuntimeFlagModel {
  readonly defaultValue: boolean;
  /** Empty = not runtime-controlled. */
  readonly runtimeKey: string;
}

export interface LocalRateLimitModel {
  readonly statPrefix: string;
  readonly maxTokens: number;
  readonly tokensPerFill: number;
  readonly fillIntervalMs: number;
  /** Filters with the same key share a bucket; empty = its own. */
  readonly shareKey: string;
  readonly enabled: RuntimeFlagModel;
}
