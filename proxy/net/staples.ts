// OCSP staples: what a client that asks for one gets, by the policy of the context and of the certificate.

import type { DownstreamTlsModel, TlsCertificateModel } from '../config/model/tls.ts';
import { nodeCrypto } from '../util/builtin.ts';
import { bundleOf } from './pem.ts';
import { bytesOf } from './tls-options.ts';

/** `fail`: the certificate must not be shown without a staple, and there is none that is good. */
export type StapleAction = 'staple' | 'omit' | 'fail';

/** See the head of this file. */
export class Staples {
  private readonly policy: DownstreamTlsModel['ocspStaplePolicy'];
  /** By SHA-256 of the leaf, hex. */
  private readonly certificates: ReadonlyMap<string, TlsCertificateModel>;

  constructor({ certificates, ocspStaplePolicy }: DownstreamTlsModel) {
    this.policy = ocspStaplePolicy;
    const byHash = new Map<string, TlsCertificateModel>();
    for (const one of certificates) {
      const [leaf] = one.ocspStaple === null ? [] : bundleOf(bytesOf(one.chain).toString('latin1'));
      if (leaf !== undefined) byHash.set(leaf.fingerprint256, one);
    }
    this.certificates = byHash;
  }

  /** There is none at all. */
  get none(): boolean {
    return this.certificates.size === 0;
  }

  /** What a client that asks for a staple gets with this certificate. */
  action({ ocspStaple, stapleEndsMs, mustStaple }: TlsCertificateModel, nowMs: number): StapleAction {
    if (ocspStaple !== null && stapleEndsMs >= nowMs) return 'staple';
    if (mustStaple || this.policy === 'must_staple') return 'fail';
    return this.policy === 'strict' && ocspStaple !== null ? 'fail' : 'omit';
  }

  /** The staple for a leaf in DER; `null` = none that is good. */
  find(der: Buffer, nowMs: number): Buffer | null {
    const certificate = this.certificates.get(nodeCrypto().createHash('sha256').update(der).digest('hex'));
    const staple = certificate?.ocspStaple ?? null;
    return certificate === undefined || staple === null || certificate.stapleEndsMs < nowMs ? null : bytesOf(staple);
  }
}
