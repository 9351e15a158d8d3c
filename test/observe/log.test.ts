// The process log: levels, patterns (compared with what Envoy 1.40 printed for the same pattern), files, JSON.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import {
  configureLog,
  DEBUG,
  isLogLevel,
  LOG_LEVELS,
  type LogOptions,
  logger,
  logLevels,
  reopenLog,
  setLogFormat,
  setLogLevel,
  setLogSinkForTest,
} from '../../proxy/observe/log.ts';
import { compileJsonLogPattern, compileLogPattern, type LogRecord } from '../../proxy/observe/log-pattern.ts';
import { ConfigError } from '../../proxy/util/error.ts';

process.env['TZ'] = 'UTC';

const OPTIONS: LogOptions = { level: 'info', components: {}, format: '', escaped: false, json: null, path: '' };
const RECORD: LogRecord = {
  timeMs: Date.UTC(2026, 10, 21, 11, 56, 18, 340),
  component: 'admin',
  level: 'info',
  message: 'admin address: 127.0.0.1:18990',
  threadId: 22373,
  file: 'source/server/admin/admin.cc',
  line: 66,
  functionName: 'startHttpListener',
};

function captured(): string[] {
  const lines: string[] = [];
  setLogSinkForTest((line) => lines.push(line));
  t.teardown(() => setLogSinkForTest(null));
  return lines;
}

t.test('patterns print what Envoy prints', (t) => {
  const cases: readonly (readonly [string, string])[] = [
    [
      '%Y|%m|%d|%H|%M|%S|%e|%f|%F|%E|%l|%L|%n|%t|%v|%_|%s|%g|%#|%!|%@|%%|%D|%c|%C|%a|%A|%b|%B|%h|%I|%p|%r|%R|%T|%X|%z|%^x%$|%+|%&|%q',
      '2026|11|21|11|56|18|340|340000|340000000|1795262178|info|I|admin|22373|admin address: 127.0.0.1:18990|' +
        'admin address: 127.0.0.1:18990|admin.cc|source/server/admin/admin.cc|66|startHttpListener|' +
        'source/server/admin/admin.cc:66|%|11/21/26|Sat Nov 21 11:56:18 2026|26|Sat|Saturday|Nov|November|Nov|11|AM|' +
        '11:56:18 AM|11:56|11:56:18|11:56:18|+00:00|x|admin address: 127.0.0.1:18990||%q',
    ],
    ['[%8l][%-8l][%=9l][%3!n][%-3!n] %j', '[    info][info    ][  info   ][adm][adm] admin address: 127.0.0.1:18990'],
    ['', ''],
    ['%', '%'],
  ];
  for (const [pattern, line] of cases) t.equal(compileLogPattern(pattern, false)(RECORD), line, pattern);
  t.end();
});

t.test('a message is one line', (t) => {
  const record = { ...RECORD, message: 'a\n"b"\\\t' };
  t.equal(compileLogPattern('%v', false)(record), 'a\\n"b"\\\t');
  t.equal(compileLogPattern('%_', false)(record), 'a\\n"b"\\\t');
  t.equal(compileLogPattern('%v', true)(record), 'a\\n\\"b\\"\\\\\\t');
  t.equal(compileLogPattern('%j', false)(record), 'a\\n\\"b\\"\\\\\\t');
  t.end();
});

t.test('JSON', (t) => {
  const render = compileJsonLogPattern({ L: '%l', M: '%j', n: { a: ['%n', 1, true] } });
  t.equal(render({ ...RECORD, message: 'a"b' }), '{"L":"info","M":"a\\"b","n":{"a":["admin",1,true]}}');
  for (const flag of ['%v', '%_']) {
    t.throws(
      () => compileJsonLogPattern({ a: { b: flag } }),
      new ConfigError(`setJsonLogFormat error: INVALID_ARGUMENT: Usage of ${flag} is unavailable for JSON log formats`),
    );
  }
  t.end();
});

t.test('levels', (t) => {
  const lines = captured();
  configureLog({ ...OPTIONS, level: 'warning', components: { http: 'trace' }, format: '%l %n %v' });
  const main = logger('main');
  t.equal(logger('main'), main, 'the same object every time');
  main.info('quiet');
  main.warning('loud');
  logger('http').trace('traced');
  t.same(lines.splice(0), ['warning main loud\n', 'trace http traced\n']);
  t.ok(main.level > DEBUG);
  t.ok(setLogLevel('main', 'debug'));
  main.trace('no');
  main.debug('yes');
  main.error('err');
  main.critical('crit');
  t.same(lines.splice(0), ['debug main yes\n', 'error main err\n', 'critical main crit\n']);
  setLogLevel(null, 'off');
  main.critical('silence');
  t.same(lines, []);
  t.equal(setLogLevel('nobody', 'info'), false);
  t.throws(
    () => configureLog({ ...OPTIONS, components: { foo: 'info' } }),
    new ConfigError("invalid component specified 'foo'"),
  );
  setLogLevel(null, 'info');
  setLogLevel('rbac', 'error');
  const levels = logLevels();
  t.equal(levels.length, 73, "as many loggers as Envoy's");
  t.same(levels[0], { name: 'a2a', level: 'info' });
  t.same(
    levels.find(({ name }) => name === 'rbac'),
    { name: 'rbac', level: 'error' },
  );
  t.same(
    LOG_LEVELS.map(isLogLevel),
    LOG_LEVELS.map(() => true),
  );
  t.notOk(isLogLevel('warn'));
  t.end();
});

t.test('the default line names time, thread, level, component and place', (t) => {
  const lines = captured();
  configureLog(OPTIONS);
  logger('upstream').info('hello');
  t.match(
    lines[0],
    /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\]\[\d+\]\[info\]\[upstream\] \[test\/observe\/log\.test\.ts:\d+\] hello\n$/,
  );
  setLogFormat('%v');
  logger('upstream').info('x'.repeat(20_000));
  t.equal(lines[1]?.length, 16_385, 'long messages are cut');
  t.end();
});

t.test('a file, reopened', (t) => {
  setLogSinkForTest(null);
  const folder = mkdtempSync(join(tmpdir(), 'log-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'p.log');
  configureLog({ ...OPTIONS, path, format: '%v' });
  logger('main').info('one');
  renameSync(path, join(folder, 'p.log.1'));
  reopenLog();
  logger('main').info('twö');
  t.equal(readFileSync(join(folder, 'p.log.1'), 'utf8'), 'one\n');
  t.equal(readFileSync(path, 'utf8'), 'twö\n');
  t.throws(
    () => configureLog({ ...OPTIONS, path: join(folder, 'no', 'p.log') }),
    new ConfigError(`Failed to open log-file '${join(folder, 'no', 'p.log')}': ENOENT`),
  );
  configureLog(OPTIONS);
  t.end();
});

t.test('to stderr by default', (t) => {
  const url = new URL('../../proxy/observe/log.ts', import.meta.url).href;
  const code = `import { logger } from '${url}'; logger('main').error('told');`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
  t.equal(stdout, '');
  t.match(stderr, /\]\[error\]\[main\] \[.*\] told\n/);
  t.end();
});
