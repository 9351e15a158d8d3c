// Access logs: filter → format → file, compiled into one call per request.

import type { AccessLogModel } from '../config/model/access-log.ts';
import type { RuntimeKeys } from '../config/model/runtime.ts';
import type { AccessLogFiles } from './access-log-file.ts';
import { compileLogFilter } from './access-log-filter.ts';
import { compileFormat } from './format.ts';
import type { StreamInfo } from './stream-info.ts';

/** Writes the record of one finished stream. */
export type AccessLogger = (info: StreamInfo) => void;

/** What has happened, as `%ACCESS_LOG_TYPE%` prints it. */
export type AccessLogType =
  | 'DownstreamStart'
  | 'DownstreamPeriodic'
  | 'DownstreamEnd'
  | 'TcpConnectionStart'
  | 'TcpUpstreamConnected'
  | 'TcpPeriodic'
  | 'TcpConnectionEnd'
  | 'UpstreamEnd'
  | 'NotSet';

/**
 * Compiles a list of access logs.
 * @returns `null` when there are none
 * @param type what the records are about; set on the stream info before filters and formats read it
 * @param runtime overrides of thresholds and fractions
 */
export function createAccessLogger(
  models: readonly AccessLogModel[],
  files: AccessLogFiles,
  type: AccessLogType,
  runtime: RuntimeKeys,
): AccessLogger | null {
  const loggers = models.map((model) => createOne(model, files, type, runtime));
  const [first, second] = loggers;
  if (first === undefined) return null;
  if (second === undefined) return first;
  return (info) => {
    for (let i = 0; i < loggers.length; i++) (loggers[i] as AccessLogger)(info);
  };
}

function createOne(
  model: AccessLogModel,
  files: AccessLogFiles,
  type: AccessLogType,
  runtime: RuntimeKeys,
): AccessLogger {
  const writer = files.open(pathOf(model.sink));
  const format = compileFormat(model.format);
  if (model.filter === null) {
    return (info) => {
      info.accessLogType = type;
      writer.write(format(info));
    };
  }
  const wanted = compileLogFilter(model.filter, runtime);
  return (info) => {
    info.accessLogType = type;
    if (wanted(info)) writer.write(format(info));
  };
}

function pathOf(sink: AccessLogModel['sink']): string {
  return sink.kind === 'file' ? sink.path : `/dev/${sink.kind}`;
}
