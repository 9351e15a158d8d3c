// What a request wants of its host's identity, `auto_sni` and `auto_san_validation` (Envoy: `upstream_http_protocol_options`),
// and what the host is told of the client.

import type { UpstreamHttpTlsModel } from '../config/model/cluster.ts';
import { type DialClient, type DialNames, NO_NAMES } from '../net/dial.ts';
import { parseIp } from '../util/ip.ts';
import type { PickContext } from './upstream.ts';

const NO_TLVS: DialClient['tlvs'] = [];

/**
 * @param namesClient hosts are told whose connection it is
 * @returns `null` when requests have no say
 */
export function compileRequestNames(
  model: UpstreamHttpTlsModel,
  namesClient: boolean,
): ((context: PickContext) => DialNames) | null {
  const ofTls = compileTlsNames(model);
  if (!namesClient) return ofTls;
  return (context) => ({ ...(ofTls === null ? NO_NAMES : ofTls(context)), client: clientOf(context) });
}

/** The downstream connection behind a request or a raw connection, as PROXY headers tell it. */
export function clientOf({ info }: PickContext): DialClient | null {
  if (info === null) return null;
  const { localIp, localPort, proxyHeader, remoteIp, remotePort } = info.connection;
  const addresses =
    localIp === '' || remoteIp === ''
      ? null
      : { sourceIp: remoteIp, sourcePort: remotePort, destinationIp: localIp, destinationPort: localPort };
  return { addresses, tlvs: proxyHeader?.tlvs ?? NO_TLVS };
}

/** Tells clients apart: a connection is for one of them only. */
export function clientKey({ addresses, tlvs }: DialClient): string {
  const ends = addresses === null ? [] : Object.values(addresses);
  return [...ends, ...tlvs.map(({ type, value }) => `${type}=${value.toString('latin1')}`)].join(' ');
}

function compileTlsNames(model: UpstreamHttpTlsModel): ((context: PickContext) => DialNames) | null {
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
      client: null,
    };
  };
}

/** `a.example:80` → `a.example`, `[::1]:80` → `::1`. */
function hostOf(authority: string): string {
  if (authority.startsWith('[')) return authority.slice(1, authority.indexOf(']'));
  const colon = authority.lastIndexOf(':');
  return colon < 0 ? authority : authority.slice(0, colon);
}
