// `x-forwarded-client-cert`: what a request says of its client's certificate, and what the proxy says of it
// (Envoy: docs configuration/http/http_conn_man/headers, "x-forwarded-client-cert").
//
// An element is `key=value` pairs joined by `;`, a header is elements joined by `,`. All that an element says holds for
// the connection, so it is built once a connection.

import type { HeaderMap } from '../codec/headers.ts';
import type { HttpConnectionManagerModel } from '../config/model/http.ts';
import type { CertificateInfo, TlsInfo } from '../observe/stream-info.ts';

const HEADER = 'x-forwarded-client-cert';

type Model = Pick<HttpConnectionManagerModel, 'forwardClientCert' | 'setCurrentClientCert'>;
type Part = (peer: CertificateInfo, tls: TlsInfo) => string;

/**
 * Rewrites the header of a request.
 * @param tls of the connection; `null` on clear text
 * @param mayBeThere false when the head is known to be without the header
 */
export type ClientCertRule = (headers: HeaderMap, tls: TlsInfo | null, mayBeThere: boolean) => void;

/** `forward_client_cert_details` with `set_current_client_cert_details`. */
export function compileClientCert(model: Model): ClientCertRule {
  switch (model.forwardClientCert) {
    case 'sanitize':
      return (headers, _tls, mayBeThere) => {
        if (mayBeThere) headers.remove(HEADER);
      };
    case 'always_forward_only':
      return (headers, _tls, mayBeThere) => {
        if (mayBeThere) mergeRepeated(headers);
      };
    case 'forward_only':
      return (headers, tls, mayBeThere) => {
        if (!mayBeThere) return;
        if (tls?.peer == null) headers.remove(HEADER);
        else mergeRepeated(headers);
      };
    default:
      return settingRule(model.forwardClientCert === 'append_forward', compileElement(model.setCurrentClientCert));
  }
}

function settingRule(append: boolean, element: Part): ClientCertRule {
  const elements = new WeakMap<TlsInfo, string>();
  return (headers, tls, mayBeThere) => {
    const peer = tls?.peer ?? null;
    if (tls === null || peer === null) {
      if (mayBeThere) headers.remove(HEADER);
      return;
    }
    let own = elements.get(tls);
    if (own === undefined) {
      own = element(peer, tls);
      elements.set(tls, own);
    }
    const present = append && mayBeThere ? headers.getJoined(HEADER) : null;
    if (own !== '') headers.set(HEADER, present === null || present === '' ? own : `${present},${own}`);
    else if (!append && mayBeThere) headers.remove(HEADER);
  };
}

/** Envoy keeps one value of this header. */
function mergeRepeated(headers: HeaderMap): void {
  const joined = headers.getJoined(HEADER);
  if (joined !== null) headers.set(HEADER, joined);
}

/** The order is Envoy's, whatever the order of the fields. */
function compileElement(set: HttpConnectionManagerModel['setCurrentClientCert']): Part {
  const parts: Part[] = [
    (_peer, tls) => pairs('By', tls.local?.uriSans ?? []),
    (peer) => (peer.fingerprint256 === '' ? '' : `Hash=${peer.fingerprint256}`),
  ];
  if (set.cert) parts.push((peer) => (peer.pem === '' ? '' : `Cert="${peer.pem}"`));
  if (set.chain) parts.push((_peer, tls) => chainPart(tls));
  if (set.subject) parts.push((peer) => `Subject="${peer.subject}"`);
  if (set.uri) parts.push((peer) => (peer.uriSans.length === 0 ? 'URI=' : pairs('URI', peer.uriSans)));
  if (set.dns) parts.push((peer) => pairs('DNS', peer.dnsSans));
  if (set.issuer) parts.push((peer) => `Issuer="${peer.issuer}"`);
  return (peer, tls) => {
    let text = '';
    for (const part of parts) {
      const pair = part(peer, tls);
      if (pair !== '') text += text === '' ? pair : `;${pair}`;
    }
    return text;
  };
}

function pairs(key: string, values: readonly string[]): string {
  return values.map((value) => `${key}=${value}`).join(';');
}

function chainPart(tls: TlsInfo): string {
  const chain = tls.peerChain.map((certificate) => certificate.pem).join('');
  return chain === '' ? '' : `Chain="${chain}"`;
}
