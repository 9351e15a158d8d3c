// The process log: Envoy's levels, component names and line format; one line a message, to stderr or `--log-path`.
//
// Each thread has its own loggers; levels travel by message. A disabled level costs one comparison, provided that the
// caller asks before it builds the text: `if (log.level <= DEBUG) log.debug(`…`)`.

import { closeSync, openSync, readlinkSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { JsonObject } from '../config/model/common.ts';
import { ConfigError } from '../util/error.ts';
import { compileJsonLogPattern, compileLogPattern, DEFAULT_LOG_FORMAT, type LogPattern } from './log-pattern.ts';

/** Level names, by number. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warning', 'error', 'critical', 'off'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const TRACE = 0;
export const DEBUG = 1;
export const INFO = 2;
export const WARNING = 3;
export const ERROR = 4;
export const CRITICAL = 5;
export const OFF = 6;

/** Envoy's loggers, in the order in which `/logging` prints them. */
const COMPONENTS = [
  'a2a',
  'admin',
  'ai_protocol_manager',
  'alternate_protocols_cache',
  'aws',
  'assert',
  'backtrace',
  'basic_auth',
  'cache_filter',
  'client',
  'config',
  'connection',
  'conn_handler',
  'compression',
  'credential_injector',
  'decompression',
  'dns',
  'dubbo',
  'envoy_bug',
  'ext_authz',
  'ext_proc',
  'rocketmq',
  'file',
  'filter',
  'forward_proxy',
  'geolocation',
  'grpc',
  'happy_eyeballs',
  'hc',
  'health_checker',
  'http',
  'http2',
  'hystrix',
  'init',
  'io',
  'jwt',
  'json_rpc',
  'kafka',
  'key_value_store',
  'lua',
  'local_rate_limit',
  'main',
  'matcher',
  'mcp',
  'misc',
  'mongo',
  'multi_connection',
  'notification',
  'oauth2',
  'quic',
  'quic_stream',
  'pool',
  'rate_limit_quota',
  'rbac',
  'rds',
  'redis',
  'router',
  'runtime',
  'stats',
  'secret',
  'sse',
  'tap',
  'testing',
  'thrift',
  'tracing',
  'upstream',
  'udp',
  'wasm',
  'websocket',
  'golang',
  'stats_sinks',
  'dynamic_modules',
  'ip_tagging',
] as const;
export type LogComponent = (typeof COMPONENTS)[number];

/** How a thread writes its log. */
export interface LogOptions {
  readonly level: LogLevel;
  /** Levels by component (`--component-log-level`). */
  readonly components: { readonly [component: string]: LogLevel };
  /** spdlog pattern; empty = Envoy's default. */
  readonly format: string;
  /** C escapes in messages (`--log-format-escaped`). */
  readonly escaped: boolean;
  /** `json_format` of the application log; wins over `format`. */
  readonly json: JsonObject | null;
  /** Empty = stderr. */
  readonly path: string;
}

const STDERR = 2;
const FILE_MODE = 0o644;
/** Longer messages are cut, so that a line stays one write. */
const MESSAGE_CHARACTERS_MAX = 16_384;

/** Where lines go; replaced in tests. */
export type LogSink = (line: string) => void;

let pattern: LogPattern = compileLogPattern(DEFAULT_LOG_FORMAT, false);
let path = '';
let fd = STDERR;
let threadId = -1;
let sink: LogSink = writeLine;

/** One component's log. */
export class Logger {
  readonly component: LogComponent;
  /** Messages below this number are not written; compare before building a costly text. */
  level: number;

  constructor(component: LogComponent) {
    this.component = component;
    this.level = INFO;
  }

  trace(message: string): void {
    if (this.level <= TRACE) emit(this.component, TRACE, message, this.trace);
  }
  debug(message: string): void {
    if (this.level <= DEBUG) emit(this.component, DEBUG, message, this.debug);
  }
  info(message: string): void {
    if (this.level <= INFO) emit(this.component, INFO, message, this.info);
  }
  warning(message: string): void {
    if (this.level <= WARNING) emit(this.component, WARNING, message, this.warning);
  }
  error(message: string): void {
    if (this.level <= ERROR) emit(this.component, ERROR, message, this.error);
  }
  critical(message: string): void {
    if (this.level <= CRITICAL) emit(this.component, CRITICAL, message, this.critical);
  }
}

const loggers: ReadonlyMap<string, Logger> = new Map(COMPONENTS.map((name) => [name, new Logger(name)]));

/** This thread's logger of a component; the same object every time. */
export function logger(component: LogComponent): Logger {
  return loggers.get(component) as Logger;
}

/**
 * Sets up this thread's log; called once, before anything else runs.
 * @throws ConfigError for an unknown component, a bad JSON format or a file that cannot be opened
 */
export function configureLog(options: LogOptions): void {
  pattern =
    options.json === null
      ? compileLogPattern(options.format === '' ? DEFAULT_LOG_FORMAT : options.format, options.escaped)
      : compileJsonLogPattern(options.json);
  setLogLevel(null, options.level);
  for (const [component, level] of Object.entries(options.components)) {
    if (!setLogLevel(component, level)) throw new ConfigError(`invalid component specified '${component}'`);
  }
  path = options.path;
  if (path !== '') fd = openLog();
}

/** Replaces only the line format, once the bootstrap's `application_log_config` is known. */
export function setLogFormat(format: string | JsonObject): void {
  pattern = typeof format === 'string' ? compileLogPattern(format, false) : compileJsonLogPattern(format);
}

/**
 * Sets the level of one logger, or of all (`null`).
 * @returns false when there is no such logger
 */
export function setLogLevel(component: string | null, level: LogLevel): boolean {
  const number = LOG_LEVELS.indexOf(level);
  if (component === null) {
    for (const each of loggers.values()) each.level = number;
    return true;
  }
  const found = loggers.get(component);
  if (found === undefined) return false;
  found.level = number;
  return true;
}

/** Every logger and its level, in `/logging`'s order. */
export function logLevels(): readonly { readonly name: LogComponent; readonly level: LogLevel }[] {
  return [...loggers.values()].map((each) => ({
    name: each.component,
    level: LOG_LEVELS[each.level] as LogLevel,
  }));
}

/** Whether a name is a level. */
export function isLogLevel(name: string): name is LogLevel {
  return (LOG_LEVELS as readonly string[]).includes(name);
}

/** Opens `--log-path` anew (SIGUSR1); the old file stays in use when that fails. */
export function reopenLog(): void {
  if (path === '') return;
  try {
    const next = openLog();
    closeSync(fd);
    fd = next;
  } catch (error) {
    logger('file').error(String(error));
  }
}

/** Sends lines elsewhere; `null` = back to the file or stderr. */
export function setLogSinkForTest(replacement: LogSink | null): void {
  sink = replacement ?? writeLine;
}

function openLog(): number {
  try {
    return openSync(path, 'a', FILE_MODE);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new ConfigError(`Failed to open log-file '${path}': ${code}`);
  }
}

function emit(component: LogComponent, level: number, message: string, caller: Logger['info']): void {
  const at = pattern.needsLocation ? locate(caller) : NOWHERE;
  sink(
    `${pattern({
      timeMs: Date.now(),
      component,
      level: LOG_LEVELS[level] as string,
      message: message.length > MESSAGE_CHARACTERS_MAX ? message.slice(0, MESSAGE_CHARACTERS_MAX) : message,
      threadId: systemThreadId(),
      file: at.file,
      line: at.line,
      functionName: at.functionName,
    })}\n`,
  );
}

/** Synchronous, so that what is said before a crash is seen; a full pipe loses the line instead of stopping the proxy. */
function writeLine(line: string): void {
  try {
    writeSync(fd, line);
  } catch {
    // The line is lost.
  }
}

/** The kernel's number of this thread, as Envoy prints it. */
function systemThreadId(): number {
  if (threadId < 0) {
    try {
      threadId = Number(readlinkSync('/proc/thread-self').split('/').pop());
    } catch {
      threadId = process.pid;
    }
  }
  return threadId;
}

interface Location {
  readonly file: string;
  readonly line: number;
  readonly functionName: string;
}
const NOWHERE: Location = { file: '', line: 0, functionName: '' };
const FRAME = /^\s+at (?:(?:async |new )?(\S+) .*?\(|)?((?:file:\/\/|\/).+?):([0-9]+):[0-9]+\)?$/m;
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Where a log method was called from; only for messages that are written. */
function locate(caller: Logger['info']): Location {
  const holder: { stack?: string } = {};
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 1;
  Error.captureStackTrace(holder, caller);
  Error.stackTraceLimit = limit;
  const found = FRAME.exec(holder.stack ?? '');
  if (found === null) return NOWHERE;
  const [, functionName = '', where = '', line = '0'] = found;
  const file = where.startsWith('file://') ? fileURLToPath(where) : where;
  return {
    file: file.startsWith(ROOT) ? file.slice(ROOT.length) : file,
    line: Number(line),
    functionName,
  };
}
