// `%REQUESTED_SERVER_NAME(which:host)%`: the name that a client asked for, by SNI or as the host of its request.

import { ConfigError } from '../util/error.ts';
import { filledOperator, type OperatorFactory, refuseLength } from './format-operator.ts';
import type { StreamInfo } from './stream-info.ts';

type Read = (info: StreamInfo) => string;

/** What no host name has. */
const ODD = /[^A-Za-z0-9._-]/g;
const HAS_ODD = /[^A-Za-z0-9._-]/;

/** A client writes what it likes into a ClientHello: it must not be able to write into logs and headers with it. */
function sni(info: StreamInfo): string {
  const name = info.connection.requestedServerName;
  return HAS_ODD.test(name) ? `invalid:${name.replace(ODD, '_')}` : name;
}

const original: Read = (info) => info.requestHeaders?.get('x-envoy-original-host') ?? '';
const authority: Read = (info) => info.authority;

const HOSTS: ReadonlyMap<string, Read> = new Map<string, Read>([
  ['', (info) => original(info) || authority(info)],
  ['ORIG_OR_HOST', (info) => original(info) || authority(info)],
  ['HOST', authority],
  ['ORIG', original],
]);

/** See the head of this file; without parameters the name of the SNI alone. */
export const requestedServerName: OperatorFactory = (argument, max, name) => {
  refuseLength(max, name);
  const [which = '', from = ''] = argument.split(':');
  if (!['', 'SNI_ONLY', 'SNI_FIRST', 'HOST_FIRST'].includes(which)) {
    throw new ConfigError(`Invalid ${name} option: '${which}', only 'SNI_ONLY'/'SNI_FIRST'/'HOST_FIRST' are allowed`);
  }
  const host = HOSTS.get(from);
  if (host === undefined) {
    throw new ConfigError(`Invalid ${name} option: '${from}', only 'ORIG_OR_HOST'/'HOST'/'ORIG' are allowed`);
  }
  if (which === 'SNI_FIRST') return filledOperator((info) => sni(info) || host(info));
  if (which === 'HOST_FIRST') return filledOperator((info) => host(info) || sni(info));
  return filledOperator(sni);
};
