// Keeps objects made of what is known of a connection with it (Envoy: extensions.filters.network.set_filter_state).

import type { FilterStateValueModel, SetConnectionStateModel } from '../config/model/metadata-filter.ts';
import { compileObject, type MakeObject } from '../filter/set-filter-state.ts';
import { FilterState, type FilterStateSharing } from '../observe/filter-state.ts';
import { type ConnectionInfo, StreamInfo } from '../observe/stream-info.ts';
import { type ConnectionGate, PASS } from './gate.ts';

interface Kept {
  readonly key: string;
  readonly sharing: FilterStateSharing;
  readonly make: MakeObject;
}

/** Lets every connection pass. */
export class ConnectionState implements ConnectionGate {
  readonly closeReason = '';
  readonly flags = 0;
  private readonly onNewConnection: readonly Kept[];
  private readonly onTlsHandshake: readonly Kept[];
  private readonly onDownstreamData: readonly Kept[];

  constructor({ onNewConnection, onTlsHandshake, onDownstreamData }: SetConnectionStateModel) {
    this.onNewConnection = onNewConnection.map(compileKept);
    this.onTlsHandshake = onTlsHandshake.map(compileKept);
    this.onDownstreamData = onDownstreamData.map(compileKept);
  }

  admit(connection: ConnectionInfo): number {
    keep(connection, this.onNewConnection, 0);
    return PASS;
  }

  onSecure(connection: ConnectionInfo): void {
    keep(connection, this.onTlsHandshake, 0);
  }

  onData(connection: ConnectionInfo, bytes: number): void {
    keep(connection, this.onDownstreamData, bytes);
  }

  onClosed(): void {}
}

function compileKept(model: FilterStateValueModel): Kept {
  return { key: model.key, sharing: model.sharing, make: compileObject(model) };
}

/** @param bytes that have come so far */
function keep(connection: ConnectionInfo, objects: readonly Kept[], bytes: number): void {
  if (objects.length === 0) return;
  const info = new StreamInfo(connection, Date.now(), connection.startedMs);
  info.remoteAddress = connection.remoteAddress;
  info.requestBodyBytes = bytes;
  info.dynamicMetadata = connection.dynamicMetadata ?? null;
  for (const { key, sharing, make } of objects) {
    const value = make(info);
    if (value === null) continue;
    connection.filterState ??= new FilterState();
    connection.filterState.set(key, value, sharing);
  }
}
