// The model of filters that say something about a request for others to read: in dynamic metadata or filter state.

import type { FormatModel } from './access-log.ts';
import type { JsonObject } from './common.ts';
import type { RegexRewriteModel } from './headers.ts';

/** `header_to_metadata.v3.Config`; a route may have one of its own. */
export interface HeaderToMetadataModel {
  readonly kind: 'header_to_metadata';
  readonly requestRules: readonly HeaderRuleModel[];
  readonly responseRules: readonly HeaderRuleModel[];
  /** Empty = nothing is counted. */
  readonly statPrefix: string;
}

export interface HeaderRuleModel {
  /** Lower case; of `header` and `cookie` one is empty. */
  readonly header: string;
  readonly cookie: string;
  readonly remove: boolean;
  readonly onPresent: HeaderPairModel | null;
  readonly onMissing: HeaderPairModel | null;
}

/** What becomes of a value. Namespace and key are ordinary text, values latin1 images. */
export interface HeaderPairModel {
  readonly namespace: string;
  readonly key: string;
  /** Empty = what was found. */
  readonly value: string;
  readonly rewrite: RegexRewriteModel | null;
  readonly type: 'string' | 'number' | 'protobuf';
  readonly base64: boolean;
}

/** `set_metadata.v3.Config`. */
export interface SetMetadataModel {
  readonly kind: 'set_metadata';
  readonly entries: readonly { readonly namespace: string; readonly overwrite: boolean; readonly value: JsonObject }[];
  /** Typed entries that an earlier one of their namespace keeps out: counted, like entries that are. */
  readonly typedDenied: number;
}

/** `set_filter_state.v3.Config`; a route may have one of its own. */
export interface SetFilterStateModel {
  readonly kind: 'set_filter_state';
  readonly values: readonly FilterStateValueModel[];
  readonly clearRouteCache: boolean;
}

/** `common.set_filter_state.v3.FilterStateValue`. */
export interface FilterStateValueModel {
  /** A latin1 image. */
  readonly key: string;
  /** Name of Envoy's object factory, one of `config/lower/filter-state-objects.ts`. */
  readonly factory: string;
  readonly format: FormatModel;
  readonly sharing: 'none' | 'once' | 'transitive';
  readonly skipIfEmpty: boolean;
}

/** `network.set_filter_state.v3.Config`. */
export interface SetConnectionStateModel {
  readonly kind: 'set_filter_state';
  readonly onNewConnection: readonly FilterStateValueModel[];
  readonly onTlsHandshake: readonly FilterStateValueModel[];
  /** When the first bytes come. */
  readonly onDownstreamData: readonly FilterStateValueModel[];
}
