// Signals, as Envoy takes them: TERM and INT stop, USR1 reopens logs, HUP is ignored.

import { logger } from '../observe/log.ts';
import type { ProxyServer } from './run.ts';

/** Exit code after a second signal cut the grace short. */
const CUT_SHORT = 1;

/** Connects this process's signals to a server. */
export function handleSignals(server: ProxyServer): void {
  const log = logger('main');
  let stops = 0;
  const stop = (signal: NodeJS.Signals): void => {
    if (++stops > 1) process.exit(CUT_SHORT);
    log.warning(`caught ${signal}`);
    void server.stop(server.options.shutdownGraceS * 1000);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGUSR1', () => {
    log.info('caught SIGUSR1: opening log files anew');
    server.reopenLogs();
  });
  process.on('SIGHUP', () => log.warning('caught and eating SIGHUP: there is no hot restart'));
}
