// `/certs`: the certificates of every TLS context, `envoy.admin.v3.Certificates`.

import { pkcs12Leaf, placeOf, textOf } from '../config/lower/tls-material.ts';
import type { JsonObject } from '../config/model/common.ts';
import type { DataModel } from '../config/model/tls.ts';
import type { TlsContextModel } from '../config/model/tls-contexts.ts';
import { type Certificate, certificateOf } from '../net/certificate.ts';
import { bundleOf } from '../net/pem.ts';

const DAY_MS = 86_400_000;

/** One element a context, as Envoy has it: its first root, and the leaf of each of its certificates. */
export function certificatesJson(contexts: readonly TlsContextModel[], nowMs: number): JsonObject[] {
  return contexts
    .filter(({ certificates, validation }) => certificates.length > 0 || validation?.trustedCa != null)
    .map(({ certificates, validation }) => ({
      ca_cert: validation?.trustedCa == null ? [] : shown(validation.trustedCa, null, nowMs),
      cert_chain: certificates.flatMap(({ chain, pkcs12, password }) =>
        shown(pkcs12 ?? chain, pkcs12 === null ? null : { password }, nowMs),
      ),
    }));
}

function shown(data: DataModel, archive: { readonly password: DataModel | null } | null, nowMs: number): JsonObject[] {
  const certificate = firstOf(data, archive);
  return certificate === null ? [] : [details(certificate, placeOf(data), nowMs)];
}

function firstOf(data: DataModel, archive: { readonly password: DataModel | null } | null): Certificate | null {
  if (archive === null) return bundleOf(textOf(data))[0] ?? null;
  const leaf = pkcs12Leaf(data, archive.password);
  return leaf === null ? null : certificateOf(leaf);
}

function details(certificate: Certificate, path: string, nowMs: number): JsonObject {
  const { dnsSans, uriSans, ipSans, validFromMs, validToMs } = certificate;
  const names = [
    ...dnsSans.map((dns) => ({ dns })),
    ...uriSans.map((uri) => ({ uri })),
    ...ipSans.map((ip_address) => ({ ip_address })),
  ];
  return {
    path,
    serial_number: certificate.serial,
    subject_alt_names: names,
    days_until_expiration: String(Math.max(0, Math.floor((validToMs - nowMs) / DAY_MS))),
    valid_from: timeText(validFromMs),
    expiration_time: timeText(validToMs),
  };
}

/** RFC 3339 without a fraction, as certificates have whole seconds. */
function timeText(atMs: number): string {
  return new Date(atMs).toISOString().replace('.000Z', 'Z');
}
