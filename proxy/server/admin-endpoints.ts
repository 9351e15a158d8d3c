// The list of admin endpoints: what `/help`, `/` and every 404 print, and which of them need POST.
// Texts and order are Envoy's own, which people and scripts read.

/** A query parameter of an endpoint, for the help text. */
export interface EndpointParameter {
  readonly name: string;
  readonly help: string;
}

export interface Endpoint {
  readonly path: string;
  readonly help: string;
  /** Changes something: only POST. */
  readonly mutates: boolean;
  readonly parameters: readonly EndpointParameter[];
}

function read(path: string, help: string, ...parameters: EndpointParameter[]): Endpoint {
  return { path, help, mutates: false, parameters };
}

function change(path: string, help: string, ...parameters: EndpointParameter[]): Endpoint {
  return { path, help, mutates: true, parameters };
}

const parameter = (name: string, help: string): EndpointParameter => ({ name, help });

/** In the order of the help text. */
export const ENDPOINTS: readonly Endpoint[] = [
  read('/', 'Admin home page'),
  change(
    '/allocprofiler',
    'enable/disable the allocation profiler (if supported)',
    parameter('enable', 'enable/disable the allocation profiler; One of (y, n)'),
  ),
  read('/certs', 'print certs on machine'),
  read(
    '/clusters',
    'upstream cluster status',
    parameter('filter', 'Regular expression (Google re2) for filtering clusters by name'),
  ),
  read(
    '/config_dump',
    'dump current Envoy configs',
    parameter('resource', 'The resource to dump'),
    parameter(
      'mask',
      'The mask to apply. When both resource and mask are specified, the mask is applied to every element in the desired repeated field so that only a subset of fields are returned. The mask is parsed as a Protobuf::FieldMask',
    ),
    parameter(
      'name_regex',
      'Dump only the currently loaded configurations whose names match the specified regex. Can be used with both resource and mask query parameters.',
    ),
    parameter(
      'include_eds',
      'Dump currently loaded configuration including EDS. See the response definition for more information',
    ),
  ),
  read('/contention', 'dump current Envoy mutex contention stats (if enabled)'),
  change(
    '/cpuprofiler',
    'enable/disable the CPU profiler',
    parameter('enable', 'enables the CPU profiler; One of (y, n)'),
  ),
  change(
    '/drain_listeners',
    'drain listeners',
    parameter(
      'graceful',
      'When draining listeners, enter a graceful drain period prior to closing listeners. This behaviour and duration is configurable via server options or CLI',
    ),
    parameter(
      'skip_exit',
      'When draining listeners, drain the connections but never stop the listeners. The graceful parameter has no effect when this is set, since the drain period only delays stopping the listeners',
    ),
    parameter(
      'inboundonly',
      'Drains all inbound listeners. traffic_direction field in envoy_v3_api_msg_config.listener.v3.Listener is used to determine whether a listener is inbound or outbound.',
    ),
  ),
  change('/healthcheck/fail', 'cause the server to fail health checks'),
  change('/healthcheck/ok', 'cause the server to pass health checks'),
  read('/heap_dump', 'dump current Envoy heap (if supported)'),
  change(
    '/heapprofiler',
    'enable/disable the heap profiler',
    parameter('enable', 'enable/disable the heap profiler; One of (y, n)'),
  ),
  read('/help', 'print out list of admin commands'),
  read('/hot_restart_version', 'print the hot restart compatibility version'),
  read(
    '/init_dump',
    'dump current Envoy init manager information (experimental)',
    parameter(
      'mask',
      'The desired component to dump unready targets. The mask is parsed as a Protobuf::FieldMask. For example, get the unready targets of all listeners with /init_dump?mask=listener`',
    ),
  ),
  read('/listeners', 'print listener info', parameter('format', 'File format to use; One of (text, json)')),
  change(
    '/logging',
    'query/change logging levels',
    parameter(
      'paths',
      'Change multiple logging levels by setting to <logger_name1>:<desired_level1>,<logger_name2>:<desired_level2>. If fine grain logging is enabled, use __FILE__ or a glob experision as the logger name. For example, source/common*:warning',
    ),
    parameter(
      'group',
      'Change given logger group to desired level, set to <logger_group_name>:<desired_level>. logger_group_name must be a logger name.',
    ),
    parameter(
      'level',
      "desired logging level, this will change all loggers's level; One of (, trace, debug, info, warning, error, critical, off)",
    ),
  ),
  read('/memory', 'print current allocation/heap usage'),
  read('/memory/tcmalloc', 'print TCMalloc stats'),
  read('/peak_heap_dump', 'dump peak Envoy heap (if supported)'),
  change('/quitquitquit', 'exit the server'),
  read('/ready', 'print server state, return 200 if LIVE, otherwise return 503'),
  change('/reopen_logs', 'reopen access logs'),
  change('/reset_counters', 'reset all counters to zero'),
  read('/runtime', 'print runtime values'),
  change(
    '/runtime_modify',
    'Adds or modifies runtime values as passed in query parameters. To delete a previously added key, use an empty string as the value. Note that deletion only applies to overrides added via this endpoint; values loaded from disk can be modified via override but not deleted. E.g. ?key1=value1&key2=value2...',
  ),
  read('/server_info', 'print server version/status information'),
  read(
    '/stats',
    'print server stats',
    parameter('usedonly', 'Only include stats that have been written by system since restart'),
    parameter('filter', 'Regular expression (Google re2) for filtering stats'),
    parameter('invert_filter', 'Invert the filter regex'),
    parameter('format', 'Format to use; One of (html, active-html, text, json)'),
    parameter('type', 'Stat types to include.; One of (All, Counters, Histograms, Gauges, TextReadouts)'),
    parameter('histogram_buckets', 'Histogram bucket display mode; One of (cumulative, disjoint, detailed, summary)'),
  ),
  read(
    '/stats/prometheus',
    'print server stats in prometheus format',
    parameter('usedonly', 'Only include stats that have been written by system since restart'),
    parameter('text_readouts', 'Render text_readouts as new gaugues with value 0 (increases Prometheus data size)'),
    parameter('filter', 'Regular expression (Google re2) for filtering stats'),
    parameter('invert_filter', 'Invert the filter regex'),
    parameter('histogram_buckets', 'Histogram bucket display mode; One of (cumulative, summary)'),
  ),
  read('/stats/recentlookups', 'Show recent stat-name lookups'),
  change('/stats/recentlookups/clear', 'clear list of stat-name lookups and counter'),
  change('/stats/recentlookups/disable', 'disable recording of reset stat-name lookup names'),
  change('/stats/recentlookups/enable', 'enable recording of reset stat-name lookup names'),
];

/** The help text, as `/help` prints it and a 404 appends it. */
export function helpText(): string {
  let text = 'admin commands are:\n';
  for (const endpoint of ENDPOINTS) {
    text += `  ${endpoint.path}${endpoint.mutates ? ' (POST)' : ''}: ${endpoint.help}\n`;
    for (const { name, help } of endpoint.parameters) text += `      ${name}: ${help}\n`;
  }
  return text;
}

/** Finds an endpoint by its exact path. */
export function endpointAt(path: string): Endpoint | undefined {
  return ENDPOINTS.find((endpoint) => endpoint.path === path);
}
