// `/logging`: shows and changes log levels.

import { text } from './admin-answer.ts';
import type { AdminResponse, AdminState } from './admin-state.ts';

const LEVELS: ReadonlySet<string> = new Set(['trace', 'debug', 'info', 'warning', 'warn', 'error', 'critical', 'off']);

const USAGE =
  '\nusage: /logging?<name>=<level> (change single level)\n' +
  'usage: /logging?paths=name1:level1,name2:level2,... (change multiple levels)\n' +
  'usage: /logging?level=<level> (change all levels)\n' +
  'usage: /logging?group=<group_name>:<level> (change group of loggers)\n' +
  'levels: trace debug info warning error critical off \n';

type Change = { readonly logger: string | null; readonly level: string };

/** Applies what the query asks for, all or nothing, and lists the loggers. */
export function handleLogging(query: ReadonlyMap<string, string>, state: AdminState): AdminResponse {
  const changes = readChanges(query, new Set(state.loggers().map((logger) => logger.name)));
  if (typeof changes === 'string') return text(`error: ${changes}\n${USAGE}${loggerList(state)}`, 400);
  for (const { logger, level } of changes) state.setLogLevel(logger, level === 'warn' ? 'warning' : level);
  return text(loggerList(state));
}

function loggerList(state: AdminState): string {
  const lines = state.loggers().map(({ name, level }) => `  ${name}: ${level}\n`);
  return `active loggers:\n${lines.join('')}\n`;
}

/** The changes asked for, or what is wrong with them in Envoy's words. */
function readChanges(query: ReadonlyMap<string, string>, loggers: ReadonlySet<string>): Change[] | string {
  if (query.size > 1) return 'invalid number of parameters';
  const [name, value] = query.entries().next().value ?? ['', ''];
  if (value === '') return []; // `?level=` and a bare name only list
  switch (name) {
    case 'level':
      return LEVELS.has(value) ? [{ logger: null, level: value }] : 'unknown logger level';
    case 'group':
      return 'group parameter requires fine-grain logging to be enabled';
    case 'paths':
      return readPaths(value, loggers);
    default:
      return readOne(name, value, loggers);
  }
}

function readPaths(value: string, loggers: ReadonlySet<string>): Change[] | string {
  const changes: Change[] = [];
  for (const pair of value.split(',')) {
    const colon = pair.indexOf(':');
    if (colon <= 0 || colon === pair.length - 1) return 'empty logger name or empty logger level';
    const one = readOne(pair.slice(0, colon), pair.slice(colon + 1), loggers);
    if (typeof one === 'string') return one;
    changes.push(...one);
  }
  return changes;
}

function readOne(logger: string, level: string, loggers: ReadonlySet<string>): Change[] | string {
  if (!LEVELS.has(level)) return 'unknown logger level';
  return loggers.has(logger) ? [{ logger, level }] : 'unknown logger name';
}
