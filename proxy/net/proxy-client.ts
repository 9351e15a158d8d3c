// Tells hosts whose connection they get: a PROXY header before anything else on a connection
// (Envoy: envoy.transport_sockets.upstream_proxy_protocol).

import type { UpstreamTransportModel } from '../config/model-tls.ts';
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

/** See the head of this file. */
export class ProxyProtocolLayer implements DialLayer {
  private readonly model: ProxyTransportModel;
  private readonly inner: DialLayer | null;
  private readonly added: readonly Tlv[];

  /** @param inner what comes behind the header; `null` = the connection's own bytes */
  constructor(model: ProxyTransportModel, inner: DialLayer | null) {
    this.model = model;
    this.inner = inner;
    this.added = model.addedTlvs.map(({ type, base64 }) => ({ type, value: Buffer.from(base64, 'base64') }));
  }

  dial(target: DialTarget, handler: DialHandler, names: DialNames, open: OpenSocket): Transport {
    const header = this.headerFor(names.client);
    const openWithHeader: OpenSocket = (below) => {
      const socket = open(below);
      // Before the listener of whoever uses the socket, so that nothing goes before the header.
      socket.once('connect', () => void socket.write(header));
      return socket;
    };
    if (this.inner !== null) return this.inner.dial({ ...target, opensBelow: true }, handler, names, openWithHeader);
    const socket = openWithHeader(target);
    prepareSocket(socket, target);
    return transportOf(socket, handler);
  }

  private headerFor(client: DialClient | null): Buffer {
    const { passAllTlvs, passTlvs, version } = this.model;
    const passed = (client?.tlvs ?? []).filter(
      ({ type }) => (passAllTlvs || passTlvs.includes(type)) && !this.added.some((own) => own.type === type),
    );
    return writeProxyHeader(version, client?.addresses ?? null, [...this.added, ...passed]);
  }
}
