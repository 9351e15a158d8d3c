// What a request wants of its host's identity: `auto_sni`, `auto_san_validation` (Envoy: `upstream_http_protocol_options`).

import type { UpstreamHttpTlsModel } from '../config/model-cluster.ts';
import type { DialNames } from '../net/dial.ts';
import { parseIp } from '../util/ip.ts';
import type { PickContext } from './upstream.ts';

/** @returns `null` when requests have no say */
export function compileRequestNames(model: UpstreamHttpTlsModel): ((context: PickContext) => DialNames) | null {
  const { autoSni, autoSniHeader, autoSanValidation } = model;
  if (!autoSni && !autoSanValidation) return null;
  return ({ info }) => {
    const named = autoSniHeader === '' ? '' : (info?.requestHeaders?.get(autoSniHeader) ?? '');
    const host = hostOf(named === '' ? (info?.authority ?? '') : named);
    return {
      // An address is no server name, but a certificate may hold it.
      serverName: autoSni && parseIp(host) === null ? host : '',
      exactNames: autoSanValidation && host !== '' ? [host] : [],
      alpn: [],
    };
  };
}

/** `a.example:80` → `a.example`, `[::1]:80` → `::1`. */
function hostOf(authority: string): string {
  if (authority.startsWith('[')) return authority.slice(1, authority.indexOf(']'));
  const colon = authority.lastIndexOf(':');
  return colon < 0 ? authority : authority.slice(0, colon);
}
