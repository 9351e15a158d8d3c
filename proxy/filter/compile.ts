// The registry of HTTP filters, and the chains made of them: one for the connection manager, others for routes whose
// `typed_per_filter_config` says something. A request looks nothing up; its route carries its chain.

import {
  type HttpFilterModel,
  LEGACY_CORS,
  type RouteFilterConfigModel,
  type RouteFilterModel,
  type RouteFiltersModel,
} from '../config/model/http-filter.ts';
import { compileBuffer } from './buffer.ts';
import { compileCors } from './cors.ts';
import { compileFault } from './fault.ts';
import type { FilterEnv, HttpFilter } from './filter.ts';
import { compileGrpcBridge } from './grpc-http1-bridge.ts';
import { compileGrpcStats } from './grpc-stats.ts';
import { compileGrpcWeb } from './grpc-web.ts';
import { compileHeaderMutation } from './header-mutation.ts';
import { compileHeaderToMetadata } from './header-to-metadata.ts';
import { compileSetFilterState } from './set-filter-state.ts';
import { compileSetMetadata } from './set-metadata.ts';

/** Filters in configured order; `null` = none acts. */
export type FilterChain = readonly HttpFilter[] | null;

/** One configured filter. */
interface Slot {
  readonly name: string;
  readonly disabled: boolean;
  /** Where routes speak to the filter in an older way; empty = nowhere. */
  readonly legacyName: string;
  /**
   * @param configs what a route's levels say to this filter, least specific first; most routes say nothing
   * @returns `null` when the filter has nothing to do
   */
  readonly compile: (configs: readonly RouteFilterConfigModel[]) => HttpFilter | null;
}

/** A connection manager's filters. */
export class FilterChains {
  /** For requests without a route, and for routes that say nothing. */
  readonly base: FilterChain;
  private readonly slots: readonly Slot[];
  /** By the most specific level that says something, which has the same levels above it wherever it is met. */
  private readonly known: WeakMap<object, { readonly chain: FilterChain }>;
  private readonly plain: Map<Slot, HttpFilter | null>;
  /** Which slot a filter fills. */
  private readonly places: WeakMap<HttpFilter, Slot>;
  /** The slots that are off in a chain. */
  private readonly off: WeakMap<readonly HttpFilter[], ReadonlySet<Slot>>;

  constructor(models: readonly HttpFilterModel[], env: FilterEnv) {
    this.slots = models
      .map(({ name, disabled, config }): Slot | null => {
        const compile = compileFilter(name, config, env);
        return compile === null
          ? null
          : { name, disabled, legacyName: config.kind === 'cors' ? LEGACY_CORS : '', compile };
      })
      .filter((slot) => slot !== null);
    this.known = new WeakMap();
    this.plain = new Map();
    this.places = new WeakMap();
    this.off = new WeakMap();
    this.base = this.build([]);
  }

  /** The filters of a route. @param levels of configuration, virtual host, route and weighted cluster, in that order */
  of(levels: readonly RouteFiltersModel[]): FilterChain {
    const said = levels.filter((level) => level !== null);
    const last = said[said.length - 1];
    if (last === undefined) return this.base;
    let known = this.known.get(last);
    if (known === undefined) {
      known = { chain: this.build(said) };
      this.known.set(last, known);
    }
    return known.chain;
  }

  private build(levels: readonly NonNullable<RouteFiltersModel>[]): FilterChain {
    const filters: HttpFilter[] = [];
    const off = new Set<Slot>();
    for (const slot of this.slots) {
      const entries = entriesOf(levels, slot.name);
      if (entries[entries.length - 1]?.disabled ?? slot.disabled) {
        off.add(slot);
        continue;
      }
      const own = configsOf(entries);
      const configs = own.length > 0 ? own : configsOf(entriesOf(levels, slot.legacyName));
      const filter = configs.length === 0 ? this.unchanged(slot) : slot.compile(configs);
      if (filter === null) continue;
      filters.push(filter);
      this.places.set(filter, slot);
    }
    this.off.set(filters, off);
    return filters.length === 0 ? null : filters;
  }

  /**
   * What is left of a request's filters when it finds itself on another route: what is off stays so, the rest is as the
   * new route has it.
   * @param from the chain so far
   * @param last the filter of it that the request has come to
   */
  rest(from: readonly HttpFilter[], last: HttpFilter, chain: FilterChain): readonly HttpFilter[] {
    const at = this.slots.indexOf(this.places.get(last) as Slot);
    const off = this.off.get(from) as ReadonlySet<Slot>;
    const rest = (chain ?? []).filter((filter) => {
      const slot = this.places.get(filter) as Slot;
      return this.slots.indexOf(slot) > at && !off.has(slot);
    });
    // The request may find itself on a third route.
    this.off.set(rest, off);
    return rest;
  }

  /** A filter to which routes say nothing is the same one for all of them. */
  private unchanged(slot: Slot): HttpFilter | null {
    let filter = this.plain.get(slot);
    if (filter === undefined) {
      filter = slot.compile([]);
      this.plain.set(slot, filter);
    }
    return filter;
  }
}

function entriesOf(levels: readonly NonNullable<RouteFiltersModel>[], name: string): readonly RouteFilterModel[] {
  return levels.map((level) => level[name]).filter((entry) => entry !== undefined);
}

function configsOf(entries: readonly RouteFilterModel[]): readonly RouteFilterConfigModel[] {
  return entries.map((entry) => entry.config).filter((config) => config !== null);
}

/** @returns `null`: whatever routes say, it does nothing */
function compileFilter(name: string, model: HttpFilterModel['config'], env: FilterEnv): Slot['compile'] | null {
  switch (model.kind) {
    case 'router':
    case 'inert':
      return null;
    case 'grpc_stats':
      return always(compileGrpcStats(model, env.stats));
    case 'cors': {
      const compile = compileCors(env);
      return (configs) => compile(allOf(configs, 'cors'));
    }
    case 'fault': {
      const compile = compileFault(env, name);
      return (configs) => compile(mostSpecific(configs, 'fault') ?? model);
    }
    case 'grpc_web':
      return always(compileGrpcWeb(env.stats));
    case 'grpc_http1_bridge':
      return always(compileGrpcBridge(model));
    case 'buffer':
      return (configs) => compileBuffer(mostSpecific(configs, model.kind) ?? model);
    case 'header_mutation':
      return (configs) => compileHeaderMutation(model, configs);
    case 'header_to_metadata':
      return (configs) => compileHeaderToMetadata(mostSpecific(configs, model.kind) ?? model, env.stats);
    case 'set_metadata':
      return (configs) => compileSetMetadata(model, mostSpecific(configs, model.kind), env);
    case 'set_filter_state':
      return (configs) =>
        compileSetFilterState(
          model,
          configs.filter((config) => config.kind === 'set_filter_state'),
        );
  }
}

/** A filter to which routes have nothing to say. */
function always(filter: HttpFilter): Slot['compile'] {
  return () => filter;
}

/** The configurations of the filter itself, for those that put the levels together. */
export function allOf<K extends RouteFilterConfigModel['kind']>(
  configs: readonly RouteFilterConfigModel[],
  kind: K,
): readonly Extract<RouteFilterConfigModel, { kind: K }>[] {
  return configs.filter((config) => config.kind === kind) as Extract<RouteFilterConfigModel, { kind: K }>[];
}

/** The configuration that holds where Envoy lets the most specific one win; `null` when routes say nothing. */
export function mostSpecific<K extends RouteFilterConfigModel['kind']>(
  configs: readonly RouteFilterConfigModel[],
  kind: K,
): Extract<RouteFilterConfigModel, { kind: K }> | null {
  const last = configs[configs.length - 1];
  // One of another filter's under this filter's name says nothing, and hides what is above it.
  return last?.kind === kind ? (last as Extract<RouteFilterConfigModel, { kind: K }>) : null;
}
