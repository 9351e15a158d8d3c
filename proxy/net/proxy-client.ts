// Tells hosts whose connection they get: a PROXY header before anything else on a connection
// (Envoy: envoy.transport_sockets.upstream_proxy_protocol).

import type { Socket } from 'node:net';
import type { UpstreamTransportModel } from '../config/model/tls.ts';
import {
  type DialClient,
  type DialHandler,
  type DialLayer,
  type DialNames,
  type DialTarget,
  type OpenSocket,
  prepareSocket,
  transportOf,
} from './dial.ts';
import { type Tlv, writeProxyHeader } from './proxy-header.ts';
import type { Transport } from './transport.ts';

export type ProxyTransportModel = Extract<UpstreamTransportModel, { kind: 'proxy_protocol' }>;

/** Values of a cluster's own. */
export interface AddedTlvs {
  readonly fixed: readonly Tlv[];
  /** Made anew for each connection, once it is there; `null` = none. */
  readonly made: ((socket: Socket, target: DialTarget) => readonly Tlv[]) | null;
}

/** See the head of this file. */
export class ProxyProtocolLayer implements DialLayer {
  private readonly model: ProxyTransportModel;
  private readonly inner: DialLayer | null;
  private readonly added: AddedTlvs;

  /** @param inner what comes behind the header; `null` = the connection's own bytes */
  constructor(model: ProxyTransportModel, inner: DialLayer | null, added: AddedTlvs) {
    this.model = model;
    this.inner = inner;
    this.added = added;
  }

  dial(target: DialTarget, handler: DialHandler, names: DialNames, open: OpenSocket): Transport {
    const openWithHeader: OpenSocket = (below) => {
      const socket = open(below);
      // Before the listener of whoever uses the socket, so that nothing goes before the header.
      socket.once('connect', () => void socket.write(this.headerFor(names.client, socket, target)));
      return socket;
    };
    if (this.inner !== null) return this.inner.dial({ ...target, opensBelow: true }, handler, names, openWithHeader);
    const socket = openWithHeader(target);
    prepareSocket(socket, target);
    return transportOf(socket, handler);
  }

  private headerFor(client: DialClient | null, socket: Socket, target: DialTarget): Buffer {
    const { passAllTlvs, passTlvs, version } = this.model;
    const { fixed, made } = this.added;
    const added = made === null ? fixed : [...fixed, ...made(socket, target)];
    const passed = (client?.tlvs ?? []).filter(
      ({ type }) => (passAllTlvs || passTlvs.includes(type)) && !added.some((own) => own.type === type),
    );
    return writeProxyHeader(version, client?.addresses ?? null, [...added, ...passed]);
  }
}
