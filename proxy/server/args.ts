// The command line: Envoy's flags with Envoy's defaults (architecture: a flag of Envoy's that means nothing here is
// accepted and named once; an unknown flag is an error with the nearest known one).

import { availableParallelism } from 'node:os';
import { UsageError } from '../util/error.ts';
import { nearest } from '../util/nearest.ts';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warning' | 'error' | 'critical' | 'off';

export interface Options {
  /** Empty = not given; at least one of `configPath` and `configYaml` is. */
  readonly configPath: string;
  readonly configYaml: string;
  readonly mode: 'serve' | 'validate' | 'init_only';
  /** Worker threads, at least 1. */
  readonly concurrency: number;
  readonly logLevel: LogLevel;
  readonly componentLogLevels: { readonly [component: string]: LogLevel };
  /** spdlog syntax; empty = the default format. */
  readonly logFormat: string;
  readonly logFormatEscaped: boolean;
  /** Empty = stderr. */
  readonly logPath: string;
  readonly serviceNode: string;
  readonly serviceCluster: string;
  readonly serviceZone: string;
  readonly drainTimeS: number;
  readonly drainStrategy: 'gradual' | 'immediate';
  readonly parentShutdownTimeS: number;
  /** Requests in flight may take this long after SIGTERM. */
  readonly shutdownGraceS: number;
  readonly baseId: number;
  readonly restartEpoch: number;
  readonly disableHotRestart: boolean;
  readonly localAddressIpVersion: 'v4' | 'v6';
  readonly fileFlushIntervalMs: number;
  readonly fileFlushMinSizeKb: number;
  readonly allowUnknownStaticFields: boolean;
  readonly rejectUnknownDynamicFields: boolean;
  readonly ignoreUnknownDynamicFields: boolean;
  readonly skipDeprecatedLogs: boolean;
  /** The admin address is written there once it is bound; empty = nowhere. */
  readonly adminAddressPath: string;
  readonly disabledExtensions: readonly string[];
  /** Tags of every stat, as `[name, value]`. */
  readonly statsTags: readonly (readonly [string, string])[];
  /** Flags that were given and mean nothing here, for one log line. */
  readonly ignoredFlags: readonly string[];
}

export type Command =
  | { readonly kind: 'run'; readonly options: Options }
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | { readonly kind: 'hot-restart-version' };

type FlagKind = 'text' | 'count' | 'switch';

interface Flag {
  readonly kind: FlagKind;
  readonly help: string;
  /** Accepted for Envoy's sake, without effect. */
  readonly ignored?: boolean;
}

const text = (help: string): Flag => ({ kind: 'text', help });
const count = (help: string): Flag => ({ kind: 'count', help });
const onOff = (help: string): Flag => ({ kind: 'switch', help });
const without = (kind: FlagKind, help: string): Flag => ({ kind, help, ignored: true });

const FLAGS: ReadonlyMap<string, Flag> = new Map([
  ['config-path', text('configuration file (-c): .yaml, .yml, .json or .pb')],
  ['config-yaml', text('inline YAML, merged over the file')],
  ['mode', text('serve (default), validate, or init_only')],
  ['concurrency', count('worker threads; default: the CPUs available')],
  ['log-level', text('trace, debug, info (default), warning, error, critical or off (-l)')],
  ['component-log-level', text('levels by component: upstream:debug,config:trace')],
  ['log-format', text('log line format in spdlog syntax')],
  ['log-format-escaped', onOff('escape control characters in log lines')],
  ['log-path', text('log file; default: stderr')],
  ['service-node', text('node id')],
  ['service-cluster', text('node cluster')],
  ['service-zone', text('node zone')],
  ['drain-time-s', count('listener drain time, seconds; default 600')],
  ['drain-strategy', text('gradual (default) or immediate')],
  ['shutdown-grace-s', count('time for requests in flight after SIGTERM, seconds; default 5')],
  ['local-address-ip-version', text('v4 (default) or v6')],
  ['file-flush-interval-msec', count('access log flush interval, milliseconds; default 10000')],
  ['file-flush-min-size-kb', count('access log flush size, KiB; default 64')],
  ['allow-unknown-static-fields', onOff('unknown fields of the static configuration are warnings')],
  ['allow-unknown-fields', onOff('older name of --allow-unknown-static-fields')],
  ['reject-unknown-dynamic-fields', onOff('unknown fields of dynamic configuration are refused')],
  ['ignore-unknown-dynamic-fields', onOff('unknown fields of dynamic configuration are not looked for')],
  ['skip-deprecated-logs', onOff('no warnings about deprecated fields')],
  ['admin-address-path', text('file to write the admin address to')],
  ['disable-extensions', text('extensions to refuse, comma-separated')],
  ['stats-tag', text('tag:value on every stat; may be repeated')],
  ['disable-hot-restart', onOff('accepted: hot restart is never on')],
  ['version', onOff('print the version and exit')],
  ['hot-restart-version', onOff('print "disabled" and exit')],
  ['help', onOff('print this and exit (-h)')],
  ['base-id', without('count', 'hot restart')],
  ['base-id-path', without('text', 'hot restart')],
  ['use-dynamic-base-id', without('switch', 'hot restart')],
  ['restart-epoch', without('count', 'hot restart')],
  ['parent-shutdown-time-s', without('count', 'hot restart')],
  ['skip-hot-restart-on-no-parent', without('switch', 'hot restart')],
  ['skip-hot-restart-parent-stats', without('switch', 'hot restart')],
  ['socket-path', without('text', 'hot restart')],
  ['socket-mode', without('text', 'hot restart')],
  ['bootstrap-version', without('count', 'only 3 exists')],
  ['cpuset-threads', without('switch', 'the default of --concurrency honours the cpuset')],
  ['enable-core-dump', without('switch', 'use ulimit')],
  ['enable-mutex-tracing', without('switch', 'there are no mutexes')],
  ['enable-fine-grain-logging', without('switch', 'log levels are per component')],
  ['log-stacktrace-single-entry', without('switch', 'no stack traces are logged')],
]);

const SHORT: ReadonlyMap<string, string> = new Map([
  ['-c', 'config-path'],
  ['-l', 'log-level'],
  ['-h', 'help'],
]);

/** As Envoy: an unsigned 32-bit number. */
const COUNT_MAX = 0xffff_ffff;
/** Worker threads; each takes some 20 MB. */
const CONCURRENCY_MAX = 1024;

/**
 * Reads the arguments after the program's name.
 * @throws UsageError in one sentence
 */
export function parseArgs(argv: readonly string[]): Command {
  const given = collect(argv);
  if (given.has('help')) return { kind: 'help' };
  if (given.has('version')) return { kind: 'version' };
  if (given.has('hot-restart-version')) return { kind: 'hot-restart-version' };
  return { kind: 'run', options: toOptions(given) };
}

type Given = ReadonlyMap<string, readonly string[]>;

function collect(argv: readonly string[]): Given {
  const given = new Map<string, string[]>();
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] as string;
    if (argument === '--' || argument === '--ignore_rest') break;
    const equals = argument.startsWith('--') ? argument.indexOf('=') : -1;
    const name = flagName(equals < 0 ? argument : argument.slice(0, equals));
    const flag = FLAGS.get(name) as Flag;
    let value = equals < 0 ? '' : argument.slice(equals + 1);
    if (flag.kind === 'switch') {
      if (equals >= 0) throw new UsageError(`--${name} takes no value`);
    } else if (equals < 0) {
      i++;
      const next = argv[i];
      if (next === undefined) throw new UsageError(`--${name} needs a value (${flag.help})`);
      value = next;
    }
    if (flag.kind === 'count') checkCount(name, value);
    const before = given.get(name);
    if (before === undefined) given.set(name, [value]);
    else if (name === 'stats-tag') before.push(value);
    else throw new UsageError(`--${name} is given twice`);
  }
  return given;
}

function flagName(argument: string): string {
  const short = SHORT.get(argument);
  if (short !== undefined) return short;
  const name = argument.startsWith('--') ? argument.slice(2) : '';
  if (FLAGS.has(name)) return name;
  if (!argument.startsWith('-'))
    throw new UsageError(`unexpected argument '${argument}'; use -c ${argument} for a file`);
  const near = nearest(argument.replace(/^-+/, ''), FLAGS.keys());
  throw new UsageError(`unknown flag ${argument}${near === null ? '; see --help' : `, did you mean --${near}?`}`);
}

function checkCount(name: string, value: string): void {
  if (/^\d{1,10}$/.test(value) && Number(value) <= COUNT_MAX) return;
  throw new UsageError(`--${name} needs a whole number, got '${value}'`);
}

function toOptions(given: Given): Options {
  const textOf = (name: string) => given.get(name)?.[0] ?? '';
  const countOf = (name: string, fallback: number) => (given.has(name) ? Number(textOf(name)) : fallback);
  if (textOf('config-path') === '' && textOf('config-yaml') === '') {
    throw new UsageError('at least one of --config-path (-c) and --config-yaml is needed; see --help');
  }
  const concurrency = Math.max(1, countOf('concurrency', Math.min(availableParallelism(), CONCURRENCY_MAX)));
  if (concurrency > CONCURRENCY_MAX)
    throw new UsageError(`--concurrency ${concurrency} is too many: at most ${CONCURRENCY_MAX} workers`);
  return {
    configPath: textOf('config-path'),
    configYaml: textOf('config-yaml'),
    mode: oneOf(given, 'mode', ['serve', 'validate', 'init_only']),
    concurrency,
    logLevel: given.has('log-level') ? parseLogLevel(textOf('log-level')) : 'info',
    componentLogLevels: componentLevels(textOf('component-log-level')),
    logFormat: textOf('log-format'),
    logFormatEscaped: given.has('log-format-escaped'),
    logPath: textOf('log-path'),
    serviceNode: textOf('service-node'),
    serviceCluster: textOf('service-cluster'),
    serviceZone: textOf('service-zone'),
    drainTimeS: countOf('drain-time-s', 600),
    drainStrategy: oneOf(given, 'drain-strategy', ['gradual', 'immediate']),
    parentShutdownTimeS: countOf('parent-shutdown-time-s', 900),
    shutdownGraceS: countOf('shutdown-grace-s', 5),
    baseId: countOf('base-id', 0),
    restartEpoch: countOf('restart-epoch', 0),
    disableHotRestart: given.has('disable-hot-restart'),
    localAddressIpVersion: oneOf(given, 'local-address-ip-version', ['v4', 'v6']),
    fileFlushIntervalMs: countOf('file-flush-interval-msec', 10_000),
    fileFlushMinSizeKb: countOf('file-flush-min-size-kb', 64),
    allowUnknownStaticFields: given.has('allow-unknown-static-fields') || given.has('allow-unknown-fields'),
    rejectUnknownDynamicFields: given.has('reject-unknown-dynamic-fields'),
    ignoreUnknownDynamicFields: given.has('ignore-unknown-dynamic-fields'),
    skipDeprecatedLogs: given.has('skip-deprecated-logs'),
    adminAddressPath: textOf('admin-address-path'),
    disabledExtensions: textOf('disable-extensions').split(',').filter(Boolean),
    statsTags: (given.get('stats-tag') ?? []).map(statsTag),
    ignoredFlags: [...given.keys()].filter((name) => FLAGS.get(name)?.ignored).map((name) => `--${name}`),
  };
}

function oneOf<T extends string>(given: Given, name: string, values: readonly [T, ...T[]]): T {
  const wanted = given.get(name)?.[0];
  if (wanted === undefined) return values[0];
  const found = values.find((value) => value === wanted);
  if (found === undefined) throw new UsageError(`unknown --${name} '${wanted}': use ${values.join(', ')}`);
  return found;
}

const LEVELS: readonly LogLevel[] = ['trace', 'debug', 'info', 'warning', 'error', 'critical', 'off'];

/** @throws UsageError in Envoy's words */
export function parseLogLevel(name: string): LogLevel {
  const level = name === 'warn' ? 'warning' : LEVELS.find((candidate) => candidate === name);
  if (level === undefined) throw new UsageError(`invalid log level specified '${name}': use ${LEVELS.join(', ')}`);
  return level;
}

function componentLevels(list: string): { [component: string]: LogLevel } {
  const levels: { [component: string]: LogLevel } = {};
  for (const item of list.split(',').filter(Boolean)) {
    const [component = '', level, more] = item.split(':');
    if (component === '' || level === undefined || more !== undefined) {
      throw new UsageError(`component log level not correctly specified '${item}': use component:level`);
    }
    levels[component] = parseLogLevel(level);
  }
  return levels;
}

function statsTag(item: string): readonly [string, string] {
  const colon = item.indexOf(':');
  const [name, value] = [item.slice(0, colon), item.slice(colon + 1)];
  if (colon < 0 || !/^\w+$/.test(name) || value.includes('.')) {
    throw new UsageError(`misformatted stats tag '${item}': use name:value, without dots in the value`);
  }
  return [name, value];
}

/** The text of `--help`. */
export function helpText(): string {
  const lines = ['usage: outrigger-proxy -c FILE [flags]', ''];
  for (const [name, flag] of FLAGS) {
    if (flag.ignored) continue;
    const value = flag.kind === 'text' ? ' <text>' : flag.kind === 'count' ? ' <number>' : '';
    lines.push(`  ${`--${name}${value}`.padEnd(36)} ${flag.help}`);
  }
  const ignored = [...FLAGS].filter(([, flag]) => flag.ignored).map(([name]) => `--${name}`);
  lines.push('', `accepted without effect: ${ignored.join(' ')}`, '');
  return lines.join('\n');
}
