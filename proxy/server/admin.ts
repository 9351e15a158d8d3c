// Routes an admin request to its answer. Pure: what the server knows and does comes through `AdminState`.

import { html, json, text } from './admin-answer.ts';
import { renderClustersJson, renderClustersText } from './admin-clusters.ts';
import { endpointAt, helpText } from './admin-endpoints.ts';
import { renderIndex } from './admin-html.ts';
import {
  renderCertificates,
  renderInitDump,
  renderListenersJson,
  renderListenersText,
  renderMemory,
  renderRuntime,
  renderServerInfo,
} from './admin-info.ts';
import { handleLogging } from './admin-logging.ts';
import { adminRegex } from './admin-regex.ts';
import type { AdminRequest, AdminResponse, AdminState } from './admin-state.ts';
import { handlePrometheus, handleStats } from './admin-stats.ts';

type Query = ReadonlyMap<string, string>;
type Handler = (query: Query, state: AdminState) => AdminResponse | Promise<AdminResponse>;

const HANDLERS: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ['/', () => html(renderIndex())],
  ['/help', () => text(helpText())],
  ['/ready', handleReady],
  ['/server_info', (_, state) => json(renderServerInfo(state.serverInfo()))],
  ['/stats', (query, state) => handleStats(query, state.stats)],
  ['/stats/prometheus', (query, state) => handlePrometheus(query, state.stats)],
  ['/clusters', handleClusters],
  ['/listeners', handleListeners],
  ['/config_dump', handleConfigDump],
  ['/certs', (_, state) => json(renderCertificates(state.certificates()))],
  ['/memory', (_, state) => json(renderMemory(state.memory()))],
  ['/runtime', (_, state) => json(renderRuntime(state.runtime()))],
  ['/runtime_modify', handleRuntimeModify],
  ['/init_dump', (query, state) => json(renderInitDump(state, query.get('mask') ?? ''))],
  ['/hot_restart_version', () => text('disabled')],
  ['/logging', handleLogging],
  ['/drain_listeners', handleDrain],
  ['/healthcheck/fail', (_, state) => done(() => state.failHealthChecks(true))],
  ['/healthcheck/ok', (_, state) => done(() => state.failHealthChecks(false))],
  ['/reset_counters', (_, state) => done(() => state.stats.resetCounters())],
  ['/reopen_logs', (_, state) => done(() => state.reopenLogs())],
  ['/quitquitquit', (_, state) => ({ ...text('OK\n'), afterwards: () => state.quit() })],
  ['/contention', () => text('Mutex contention tracing is not enabled: this proxy takes no mutexes.\n')],
  ['/memory/tcmalloc', () => absent('TCMalloc is not in use')],
  ['/heap_dump', () => absent('heap dumps come from the Node inspector')],
  ['/peak_heap_dump', () => absent('heap dumps come from the Node inspector')],
  ['/allocprofiler', () => absent('use `node --heap-prof`')],
  ['/cpuprofiler', () => absent('use `node --cpu-prof`')],
  ['/heapprofiler', () => absent('use `node --heap-prof`')],
  ['/stats/recentlookups', () => absent('stat names are not looked up while serving')],
  ['/stats/recentlookups/clear', () => absent('stat names are not looked up while serving')],
  ['/stats/recentlookups/disable', () => absent('stat names are not looked up while serving')],
  ['/stats/recentlookups/enable', () => absent('stat names are not looked up while serving')],
]);

/** Answers one request. The query of a POST with a form body is expected in `request.query` too. */
export function handleAdmin(request: AdminRequest, state: AdminState): AdminResponse | Promise<AdminResponse> {
  const endpoint = endpointAt(request.path);
  const handler = HANDLERS.get(request.path);
  if (endpoint === undefined || handler === undefined) return text(`invalid path. ${helpText()}`, 404);
  if (endpoint.mutates && request.method !== 'POST') {
    return text(`Method ${request.method} not allowed, POST required.`, 405);
  }
  return handler(request.query, state);
}

function handleReady(_query: Query, state: AdminState): AdminResponse {
  const { state: word } = state.serverInfo();
  return text(`${word}\n`, word === 'LIVE' ? 200 : 503);
}

function handleClusters(query: Query, state: AdminState): AdminResponse {
  const pattern = query.get('filter') ?? '';
  const regex = pattern === '' ? null : adminRegex(pattern);
  if (regex !== null && 'refused' in regex) return text('Invalid re2 regex', 400);
  const clusters = state.clusters(regex === null ? null : regex.test);
  return query.get('format') === 'json' ? json(renderClustersJson(clusters)) : text(renderClustersText(clusters));
}

function handleListeners(query: Query, state: AdminState): AdminResponse {
  const listeners = state.listeners();
  return query.get('format') === 'json' ? json(renderListenersJson(listeners)) : text(renderListenersText(listeners));
}

function handleConfigDump(query: Query, state: AdminState): Promise<AdminResponse> {
  return state.configDump({
    resource: query.get('resource') ?? '',
    mask: query.get('mask') ?? '',
    nameRegex: query.get('name_regex') ?? '',
    includeEds: query.has('include_eds'),
  });
}

function handleRuntimeModify(query: Query, state: AdminState): AdminResponse {
  if (query.size === 0) {
    return text(
      'usage: /runtime_modify?key1=value1&key2=value2&keyN=valueN\n' +
        '       or send the parameters as form values\n' +
        'use an empty value to remove a previously added override',
      400,
    );
  }
  return state.modifyRuntime(query) ? text('OK\n') : text('No admin layer specified', 503);
}

function handleDrain(query: Query, state: AdminState): AdminResponse {
  return done(() =>
    state.drainListeners({
      graceful: query.has('graceful'),
      skipExit: query.has('skip_exit'),
      inboundOnly: query.has('inboundonly'),
    }),
  );
}

function done(act: () => void): AdminResponse {
  act();
  return text('OK\n');
}

/** An endpoint of Envoy's that has no meaning here. */
function absent(hint: string): AdminResponse {
  return text(`not supported: ${hint}\n`, 501);
}
