// Counts handshakes of one listener or cluster under Envoy's names.

import * as stat from './catalogue-tls.ts';
import type { StatsStore } from './stats.ts';

/** What is counted of a handshake that succeeded; empty texts are not counted. */
export interface CountedHandshake {
  readonly version: string;
  readonly cipher: string;
  readonly group: string;
  readonly peerSignature: string;
  readonly resumed: boolean;
  readonly peer: object | null;
}

type FailureCounter =
  | 'connection_error'
  | 'fail_verify_error'
  | 'fail_verify_no_cert'
  | 'fail_verify_san'
  | 'fail_verify_cert_hash';

const FAILURES: Readonly<Record<FailureCounter, number>> = {
  connection_error: stat.SSL_CONNECTION_ERROR,
  fail_verify_error: stat.SSL_FAIL_VERIFY_ERROR,
  fail_verify_no_cert: stat.SSL_FAIL_VERIFY_NO_CERT,
  fail_verify_san: stat.SSL_FAIL_VERIFY_SAN,
  fail_verify_cert_hash: stat.SSL_FAIL_VERIFY_CERT_HASH,
};

const STAPLES = {
  staple: stat.SSL_OCSP_STAPLE_RESPONSES,
  omit: stat.SSL_OCSP_STAPLE_OMITTED,
  fail: stat.SSL_OCSP_STAPLE_FAILED,
} as const;

/** See the head of this file. */
export class TlsStats {
  private readonly slots: Float64Array;
  private readonly stats: StatsStore;
  private readonly prefix: string;
  /** Counters by what follows `ssl.`; names come from the TLS library, so there are few. */
  private readonly named: Map<string, Float64Array>;

  /** @param prefix `listener.<address>.` or `cluster.<name>.` */
  constructor(stats: StatsStore, prefix: string, side: 'server' | 'client') {
    this.slots = stats.block(stat.SSL, `${prefix}ssl.`);
    stats.block(stat.SSL_FACTORY, `${prefix}${side}_ssl_socket_factory.`);
    this.stats = stats;
    this.prefix = `${prefix}ssl.`;
    this.named = new Map();
  }

  secured(handshake: CountedHandshake): void {
    this.add(stat.SSL_HANDSHAKE);
    if (handshake.resumed) this.add(stat.SSL_SESSION_REUSED);
    if (handshake.peer === null) this.add(stat.SSL_NO_CERTIFICATE);
    this.addNamed('versions.', handshake.version);
    this.addNamed('ciphers.', handshake.cipher);
    this.addNamed('curves.', handshake.group);
    this.addNamed('sigalgs.', handshake.peerSignature);
  }

  failed(failure: { readonly counter: FailureCounter | null }): void {
    if (failure.counter !== null) this.add(FAILURES[failure.counter]);
  }

  stapleAsked(action: keyof typeof STAPLES): void {
    this.add(stat.SSL_OCSP_STAPLE_REQUESTS);
    this.add(STAPLES[action]);
  }

  /**
   * States when certificates end. Every worker knows it, and gauges are added up: only one of them may say it.
   * @param ends seconds since the epoch
   */
  certificateEnds(name: string, ends: number): void {
    this.stats.cell(`${this.prefix}certificate.${name}.expiration_unix_time_seconds`, 'g')[0] = ends;
  }

  private add(index: number): void {
    (this.slots[index] as number)++;
  }

  private addNamed(kind: string, name: string): void {
    if (name === '') return;
    const key = kind + name;
    let cell = this.named.get(key);
    if (cell === undefined) {
      cell = this.stats.cell(this.prefix + key, 'c');
      this.named.set(key, cell);
    }
    (cell[0] as number)++;
  }
}
