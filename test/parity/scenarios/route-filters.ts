// Filters that routes turn on and off: which of the levels that name a filter decides.

import { answer, bootstrap, cluster, http, request, router, routes, to } from '../config.ts';
import type { Group, Scenario } from '../types.ts';

const TYPE = 'type.googleapis.com/';
const WEB_TYPE = { '@type': `${TYPE}envoy.extensions.filters.http.grpc_web.v3.GrpcWeb` };
const FILTER_CONFIG = `${TYPE}envoy.config.route.v3.FilterConfig`;
const NO_FILTER = { '@type': `${TYPE}google.protobuf.StringValue`, value: 'x' };
const OFF = { '@type': FILTER_CONFIG, disabled: true };
const ON = { '@type': FILTER_CONFIG, config: {} };
/** What it says is left out, so it says neither on nor off. */
const NOTHING = { '@type': FILTER_CONFIG, is_optional: true, config: WEB_TYPE };
const NOBODY = { '@type': FILTER_CONFIG, is_optional: true, config: NO_FILTER };

const says = (entry: object): object => ({ typed_per_filter_config: { web: entry } });
const weighted = (entry: object): object => ({
  cluster: undefined,
  weighted_clusters: { clusters: [{ name: 'a', weight: 1, ...says(entry) }] },
});

const LIST = [
  to('/on', 'a', {}, says(ON)),
  to('/off', 'a', {}, says(OFF)),
  to('/nothing', 'a', {}, says(NOTHING)),
  to('/nobody', 'a', {}, says(NOBODY)),
  to('/cluster-on', 'a', weighted(ON), says(OFF)),
  to('/cluster-off', 'a', weighted(OFF), says(ON)),
  { match: { prefix: '/direct' }, direct_response: { status: 200, body: { inline_string: 'x' } }, ...says(ON) },
  to('/', 'a'),
];

/** Listener → whether the filter is off by default, and what virtual host and configuration say. */
const LISTENERS: Readonly<Record<string, readonly [disabled: boolean, host: object, config: object]>> = {
  active: [false, {}, {}],
  idle: [true, {}, {}],
  hostOn: [true, says(ON), says(OFF)],
  hostOff: [false, says(OFF), says(ON)],
  configOn: [true, {}, says(ON)],
};

/** The filter shows in what the upstream is sent: it makes gRPC of it. */
const call = (listener: string, path: string): Scenario => ({
  name: `${listener} ${path}`,
  listener,
  client: [request('POST', path, ['content-type: application/grpc-web', 'content-length: 1'], 'x')],
  upstreams: { a: { replies: [[answer('200 OK', ['content-type: text/plain'], 'plain')]] } },
});

export const routeFilters: Group = {
  name: 'route-filters',
  listeners: Object.keys(LISTENERS),
  upstreams: ['a'],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      Object.entries(LISTENERS).map(([name, [disabled, host, config]]) =>
        http(ports, log, name, routes(LIST, host, config), {
          http_filters: [
            { name: 'nobody', is_optional: true, typed_config: NO_FILTER },
            { name: 'web', disabled, typed_config: WEB_TYPE },
            router({}),
          ],
        }),
      ),
      [cluster('a', [ports['a']])],
    ),
  scenarios: [
    ...['/on', '/off', '/nothing', '/nobody', '/cluster-on', '/cluster-off', '/direct', '/'].flatMap((path) => [
      call('active', path),
      call('idle', path),
    ]),
    ...['/on', '/off', '/nothing', '/'].flatMap((path) => [
      call('hostOn', path),
      call('hostOff', path),
      call('configOn', path),
    ]),
  ],
};
