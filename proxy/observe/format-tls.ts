// Operators over TLS connections, `%DOWNSTREAM_TLS_VERSION%`, `%UPSTREAM_PEER_SUBJECT%` and so on.

import { filledOperator, type OperatorFactory, plain, refuseLength, stringOperator } from './format-operator.ts';
import { compileTime } from './format-time.ts';
import type { CertificateInfo, StreamInfo, TlsInfo } from './stream-info.ts';

type TlsRead = (tls: TlsInfo) => string;
type CertificateRead = (certificate: CertificateInfo) => string;

const downstream = (info: StreamInfo): TlsInfo | null => info.connection.tls;
const upstream = (info: StreamInfo): TlsInfo | null => info.upstreamTls;
const peer = (tls: TlsInfo): CertificateInfo | null => tls.peer;
const local = (tls: TlsInfo): CertificateInfo | null => tls.local;
const issuer = (tls: TlsInfo): CertificateInfo | null => tls.issuer;

type Side = typeof downstream;

function tlsOperator(side: Side, read: TlsRead): OperatorFactory {
  return plain(
    filledOperator((info) => {
      const tls = side(info);
      return tls === null ? '' : read(tls);
    }),
  );
}

function certificateOperator(side: Side, whose: typeof peer, read: CertificateRead): OperatorFactory {
  return tlsOperator(side, (tls) => {
    const certificate = whose(tls);
    return certificate === null ? '' : read(certificate);
  });
}

/** Validity ends, by default as Envoy prints them: `2026-01-02T03:04:05.000Z`. */
function validity(side: Side, read: (certificate: CertificateInfo) => number): OperatorFactory {
  return (argument, max, name) => {
    refuseLength(max, name);
    const format = compileTime(argument, false);
    return stringOperator((info) => {
      const certificate = side(info)?.peer ?? null;
      if (certificate === null) return null;
      const at = read(certificate);
      return Number.isNaN(at) ? null : format(at);
    });
  };
}

/** Operators that exist for both sides. */
function common(prefix: string, side: Side): [string, OperatorFactory][] {
  return [
    [`${prefix}_TLS_VERSION`, tlsOperator(side, (tls) => tls.version)],
    [`${prefix}_TLS_CIPHER`, tlsOperator(side, (tls) => tls.cipher)],
    [`${prefix}_TLS_SESSION_ID`, tlsOperator(side, (tls) => tls.sessionId)],
    [`${prefix}_TLS_GROUP`, tlsOperator(side, (tls) => tls.group)],
    [`${prefix}_PEER_SUBJECT`, certificateOperator(side, peer, (c) => c.subject)],
    [`${prefix}_PEER_ISSUER`, certificateOperator(side, peer, (c) => c.issuer)],
    [`${prefix}_PEER_CERT`, certificateOperator(side, peer, (c) => c.pem)],
    [`${prefix}_PEER_URI_SAN`, certificateOperator(side, peer, (c) => c.uriSans.join(','))],
    [`${prefix}_PEER_DNS_SAN`, certificateOperator(side, peer, (c) => c.dnsSans.join(','))],
    [`${prefix}_PEER_IP_SAN`, certificateOperator(side, peer, (c) => c.ipSans.join(','))],
    [`${prefix}_LOCAL_URI_SAN`, certificateOperator(side, local, (c) => c.uriSans.join(','))],
    [`${prefix}_LOCAL_DNS_SAN`, certificateOperator(side, local, (c) => c.dnsSans.join(','))],
    [`${prefix}_LOCAL_IP_SAN`, certificateOperator(side, local, (c) => c.ipSans.join(','))],
    [`${prefix}_PEER_CERT_V_START`, validity(side, (c) => c.validFromMs)],
    [`${prefix}_PEER_CERT_V_END`, validity(side, (c) => c.validToMs)],
  ];
}

const chain =
  (read: CertificateRead): TlsRead =>
  (tls) =>
    tls.peerChain.map(read).join(',');

/** Operators over TLS. */
export const TLS_OPERATORS: ReadonlyMap<string, OperatorFactory> = new Map<string, OperatorFactory>([
  ...common('DOWNSTREAM', downstream),
  ...common('UPSTREAM', upstream),
  ['UPSTREAM_SERVER_NAME', tlsOperator(upstream, (tls) => tls.serverName)],
  ['DOWNSTREAM_LOCAL_SUBJECT', certificateOperator(downstream, local, (c) => c.subject)],
  ['DOWNSTREAM_LOCAL_EMAIL_SAN', certificateOperator(downstream, local, (c) => c.emailSans.join(','))],
  ['DOWNSTREAM_LOCAL_OTHERNAME_SAN', certificateOperator(downstream, local, (c) => c.otherNameSans.join(','))],
  ['DOWNSTREAM_PEER_EMAIL_SAN', certificateOperator(downstream, peer, (c) => c.emailSans.join(','))],
  ['DOWNSTREAM_PEER_OTHERNAME_SAN', certificateOperator(downstream, peer, (c) => c.otherNameSans.join(','))],
  ['DOWNSTREAM_PEER_FINGERPRINT_256', certificateOperator(downstream, peer, (c) => c.fingerprint256)],
  ['DOWNSTREAM_PEER_FINGERPRINT_1', certificateOperator(downstream, peer, (c) => c.fingerprint1)],
  ['DOWNSTREAM_PEER_SERIAL', certificateOperator(downstream, peer, (c) => c.serial)],
  [
    'DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256',
    tlsOperator(
      downstream,
      chain((c) => c.fingerprint256),
    ),
  ],
  [
    'DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1',
    tlsOperator(
      downstream,
      chain((c) => c.fingerprint1),
    ),
  ],
  [
    'DOWNSTREAM_PEER_CHAIN_SERIALS',
    tlsOperator(
      downstream,
      chain((c) => c.serial),
    ),
  ],
  ['DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256', certificateOperator(downstream, issuer, (c) => c.fingerprint256)],
  ['DOWNSTREAM_PEER_ISSUER_SERIAL', certificateOperator(downstream, issuer, (c) => c.serial)],
  ['TLS_JA3_FINGERPRINT', plain(filledOperator((info) => info.connection.ja3 ?? ''))],
  ['TLS_JA4_FINGERPRINT', plain(filledOperator((info) => info.connection.ja4 ?? ''))],
]);
