// The command line: Envoy's flags, defaults and complaints.

import { availableParallelism } from 'node:os';
import t from 'tap';
import { helpText, type Options, parseArgs } from '../../proxy/server/args.ts';

function options(...argv: string[]): Options {
  const command = parseArgs(['-c', 'f', ...argv]);
  if (command.kind !== 'run') throw new Error(`expected run, got ${command.kind}`);
  return command.options;
}

t.test('defaults are Envoy’s', async (t) => {
  t.same(options(), {
    configPath: 'f',
    configYaml: '',
    mode: 'serve',
    concurrency: availableParallelism(),
    logLevel: 'info',
    componentLogLevels: {},
    logFormat: '',
    logFormatEscaped: false,
    logPath: '',
    serviceNode: '',
    serviceCluster: '',
    serviceZone: '',
    drainTimeS: 600,
    drainStrategy: 'gradual',
    parentShutdownTimeS: 900,
    shutdownGraceS: 5,
    baseId: 0,
    restartEpoch: 0,
    disableHotRestart: false,
    localAddressIpVersion: 'v4',
    fileFlushIntervalMs: 10_000,
    fileFlushMinSizeKb: 64,
    allowUnknownStaticFields: false,
    rejectUnknownDynamicFields: false,
    ignoreUnknownDynamicFields: false,
    skipDeprecatedLogs: false,
    adminAddressPath: '',
    disabledExtensions: [],
    statsTags: [],
    ignoredFlags: [],
  });
});

t.test('what pilot-agent passes', async (t) => {
  const argv =
    '--drain-time-s 45 --drain-strategy immediate --local-address-ip-version v6 --file-flush-interval-msec 1000 ' +
    '--disable-hot-restart --allow-unknown-static-fields -l warning --component-log-level misc:error,config:trace ' +
    '--skip-deprecated-logs --concurrency 3 --config-yaml {} --service-node n --service-cluster c --service-zone z';
  t.match(options(...argv.split(' ')), {
    drainTimeS: 45,
    drainStrategy: 'immediate',
    localAddressIpVersion: 'v6',
    fileFlushIntervalMs: 1000,
    disableHotRestart: true,
    allowUnknownStaticFields: true,
    logLevel: 'warning',
    componentLogLevels: { misc: 'error', config: 'trace' },
    skipDeprecatedLogs: true,
    concurrency: 3,
    configYaml: '{}',
    serviceNode: 'n',
    serviceCluster: 'c',
    serviceZone: 'z',
    ignoredFlags: [],
  });
});

t.test('other flags', async (t) => {
  t.same(options('--base-id', '3', '--cpuset-threads', '--restart-epoch=1').ignoredFlags, [
    '--base-id',
    '--cpuset-threads',
    '--restart-epoch',
  ]);
  t.same(options('--stats-tag', 'a:b:c', '--stats-tag', 'd:e').statsTags, [
    ['a', 'b:c'],
    ['d', 'e'],
  ]);
  t.equal(options('--concurrency', '0').concurrency, 1);
  t.equal(options('-l', 'warn').logLevel, 'warning');
  t.equal(options('--mode=validate').mode, 'validate');
  t.equal(options('--mode', 'init_only').mode, 'init_only');
  t.equal(options('--', '--whatever').configPath, 'f');
  t.same(parseArgs(['--version']), { kind: 'version' });
  t.same(parseArgs(['-h']), { kind: 'help' });
  t.same(parseArgs(['--hot-restart-version']), { kind: 'hot-restart-version' });
  t.match(helpText(), /--config-path <text>/);
});

t.test('complaints', async (t) => {
  const cases: [string[], string][] = [
    [[], 'at least one of --config-path (-c) and --config-yaml is needed; see --help'],
    [['--conig-path', 'x'], 'unknown flag --conig-path, did you mean --config-path?'],
    [['--xyz'], 'unknown flag --xyz; see --help'],
    [['-z'], 'unknown flag -z; see --help'],
    [['envoy.yaml'], "unexpected argument 'envoy.yaml'; use -c envoy.yaml for a file"],
    [['-c'], '--config-path needs a value (configuration file (-c): .yaml, .yml, .json or .pb)'],
    [['-c', 'a', '-c', 'b'], '--config-path is given twice'],
    [['-c', 'a', '--concurrency', 'x'], "--concurrency needs a whole number, got 'x'"],
    [['-c', 'a', '--concurrency', '1025'], '--concurrency 1025 is too many: at most 1024 workers'],
    [['-c', 'a', '--base-id', '4294967296'], "--base-id needs a whole number, got '4294967296'"],
    [['-c', 'a', '--mode', 'foo'], "unknown --mode 'foo': use serve, validate, init_only"],
    [
      ['-c', 'a', '-l', 'loud'],
      "invalid log level specified 'loud': use trace, debug, info, warning, error, critical, off",
    ],
    [['-c', 'a', '--component-log-level', 'x'], "component log level not correctly specified 'x': use component:level"],
    [['-c', 'a', '--disable-hot-restart=1'], '--disable-hot-restart takes no value'],
    [['-c', 'a', '--stats-tag', 'a:b.c'], "misformatted stats tag 'a:b.c': use name:value, without dots in the value"],
  ];
  for (const [argv, text] of cases) t.throws(() => parseArgs(argv), { name: 'UsageError', message: text }, text);
});
