// Runtime keys of connection managers: what becomes of paths where, or although, the manager says something itself.

import { bootstrap, cluster, get, http, routes, STATS, to } from '../config.ts';
import type { Group, Ports, Scenario } from '../types.ts';

const MANAGERS: Readonly<Record<string, object>> = {
  nothing: {},
  normal: { normalize_path: true, path_with_escaped_slashes_action: 'UNESCAPE_AND_FORWARD' },
  plain: { normalize_path: false, path_with_escaped_slashes_action: 'KEEP_UNCHANGED' },
  default: { path_with_escaped_slashes_action: 'IMPLEMENTATION_SPECIFIC_DEFAULT' },
};
const PATHS = ['/a/../b', '/a%2Fb', '/a%5cb', '/./a%2fb/..'];

function group(name: string, http_connection_manager: object): Group {
  return {
    name,
    listeners: Object.keys(MANAGERS),
    upstreams: ['a'],
    bootstrap: (ports: Ports, log: string) =>
      bootstrap(
        ports,
        Object.entries(MANAGERS).map(([each, manager]) => http(ports, log, each, routes([to('/', 'a')]), manager)),
        [cluster('a', [ports['a']])],
        { layered_runtime: { layers: [{ name: 'static', static_layer: { http_connection_manager } }] } },
      ),
    stats: STATS,
    scenarios: Object.keys(MANAGERS).flatMap((listener) =>
      PATHS.map((path): Scenario => ({ name: `${listener}: ${path}`, listener, client: [get(path)] })),
    ),
  };
}

export const runtimePaths: Group = group('runtime-paths', {
  normalize_path: 100,
  path_with_escaped_slashes_action: 3,
});

export const runtimePathsOff: Group = group('runtime-paths-off', {
  normalize_path: 0,
  path_with_escaped_slashes_action: 2,
  path_with_escaped_slashes_action_enabled: 0,
});
