// The access-log files of a configuration: it is refused when one cannot be opened, as Envoy refuses it.

import type { AccessLogModel } from '../config/model/access-log.ts';
import type { Model } from '../config/model/model.ts';
import { checkLogFile } from '../observe/access-log-file.ts';

/** Opens each log file once, which creates it. @throws ConfigError in Envoy's words */
export function checkLogPaths(model: Model): void {
  const paths = new Set<string>();
  const add = (logs: readonly AccessLogModel[]): void => {
    for (const { sink } of logs) if (sink.kind === 'file') paths.add(sink.path);
  };
  if (model.outlierLogPath !== '') paths.add(model.outlierLogPath);
  if (model.admin !== null) add(model.admin.accessLogs);
  for (const listener of model.listeners) {
    add(listener.accessLogs);
    const filters = listener.filterChains.flatMap((chain) => chain.filters);
    for (const filter of [...filters, ...(listener.defaultFilterChain?.filters ?? [])])
      if (filter.kind === 'http_connection_manager' || filter.kind === 'tcp_proxy') add(filter.config.accessLogs);
  }
  for (const path of paths) checkLogFile(path);
}
