// The TLS inspector: server name and protocols of a ClientHello, or the knowledge that the connection is clear text
// (Envoy: envoy.filters.listener.tls_inspector).

import { type ClientHello, HELLO_ERRORS, type HelloError, readClientHello } from '../codec/client-hello.ts';
import type { TlsInspectorModel } from '../config/model/listener-filter.ts';
import * as stat from '../observe/catalogue-listener-filter.ts';
import type { Histogram, StatsStore } from '../observe/stats.ts';
import type { AcceptedConnection } from './connection.ts';
import { add } from './count.ts';
import { CLOSE, DONE, type FilterVerdict, type ListenerFilter, type Peek } from './listener-filter.ts';
import { ja3, ja4 } from './tls-fingerprint.ts';

const METADATA = 'envoy.filters.listener.tls_inspector';
/** Bytes after which a connection is known to be no TLS. */
const RECORD_HEAD_BYTES = 5;

/** See the head of this file. */
export class TlsInspector implements ListenerFilter {
  private readonly model: TlsInspectorModel;
  private readonly slots: Float64Array;
  private readonly bytesProcessed: Histogram;

  constructor(model: TlsInspectorModel, stats: StatsStore) {
    this.model = model;
    this.slots = stats.block(stat.TLS_INSPECTOR, 'tls_inspector.');
    this.bytesProcessed = stats.histogram('tls_inspector.bytes_processed');
  }

  begin(): FilterVerdict {
    return 1;
  }

  look({ bytes, connection }: Peek): FilterVerdict {
    const hello = readClientHello(bytes);
    if (typeof hello === 'number') {
      if (bytes.length < this.model.helloBytesMax) return hello;
      add(this.slots, stat.TLS_INSPECTOR_CLIENT_HELLO_TOO_LARGE, 1);
      this.bytesProcessed.record(bytes.length);
      connection.setMetadata(METADATA, 'failure_reason', 'ClientHelloTooLarge');
      return CLOSE;
    }
    if (typeof hello === 'string') return this.onNoHello(connection, hello, bytes.length);
    this.bytesProcessed.record(bytes.length);
    return this.onHello(connection, hello);
  }

  private onHello(connection: AcceptedConnection, hello: ClientHello): FilterVerdict {
    const { model, slots } = this;
    connection.hello = hello;
    if (model.ja3) connection.ja3 = ja3(hello);
    if (model.ja4) connection.ja4 = ja4(hello);
    connection.requestedServerName = hello.serverName;
    connection.applicationProtocols = hello.alpn;
    add(slots, hello.serverName === '' ? stat.TLS_INSPECTOR_SNI_NOT_FOUND : stat.TLS_INSPECTOR_SNI_FOUND, 1);
    if (hello.versionRefused) {
      add(slots, stat.TLS_INSPECTOR_TLS_NOT_FOUND, 1);
      connection.inspectorFailure = failureText('CONNECTION_REJECTED');
      connection.setMetadata(METADATA, 'failure_reason', 'ClientHelloInvalidTlsVersion');
      return CLOSE;
    }
    add(slots, stat.TLS_INSPECTOR_TLS_FOUND, 1);
    add(slots, hello.alpn.length === 0 ? stat.TLS_INSPECTOR_ALPN_NOT_FOUND : stat.TLS_INSPECTOR_ALPN_FOUND, 1);
    connection.transportProtocol = 'tls';
    return DONE;
  }

  private onNoHello(connection: AcceptedConnection, error: HelloError, length: number): FilterVerdict {
    add(this.slots, stat.TLS_INSPECTOR_TLS_NOT_FOUND, 1);
    this.bytesProcessed.record(Math.min(length, RECORD_HEAD_BYTES));
    connection.inspectorFailure = failureText(error);
    connection.setMetadata(METADATA, 'failure_reason', 'ClientHelloNotDetected');
    return this.model.closeOnErrors ? CLOSE : DONE;
  }
}

/** As Envoy prints what its library says. */
function failureText(error: HelloError): string {
  return `TLS_error|error:${HELLO_ERRORS[error].toString(16)}:SSL routines:OPENSSL_internal:${error}:TLS_error_end`;
}
