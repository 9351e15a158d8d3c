// Makes objects of the filter state from text, as Envoy's object factories do (`FilterState::ObjectFactory`). Their
// names, and which of them a configuration may ask for, are in `config/lower/filter-state-objects.ts`.

import { canonicalIp, joinHostPort, parseIp, parseIpPort } from '../util/ip.ts';
import type { FilterStateObject, FilterStateValue } from './filter-state.ts';

/** @param text a latin1 image. @returns `null` when the text makes no object */
export type ObjectFactory = (text: string) => FilterStateValue | null;

/** @param name of Envoy's factory; all others make strings */
export function objectFactory(name: string): ObjectFactory {
  return FACTORIES.get(name) ?? ((text) => text);
}

const UINT32_MAX = 0xffff_ffffn;
const UINT64_MAX = 0xffff_ffff_ffff_ffffn;
const WHOLE_NUMBER = /^[ \t\n\v\f\r]*\+?(\d{1,32})[ \t\n\v\f\r]*$/;
const TRUE = /^(?:true|t|yes|y|1)$/i;
const FALSE = /^(?:false|f|no|n|0)$/i;

const FACTORIES: ReadonlyMap<string, ObjectFactory> = new Map<string, ObjectFactory>([
  ['envoy.bool', (text) => (TRUE.test(text) ? new Scalar(true) : FALSE.test(text) ? new Scalar(false) : null)],
  ['envoy.tcp_proxy.disable_tunneling', (text) => new Scalar(TRUE.test(text))],
  ['envoy.ratelimit.hits_addend', uint32],
  ['envoy.upstream.dynamic_port', uint32],
  ['envoy.tcp_proxy.per_connection_idle_timeout_ms', uint64],
  ['envoy.hashable_string', (text) => new HashableText(text)],
  ['envoy.network.ip', bareIp],
  ['envoy.network.transport_socket.original_dst_address', address],
  ['envoy.filters.listener.original_dst.local_ip', address],
  ['envoy.filters.listener.original_dst.remote_ip', address],
  ['envoy.tcp_proxy.cluster', (text) => new Untyped(text, 'cluster')],
  ['envoy.network.upstream_server_name', untyped],
  ['envoy.network.network_namespace', untyped],
  ['envoy.network.upstream_subject_alt_names', untyped],
]);

function wholeNumber(text: string, max: bigint): bigint | null {
  const digits = WHOLE_NUMBER.exec(text)?.[1];
  if (digits === undefined) return null;
  const value = BigInt(digits);
  return value <= max ? value : null;
}

function uint32(text: string): FilterStateObject | null {
  const value = wholeNumber(text, UINT32_MAX);
  return value === null ? null : new Scalar(Number(value));
}

/** As in proto JSON, a string. */
function uint64(text: string): FilterStateObject | null {
  const value = wholeNumber(text, UINT64_MAX);
  return value === null ? null : new Scalar(`${value}`);
}

function bareIp(text: string): FilterStateObject | null {
  return parseIp(text) === null ? null : new Address(canonicalIp(text), 0, false);
}

function address(text: string): FilterStateObject | null {
  const found = parseIpPort(text);
  return found === null ? null : new Address(canonicalIp(found.ip), found.port, true);
}

function untyped(text: string): FilterStateObject {
  return new Untyped(text, 'text');
}

/** A boolean or number, which is a wrapper message in Envoy. */
class Scalar implements FilterStateObject {
  readonly is: 'boolean' | 'number';
  private readonly value: boolean | number | string;

  constructor(value: boolean | number | string) {
    this.is = typeof value === 'boolean' ? 'boolean' : 'number';
    this.value = value;
  }

  plain(): string {
    return `${this.value}`;
  }

  typed(): boolean | number | string {
    return this.value;
  }

  field(): null {
    return null;
  }
}

/** Text that is no message in Envoy. */
class Untyped implements FilterStateObject {
  readonly is: 'cluster' | 'text';
  private readonly text: string;

  constructor(text: string, is: 'cluster' | 'text') {
    this.is = is;
    this.text = text;
  }

  plain(): string {
    return this.text;
  }

  typed(): null {
    return null;
  }

  field(): null {
    return null;
  }
}

class HashableText implements FilterStateObject {
  readonly hashed: string;

  constructor(text: string) {
    this.hashed = text;
  }

  plain(): string {
    return this.hashed;
  }

  typed(): string {
    return this.hashed;
  }

  field(): null {
    return null;
  }
}

class Address implements FilterStateObject {
  readonly is: 'address' | 'ip';
  readonly ip: string;
  private readonly port: number;
  private readonly hasFields: boolean;

  constructor(ip: string, port: number, hasFields: boolean) {
    this.is = hasFields ? 'address' : 'ip';
    this.ip = ip;
    this.port = port;
    this.hasFields = hasFields;
  }

  plain(): string {
    return joinHostPort(this.ip, this.port);
  }

  typed(): null {
    return null;
  }

  field(name: string): string | null {
    if (!this.hasFields) return null;
    return name === 'ip' ? this.ip : name === 'port' ? `${this.port}` : null;
  }
}
