// Which certificates stand for a server name, and which of them a client can verify.

import type { TlsCertificateModel } from '../config/model/tls.ts';

/** Suites of TLS 1.2 with ECDSA: GCM, ChaCha20, CBC (IANA). */
const ECDSA_SUITES: ReadonlySet<number> = new Set([0xc02b, 0xc02c, 0xcca9, 0xc009, 0xc00a, 0xc023]);
/** P-256, P-384 and P-521 with their digests. */
const ECDSA_SCHEMES: ReadonlySet<number> = new Set([0x0403, 0x0503, 0x0603]);

/** Whether a client can verify ECDSA: then Envoy shows it such a certificate, whatever the client prefers. */
export function takesEcdsa(
  hello: { readonly signatureAlgorithms: readonly number[]; readonly cipherSuites: readonly number[] },
  is13: boolean,
): boolean {
  return is13
    ? hello.signatureAlgorithms.some((scheme) => ECDSA_SCHEMES.has(scheme))
    : hello.cipherSuites.some((suite) => ECDSA_SUITES.has(suite));
}

/** The certificates of a name that are of the wanted kind; all of them when none is. */
export function ofKeyType(
  certificates: readonly TlsCertificateModel[],
  ecdsa: boolean,
): readonly TlsCertificateModel[] {
  const fitting = certificates.filter(({ keyType }) => (keyType === 'ec') === ecdsa);
  return fitting.length > 0 ? fitting : certificates;
}

/** Which certificates stand for a name: one of each key type at most, in order of configuration (Envoy's rules). */
export class ServerNames {
  /** More than one choice is possible. */
  readonly several: boolean;
  /** Without a server name: any certificate will do. */
  readonly unnamed: readonly TlsCertificateModel[];
  private readonly unknown: readonly TlsCertificateModel[];
  private readonly exact: ReadonlyMap<string, readonly TlsCertificateModel[]>;
  private readonly wildcard: ReadonlyMap<string, readonly TlsCertificateModel[]>;

  constructor(certificates: readonly TlsCertificateModel[], fullScan: boolean) {
    const exact = new Map<string, TlsCertificateModel[]>();
    const wildcard = new Map<string, TlsCertificateModel[]>();
    for (const certificate of certificates)
      for (const name of certificate.dnsNames) {
        const [table, key] = name.startsWith('*.') ? [wildcard, name.slice(1)] : [exact, name];
        const known = table.get(key);
        if (known === undefined) table.set(key, [certificate]);
        else known.push(certificate);
      }
    this.several = certificates.length > 1;
    this.unnamed = firstOfEachType(certificates);
    this.unknown = fullScan ? this.unnamed : certificates.slice(0, 1);
    this.exact = new Map([...exact].map(([name, list]) => [name, firstOfEachType(list)]));
    this.wildcard = new Map([...wildcard].map(([name, list]) => [name, firstOfEachType(list)]));
  }

  find(serverName: string): readonly TlsCertificateModel[] {
    const name = serverName.toLowerCase();
    const dot = name.indexOf('.');
    return this.exact.get(name) ?? (dot < 0 ? undefined : this.wildcard.get(name.slice(dot))) ?? this.unknown;
  }
}

function firstOfEachType(certificates: readonly TlsCertificateModel[]): readonly TlsCertificateModel[] {
  return certificates.filter((one, i) => certificates.findIndex(({ keyType }) => keyType === one.keyType) === i);
}
