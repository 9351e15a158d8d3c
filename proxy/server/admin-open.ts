// Opens the admin port as configured: its address and its access logs.

import type { AdminModel } from '../config/model/model.ts';
import type { RuntimeKeys } from '../config/model/runtime.ts';
import { createAccessLogger } from '../observe/access-log.ts';
import { AccessLogFiles } from '../observe/access-log-file.ts';
import { logger } from '../observe/log.ts';
import { SYSTEM_RUNTIME } from '../util/runtime.ts';
import { type AdminListener, openAdminListener } from './admin-listener.ts';
import type { AdminState } from './admin-state.ts';

/** Bytes of buffered log lines that are written at once; KiB in the options. */
const KIB = 1024;

/** The admin port with its log files. */
export interface Admin extends AdminListener {
  /** Opens the log files anew (SIGUSR1). */
  reopenLogs(): void;
}

/**
 * Opens the port of a model.
 * @param runtime what filters of its logs are overridden by
 * @throws ConfigError when the address cannot be bound
 */
export async function openAdmin(model: AdminModel, runtime: RuntimeKeys, state: AdminState): Promise<Admin> {
  const { options } = state.serverInfo();
  const files = new AccessLogFiles({
    flushIntervalMs: options.fileFlushIntervalMs,
    flushBytes: options.fileFlushMinSizeKb * KIB,
    stats: state.stats.local,
    runtime: SYSTEM_RUNTIME,
    warn: (message) => logger('file').warning(message),
  });
  const log = createAccessLogger(model.accessLogs, files, 'NotSet', runtime);
  const listener = await openAdminListener(model.address, state, log);
  return {
    address: listener.address,
    reopenLogs: () => files.reopen(),
    close: async () => {
      await listener.close();
      await files.close();
    },
  };
}
