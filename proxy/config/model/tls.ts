// The model of TLS contexts (Envoy: extensions.transport_sockets.tls.v3). File contents are read in the configuration
// thread, so that a worker never waits for a disk; files that may be replaced keep their path to be watched.

import type { FormatModel } from './access-log.ts';
import type { StringMatchModel } from './common.ts';

/** `core.v3.DataSource` after reading. */
export interface DataModel {
  /** Base64 of the bytes: models are plain JSON. */
  readonly base64: string;
  /** Where it came from, to be watched and named in errors; empty for inline and environment. */
  readonly path: string;
}

/** `TlsCertificate`, checked: the key fits the chain. */
export interface TlsCertificateModel {
  /** Name of the secret that it came as; empty when it stands in the context itself. */
  readonly name: string;
  /** PEM; empty when `pkcs12` is set. */
  readonly chain: DataModel;
  readonly key: DataModel;
  readonly password: DataModel | null;
  readonly pkcs12: DataModel | null;
  readonly ocspStaple: DataModel | null;
  /** When the staple ends, milliseconds since the epoch; −1 = it does not say, or there is none. */
  readonly stapleEndsMs: number;
  /** The leaf says that clients must refuse it without a staple. */
  readonly mustStaple: boolean;
  /** Of the leaf, for selection by SNI and key type. Lower case; `*.` wildcards kept. */
  readonly dnsNames: readonly string[];
  readonly keyType: 'rsa' | 'ec' | 'ed25519';
  /** A directory to watch besides those of the files; empty. */
  readonly watchedDirectory: string;
}

/** `SubjectAltNameMatcher`. */
export interface SanMatchModel {
  /** `any` for the deprecated untyped form. */
  readonly type: 'any' | 'dns' | 'uri' | 'email' | 'ip' | 'other';
  readonly match: StringMatchModel;
  /** Object identifier of `other`; empty. */
  readonly oid: string;
}

/** `CertificateValidationContext`. `null` in a context = peers are not verified. */
export interface TlsValidationModel {
  /** Name of the secret that it came as; empty. */
  readonly name: string;
  /** PEM bundle; `null` = no root is configured (a certificate is then not verified against one). */
  readonly trustedCa: DataModel | null;
  /** The operating system's roots. */
  readonly systemRoots: boolean;
  /** SPIFFE validator: roots by trust domain; `null` = not used. */
  readonly trustDomains: readonly { readonly name: string; readonly bundle: DataModel }[] | null;
  /** Lower-case hex digests of the DER certificate, SHA-256. Any of these or of the key digests is enough. */
  readonly certificateHashes: readonly string[];
  /** Base64 SHA-256 digests of the public key. */
  readonly spkiHashes: readonly string[];
  readonly subjectAltNames: readonly SanMatchModel[];
  readonly crl: DataModel | null;
  readonly onlyVerifyLeafCrl: boolean;
  /** Intermediate certificates allowed; −1 = the library's default (100). */
  readonly maxVerifyDepth: number;
  readonly acceptUntrusted: boolean;
  readonly allowExpired: boolean;
  /** Clients are not told which roots are trusted. */
  readonly suppressCaList: boolean;
  readonly watchedDirectory: string;
}

/** `CommonTlsContext`. */
export interface TlsCommonModel {
  /** Its field path: a context whose files were replaced is published under it. */
  readonly id: string;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  readonly maxVersion: 'TLSv1.2' | 'TLSv1.3';
  /** OpenSSL's list for TLS 1.2 joined with `:`, in order; empty = Envoy's default for the role. */
  readonly ciphers: string;
  /** Groups joined with `:`; empty = Envoy's default. */
  readonly curves: string;
  /** Signature algorithms joined with `:`; empty = the library's default. */
  readonly signatureAlgorithms: string;
  /** In order of preference; empty = none offered or answered. */
  readonly alpn: readonly string[];
  readonly certificates: readonly TlsCertificateModel[];
  readonly validation: TlsValidationModel | null;
  /** `key_log`: `null` = off. */
  readonly keyLog: { readonly path: string } | null;
  /** Digest of everything above but secrets' contents: part of session cache keys. */
  readonly digest: string;
}

/** `DownstreamTlsContext`. */
export interface DownstreamTlsModel extends TlsCommonModel {
  readonly requireClientCertificate: boolean;
  readonly fullScanCertsOnSniMismatch: boolean;
  /** Stateless resumption; with it off, and stateful resumption off, every handshake is full. */
  readonly sessionTickets: boolean;
  readonly statefulResumption: boolean;
  /** 80-byte keys, first one encrypts; empty = made by the process and shared by its workers. */
  readonly sessionTicketKeys: readonly DataModel[];
  readonly sessionTimeoutSeconds: number;
  readonly ocspStaplePolicy: 'lenient' | 'strict' | 'must_staple';
  readonly preferClientCiphers: boolean;
}

/** `UpstreamTlsContext`. */
export interface UpstreamTlsModel extends TlsCommonModel {
  /** Empty = none, unless `autoSni`. */
  readonly sni: string;
  readonly autoHostSni: boolean;
  readonly autoSniSanValidation: boolean;
  readonly allowRenegotiation: boolean;
  /** Sessions kept for resumption; 0 = none. Envoy's default is 1. */
  readonly maxSessionKeys: number;
}

/** A transport socket of a filter chain. */
export type DownstreamTransportModel =
  | { readonly kind: 'raw' }
  | { readonly kind: 'tls'; readonly tls: DownstreamTlsModel };

/** One value of a PROXY header, `core.v3.TlvEntry`. */
export interface TlvModel {
  readonly type: number;
  /** Empty where a format makes it. */
  readonly base64: string;
  /** `null` = it is always the same. */
  readonly format: FormatModel | null;
}

/** A transport socket of a cluster. */
export type UpstreamTransportModel =
  | { readonly kind: 'raw' }
  | { readonly kind: 'tls'; readonly tls: UpstreamTlsModel }
  | {
      readonly kind: 'proxy_protocol';
      readonly version: 1 | 2;
      readonly inner: UpstreamTransportModel;
      readonly passAllTlvs: boolean;
      readonly passTlvs: readonly number[];
      readonly addedTlvs: readonly TlvModel[];
    }
  | {
      readonly kind: 'internal';
      readonly inner: UpstreamTransportModel;
      /** Metadata handed to the internal listener's connection. */
      readonly passthrough: readonly { readonly of: 'cluster' | 'host'; readonly name: string }[];
    };

/** One entry of `transport_socket_matches`, tried in order against the endpoint's `envoy.transport_socket_match`. */
export interface TransportMatchModel {
  readonly name: string;
  readonly match: { readonly [key: string]: string | number | boolean };
  readonly transport: UpstreamTransportModel;
}
