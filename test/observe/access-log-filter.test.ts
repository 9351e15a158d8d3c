// Access-log filters, each true and false at least once.

import t from 'tap';
import { HeaderMap } from '../../proxy/codec/headers.ts';
import { runtimeEntries } from '../../proxy/config/lower/runtime.ts';
import type { LogFilterModel } from '../../proxy/config/model/access-log.ts';
import type { HeaderMatchModel } from '../../proxy/config/model/headers.ts';
import { compileLogFilter } from '../../proxy/observe/access-log-filter.ts';
import { FLAG_NR, FLAG_UF } from '../../proxy/observe/flags.ts';
import { type ConnectionInfo, StreamInfo } from '../../proxy/observe/stream-info.ts';
import { ConfigError } from '../../proxy/util/error.ts';

function stream(): StreamInfo {
  const info = new StreamInfo({} as ConnectionInfo, 0, 100);
  info.requestHeaders = new HeaderMap();
  info.requestHeaders.add('x-a', 'Alpha');
  info.requestHeaders.add('x-n', '42');
  info.requestHeaders.add('x-m', 'a');
  info.requestHeaders.add('x-m', 'b');
  // Decoders join what Envoy joins.
  info.requestHeaders.add('accept', 'a,b');
  info.requestHeaders.add('x-request-id', '00000063-1111-4111-8111-111111111111');
  info.method = 'GET';
  info.path = '/p';
  info.status = 404;
  info.flags = FLAG_NR;
  info.endMs = 150.9;
  info.accessLogType = 'DownstreamEnd';
  info.dynamicMetadata = { ns: { s: 'str', n: 5, b: true, z: null, o: { deep: 'é' } } };
  return info;
}

function header(name: string, match: HeaderMatchModel['match'], more: Partial<HeaderMatchModel> = {}): LogFilterModel {
  return { kind: 'header', header: { name, match, invert: false, treatMissingAsEmpty: false, ...more } };
}

const exact = (value: string, ignoreCase = false): HeaderMatchModel['match'] => ({
  kind: 'string',
  string: { kind: 'exact', value, ignoreCase },
});
const code = (op: 'eq' | 'ge' | 'le' | 'ne', value: number): LogFilterModel => ({
  kind: 'status_code',
  op,
  value,
  runtimeKey: 'code',
});
const duration = (op: 'eq' | 'ge' | 'le' | 'ne', value: number): LogFilterModel => ({
  kind: 'duration',
  op,
  value,
  runtimeKey: '',
});
const metadata = (
  path: readonly string[],
  value: Extract<LogFilterModel, { kind: 'metadata' }>['value'],
  matchIfKeyNotFound = false,
): LogFilterModel => ({ kind: 'metadata', namespace: 'ns', path, value, invert: false, matchIfKeyNotFound });
const fraction = (numerator: number): LogFilterModel => ({
  kind: 'runtime',
  key: 'rt',
  fraction: { numerator, denominator: 100, runtimeKey: 'rt' },
  useIndependentRandomness: false,
});
const yes: LogFilterModel = { kind: 'not_health_check' };
const no: LogFilterModel = { kind: 'traceable' };

const CASES: readonly (readonly [name: string, filter: LogFilterModel, wanted: boolean])[] = [
  ['status eq', code('eq', 404), true],
  ['status ge', code('ge', 405), false],
  ['status le', code('le', 404), true],
  ['status ne', code('ne', 404), false],
  ['duration truncates', duration('eq', 50), true],
  ['duration ge', duration('ge', 51), false],
  ['not health check', yes, true],
  ['traceable', no, false],
  ['and', { kind: 'and', filters: [yes, yes] }, true],
  ['and, one false', { kind: 'and', filters: [yes, no] }, false],
  ['or', { kind: 'or', filters: [no, yes] }, true],
  ['or, none', { kind: 'or', filters: [no, no] }, false],
  ['header exact', header('x-a', exact('Alpha')), true],
  ['header exact, case', header('x-a', exact('alpha')), false],
  ['header ignoring case', header('x-a', exact('alpha', true)), true],
  [
    'header prefix',
    header('x-a', { kind: 'string', string: { kind: 'prefix', value: 'Al', ignoreCase: false } }),
    true,
  ],
  [
    'header suffix',
    header('x-a', { kind: 'string', string: { kind: 'suffix', value: 'x', ignoreCase: false } }),
    false,
  ],
  [
    'header contains',
    header('x-a', { kind: 'string', string: { kind: 'contains', value: 'ph', ignoreCase: false } }),
    true,
  ],
  [
    'regex in full',
    header('x-a', { kind: 'string', string: { kind: 'regex', value: 'Al.*', ignoreCase: false } }),
    true,
  ],
  [
    'regex, part only',
    header('x-a', { kind: 'string', string: { kind: 'regex', value: 'Al', ignoreCase: false } }),
    false,
  ],
  ['header range', header('x-n', { kind: 'range', start: 42, end: 43 }), true],
  ['header range is half-open', header('x-n', { kind: 'range', start: 0, end: 42 }), false],
  ['header range, no number', header('x-a', { kind: 'range', start: 0, end: 99 }), false],
  ['header present', header('x-a', { kind: 'present', present: true }), true],
  ['header absent wanted', header('x-z', { kind: 'present', present: false }), true],
  ['header present, inverted', header('x-a', { kind: 'present', present: true }, { invert: true }), false],
  ['inverted', header('x-a', exact('beta'), { invert: true }), true],
  ['inverted, missing', header('x-z', exact('beta'), { invert: true }), false],
  ['missing as empty', header('x-z', exact(''), { treatMissingAsEmpty: true }), true],
  ['missing as empty, inverted', header('x-z', exact('b'), { treatMissingAsEmpty: true, invert: true }), true],
  // Seen in Envoy 1.40: values of a repeated header are tried one by one, unless it is one that Envoy joins.
  ['repeated, first', header('x-m', exact('a')), true],
  ['repeated, second', header('x-m', exact('b')), true],
  ['repeated, joined', header('x-m', exact('a,b')), false],
  ['repeated, inverted', header('x-m', exact('b'), { invert: true }), false],
  ['repeated, inverted, none', header('x-m', exact('z'), { invert: true }), true],
  ['repeated and joined', header('accept', exact('a,b')), true],
  ['repeated and joined, part', header('accept', exact('a')), false],
  ['pseudo-header', header(':method', exact('GET')), true],
  ['any flag', { kind: 'response_flag', flags: [] }, true],
  ['this flag', { kind: 'response_flag', flags: ['UF', 'NR'] }, true],
  ['another flag', { kind: 'response_flag', flags: ['UF'] }, false],
  ['gRPC status from HTTP', { kind: 'grpc_status', statuses: [12], exclude: false }, true],
  ['gRPC status excluded', { kind: 'grpc_status', statuses: [12], exclude: true }, false],
  ['log type', { kind: 'log_type', types: ['DownstreamEnd'], exclude: false }, true],
  ['log type excluded', { kind: 'log_type', types: ['DownstreamEnd'], exclude: true }, false],
  [
    'metadata string',
    metadata(['s'], { kind: 'string', match: { kind: 'exact', value: 'str', ignoreCase: false } }),
    true,
  ],
  ['metadata number', metadata(['n'], { kind: 'exact_number', value: 5 }), true],
  ['metadata range', metadata(['n'], { kind: 'range', start: 0, end: 5 }), false],
  ['metadata bool', metadata(['b'], { kind: 'bool', value: false }), false],
  ['metadata null', metadata(['z'], { kind: 'null' }), true],
  ['metadata present', metadata(['s'], { kind: 'present', present: true }), true],
  [
    'metadata deep, UTF-8',
    metadata(['o', 'deep'], { kind: 'string', match: { kind: 'exact', value: 'Ã©', ignoreCase: false } }),
    true,
  ],
  ['metadata key missing', metadata(['nope'], { kind: 'present', present: true }), false],
  ['metadata key missing, wanted', metadata(['nope'], { kind: 'present', present: true }, true), true],
  ['metadata through a string', metadata(['s', 'x'], { kind: 'present', present: true }), false],
  // 0x63 = 99
  ['runtime share, above', fraction(99), false],
  ['runtime share, all', fraction(100), true],
];

t.test('filters', (t) => {
  for (const [name, model, wanted] of CASES) t.equal(compileLogFilter(model, {})(stream()), wanted, name);
  t.end();
});

t.test('a stream that differs', (t) => {
  const info = stream();
  info.healthCheck = true;
  t.equal(compileLogFilter(yes, {})(info), false);
  info.healthCheck = false;
  info.traceSampled = true;
  t.equal(compileLogFilter(no, {})(info), true);
  info.flags = 0;
  t.equal(compileLogFilter({ kind: 'response_flag', flags: [] }, {})(info), false);
  info.flags = FLAG_UF;
  t.equal(compileLogFilter({ kind: 'response_flag', flags: ['NR'] }, {})(info), false);
  info.dynamicMetadata = null;
  t.equal(compileLogFilter(metadata(['s'], { kind: 'present', present: true }, true), {})(info), true);
  t.end();
});

t.test('runtime overrides', (t) => {
  t.equal(compileLogFilter(code('ge', 500), runtimeEntries({ code: 400 }))(stream()), true);
  t.equal(
    compileLogFilter(code('ge', 500), runtimeEntries({ code: 'x' }))(stream()),
    false,
    'no number: the default holds',
  );
  t.equal(compileLogFilter(fraction(0), runtimeEntries({ rt: 100 }))(stream()), true);
  t.end();
});

t.test('shares without a request id are drawn by chance', (t) => {
  const info = stream();
  info.requestHeaders?.remove('x-request-id');
  t.equal(compileLogFilter(fraction(100), {})(info), true);
  t.equal(compileLogFilter(fraction(0), {})(info), false);
  const half = compileLogFilter(fraction(50), {});
  const hits = Array.from({ length: 2000 }, () => half(info)).filter(Boolean).length;
  // Ten standard deviations on either side.
  t.ok(hits > 770 && hits < 1230, `${hits} of 2000`);
  t.end();
});

t.test('an unknown flag is refused', (t) => {
  t.throws(
    () => compileLogFilter({ kind: 'response_flag', flags: ['ZZ'] }, {}),
    new ConfigError(
      "'ZZ' is no response flag; the flags are LH, UH, UT, LR, UR, UF, UC, UO, NR, DI, FI, RL, UAEX, RLSE, DC, URX, SI, IH, DPE, UMSDR, RFCF, NFCF, DT, UPE, NC, OM, DF, DO, DR, UDO",
    ),
  );
  t.end();
});
