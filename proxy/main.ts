// The command `outrigger-proxy`: arguments in, exit code out. 0 done, 1 failed at run time, 2 bad usage or configuration.

import { configureLog, logger } from './observe/log.ts';
import { helpText, type Options, parseArgs } from './server/args.ts';
import { type ReplyOf, runConfigTask } from './server/config-task.ts';
import { logOptions } from './server/log-options.ts';
import { handleSignals } from './server/signals.ts';
import { VERSION_TEXT } from './server/version.ts';
import { quietWarnings } from './server/warnings.ts';
import { ConfigError, UsageError } from './util/error.ts';

const FAILED = 1;
const REFUSED = 2;

async function main(argv: readonly string[]): Promise<number> {
  const command = parseArgs(argv);
  switch (command.kind) {
    case 'help':
      process.stdout.write(helpText());
      return 0;
    case 'version':
      process.stdout.write(`\noutrigger-proxy  version: ${VERSION_TEXT}\n\n`);
      return 0;
    case 'hot-restart-version':
      process.stdout.write('disabled\n');
      return 0;
    case 'run':
      return run(command.options);
  }
}

async function run(options: Options): Promise<number> {
  configureLog(logOptions(options));
  quietWarnings((text) => logger('misc').warning(text));
  if (options.ignoredFlags.length > 0)
    logger('main').info(`flags without effect here: ${options.ignoredFlags.join(', ')}`);
  const loading = runConfigTask({ task: 'load', options }, 'loaded');
  if (options.mode === 'validate') return validate(options, loading);
  // A refusal is told when the server asks; until then nobody waits for it.
  loading.catch(() => {});
  // Imported here, so that the configuration is being read while the rest of the program loads.
  const { ProxyServer } = await import('./server/run.ts');
  const server = new ProxyServer(options, loading);
  handleSignals(server);
  await Promise.race([server.start(), server.done]);
  if (options.mode === 'init_only') await server.stop(0);
  await server.done;
  return 0;
}

async function validate(options: Options, loading: Promise<ReplyOf<'loaded'>>): Promise<number> {
  const { warnings } = await loading;
  for (const warning of warnings) logger('config').warning(warning);
  process.stdout.write(`configuration '${options.configPath}' OK\n`);
  return 0;
}

/** One line for a user; a stack trace only for the log at debug level. */
function explain(error: unknown): number {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`outrigger-proxy: ${message.replaceAll('\n', ' ')}\n`);
  if (error instanceof ConfigError || error instanceof UsageError) return REFUSED;
  if (error instanceof Error) logger('main').debug((error.stack ?? '').replaceAll('\n', ' | '));
  return FAILED;
}

process.exitCode = await main(process.argv.slice(2)).catch(explain);
process.exit();
