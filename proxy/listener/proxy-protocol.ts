// The PROXY protocol listener filter: the client and its destination as the load balancer in front tells them
// (Envoy: envoy.filters.listener.proxy_protocol).

import { isUtf8 } from 'node:buffer';
import type { ProxyProtocolModel } from '../config/model/listener-filter.ts';
import { type ProxyHeader, readProxyHeader, type Tlv } from '../net/proxy-header.ts';
import * as stat from '../observe/catalogue-listener-filter.ts';
import type { StatsStore } from '../observe/stats.ts';
import type { AcceptedConnection } from './connection.ts';
import { add } from './count.ts';
import { CLOSE, DONE, type FilterVerdict, type ListenerFilter, type Peek } from './listener-filter.ts';

type Rule = ProxyProtocolModel['rules'][number];

/** Both versions' slots, by version. */
const FOUND = [-1, stat.PROXY_PROTO_V1_FOUND, stat.PROXY_PROTO_V2_FOUND] as const;
const DISALLOWED = [-1, stat.PROXY_PROTO_V1_DISALLOWED, stat.PROXY_PROTO_V2_DISALLOWED] as const;

/** See the head of this file. */
export class ProxyProtocolFilter implements ListenerFilter {
  private readonly model: ProxyProtocolModel;
  private readonly slots: Float64Array;
  private readonly rootSlots: Float64Array;
  /** By type; the last rule of a type counts. */
  private readonly rules: ReadonlyMap<number, Rule>;

  constructor(model: ProxyProtocolModel, stats: StatsStore) {
    this.model = model;
    this.slots = stats.block(
      stat.PROXY_PROTO,
      model.statPrefix === '' ? 'proxy_proto.' : `proxy_proto.${model.statPrefix}.`,
    );
    this.rootSlots = stats.block(stat.PROXY_PROTO_ROOT, '');
    this.rules = new Map(model.rules.map((rule) => [rule.type, rule]));
  }

  begin(): FilterVerdict {
    return 1;
  }

  look(peek: Peek): FilterVerdict {
    const header = readProxyHeader(peek.bytes);
    if (typeof header === 'number') return header;
    if (header === 'none') return this.onNone();
    if (header === 'bad1') return this.refuse(stat.PROXY_PROTO_V1_ERROR);
    if (header === 'bad2') return this.refuse(stat.PROXY_PROTO_V2_ERROR);
    add(this.slots, FOUND[header.version], 1);
    if (!(header.version === 1 ? this.model.allowV1 : this.model.allowV2)) {
      add(this.slots, DISALLOWED[header.version], 1);
      return CLOSE;
    }
    this.take(peek.connection, header);
    peek.consume(header.length);
    return DONE;
  }

  private onNone(): FilterVerdict {
    if (!this.model.optional) return this.refuse(stat.PROXY_PROTO_NOT_FOUND_DISALLOWED);
    add(this.slots, stat.PROXY_PROTO_NOT_FOUND_ALLOWED, 1);
    return DONE;
  }

  private refuse(slot: number): FilterVerdict {
    add(this.slots, slot, 1);
    add(this.rootSlots, stat.PROXY_PROTO_ROOT_ERROR, 1);
    return CLOSE;
  }

  private take(connection: AcceptedConnection, { addresses, tlvs }: ProxyHeader): void {
    const { passThrough } = this.model;
    if (addresses !== null) {
      connection.restoreRemote(addresses.sourceIp, addresses.sourcePort);
      const { destinationIp, destinationPort } = addresses;
      if (destinationIp !== connection.localIp || destinationPort !== connection.localPort)
        connection.restoreLocal(destinationIp, destinationPort);
    }
    for (const { type, value } of tlvs) {
      const rule = this.rules.get(type);
      if (rule !== undefined) keep(connection, rule, value);
    }
    const passed = tlvs.filter(({ type }) => passThrough.all || passThrough.types.includes(type));
    connection.proxyHeader = { tlvs: passed.map(copyOf) };
  }
}

/** The first value of a type is kept. */
function keep(connection: AcceptedConnection, rule: Rule, value: Buffer): void {
  if (connection.dynamicMetadata?.[rule.namespace]?.[rule.key] !== undefined) return;
  const text = rule.encoding === 'base64' ? value.toString('base64') : sanitized(value);
  connection.setMetadata(rule.namespace, rule.key, text);
}

/** Outlives the read it came with. */
function copyOf({ type, value }: Tlv): { readonly type: number; readonly value: Buffer } {
  return { type, value: Buffer.from(value) };
}

/** The text with `!` for each byte that belongs to no character. */
function sanitized(value: Buffer): string {
  if (isUtf8(value)) return value.toString('utf8');
  let out = '';
  let at = 0;
  while (at < value.length) {
    const length = sequenceLength(value[at] as number);
    const character = value.subarray(at, at + length);
    const whole = character.length === length && isUtf8(character);
    out += whole ? character.toString('utf8') : '!';
    at += whole ? length : 1;
  }
  return out;
}

/** How many bytes a character has by its first one. */
function sequenceLength(lead: number): number {
  return lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}
