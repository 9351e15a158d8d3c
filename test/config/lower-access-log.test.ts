// Access logs, their filters and formats: every honoured field, Envoy's defaults, refusals.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { lowerAccessLog, lowerFormat } from '../../proxy/config/lower/access-log.ts';
import type { AccessLogModel, LogFilterModel } from '../../proxy/config/model/access-log.ts';
import { DEFAULT_TEXT_FORMAT } from '../../proxy/observe/format.ts';
import { fileLog, lowered, refusal, TYPE } from '../fixtures/lower.ts';

const LOG = 'envoy.config.accesslog.v3.AccessLog';
const FORMAT = 'envoy.config.core.v3.SubstitutionFormatString';

function lower(json: object): AccessLogModel {
  return lowered(lowerAccessLog, LOG, json);
}

function filter(json: object): LogFilterModel | null {
  return lower(fileLog('/dev/null', {}, { filter: json })).filter;
}

function stream(which: 'Stdout' | 'Stderr', extra: object = {}): object {
  return {
    name: 's',
    typed_config: { '@type': `${TYPE}envoy.extensions.access_loggers.stream.v3.${which}AccessLog`, ...extra },
  };
}

const DEFAULT = { kind: 'text', format: DEFAULT_TEXT_FORMAT, omitEmptyValues: false };

t.test('sinks', async (t) => {
  t.same(lower(fileLog('/var/log/x')), {
    name: 'envoy.access_loggers.file',
    filter: null,
    sink: { kind: 'file', path: '/var/log/x' },
    format: DEFAULT,
  });
  t.same(lower(stream('Stdout')), { name: 's', filter: null, sink: { kind: 'stdout' }, format: DEFAULT });
  const log_format = { text_format: 'x' };
  t.same(lower(stream('Stderr', { log_format })), {
    name: 's',
    filter: null,
    sink: { kind: 'stderr' },
    format: { kind: 'text', format: 'x', omitEmptyValues: false },
  });
});

t.test('formats', async (t) => {
  const file = join(t.testdir(), 'format');
  writeFileSync(file, '%PROTOCOL%\n');
  process.env['LOWER_TEST_FORMAT'] = 'from the environment';
  const text = (format: string, omitEmptyValues = false) => ({ kind: 'text', format, omitEmptyValues });
  const json = (format: object, omitEmptyValues = false) => ({
    kind: 'json',
    format,
    omitEmptyValues,
    sortProperties: true,
  });
  const cases: readonly (readonly [config: object, model: object])[] = [
    [{ format: '%RESPONSE_CODE%' }, text('%RESPONSE_CODE%')],
    [{ format: '' }, DEFAULT],
    [{ json_format: { a: '%RESPONSE_CODE%' } }, json({ a: '%RESPONSE_CODE%' })],
    [{ typed_json_format: { a: 1 } }, json({ a: 1 })],
    [{ log_format: { text_format: 'ü', omit_empty_values: true } }, text('\u00c3\u00bc', true)],
    [{ log_format: { text_format_source: { inline_string: 'a' } } }, text('a')],
    [{ log_format: { text_format_source: { inline_bytes: 'w7w=' } } }, text('\u00c3\u00bc')],
    [{ log_format: { text_format_source: { filename: file } } }, text('%PROTOCOL%\n')],
    [
      { log_format: { text_format_source: { environment_variable: 'LOWER_TEST_FORMAT' } } },
      text('from the environment'),
    ],
    [
      {
        log_format: {
          json_format: { b: [1] },
          json_format_options: { sort_properties: false },
          omit_empty_values: true,
        },
      },
      json({ b: [1] }, true),
    ],
    [
      {
        log_format: {
          text_format: '%REQ_WITHOUT_QUERY(:path)%',
          content_type: 'text/plain',
          formatters: [
            {
              name: 'f',
              typed_config: { '@type': `${TYPE}envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery` },
            },
          ],
        },
      },
      text('%REQ_WITHOUT_QUERY(:path)%'),
    ],
  ];
  for (const [config, model] of cases)
    t.same(lower(fileLog('/dev/null', config)).format, model, JSON.stringify(config));
});

t.test('filters', async (t) => {
  const fraction = { numerator: 5, denominator: 'TEN_THOUSAND' };
  const percent = { numerator: 5, denominator: 10_000, runtimeKey: 'rt' };
  const metadata = (value: object) => ({
    metadata_filter: {
      matcher: { filter: 'ns', path: [{ key: 'a' }, { key: 'b' }], value, invert: true },
      match_if_key_not_found: false,
    },
  });
  const found = (value: object) => ({
    kind: 'metadata',
    namespace: 'ns',
    path: ['a', 'b'],
    value,
    invert: true,
    matchIfKeyNotFound: false,
  });
  const cases: readonly (readonly [config: object, model: object])[] = [
    [
      { status_code_filter: { comparison: { op: 'NE', value: { default_value: 200, runtime_key: 'k' } } } },
      { kind: 'status_code', op: 'ne', value: 200, runtimeKey: 'k' },
    ],
    [
      { duration_filter: { comparison: { op: 'LE', value: { default_value: 9 } } } },
      { kind: 'duration', op: 'le', value: 9, runtimeKey: '' },
    ],
    [{ not_health_check_filter: {} }, { kind: 'not_health_check' }],
    [{ traceable_filter: {} }, { kind: 'traceable' }],
    [
      { runtime_filter: { runtime_key: 'rt', percent_sampled: fraction, use_independent_randomness: true } },
      { kind: 'runtime', key: 'rt', fraction: percent, useIndependentRandomness: true },
    ],
    [
      {
        and_filter: {
          filters: [{ traceable_filter: {} }, { or_filter: { filters: [{ not_health_check_filter: {} }] } }],
        },
      },
      { kind: 'and', filters: [{ kind: 'traceable' }, { kind: 'or', filters: [{ kind: 'not_health_check' }] }] },
    ],
    [
      { header_filter: { header: { name: 'X-A', string_match: { exact: 'b' } } } },
      {
        kind: 'header',
        header: {
          name: 'x-a',
          match: { kind: 'string', string: { kind: 'exact', value: 'b', ignoreCase: false } },
          invert: false,
          treatMissingAsEmpty: false,
        },
      },
    ],
    [{ response_flag_filter: { flags: ['NR', 'UF'] } }, { kind: 'response_flag', flags: ['NR', 'UF'] }],
    [
      { grpc_status_filter: { statuses: ['NOT_FOUND', 'CANCELED'], exclude: true } },
      { kind: 'grpc_status', statuses: [5, 1], exclude: true },
    ],
    [
      { log_type_filter: { types: ['TcpConnectionEnd', 'DownstreamEnd'], exclude: true } },
      { kind: 'log_type', types: ['TcpConnectionEnd', 'DownstreamEnd'], exclude: true },
    ],
    [metadata({ null_match: {} }), found({ kind: 'null' })],
    [metadata({ bool_match: true }), found({ kind: 'bool', value: true })],
    [metadata({ present_match: true }), found({ kind: 'present', present: true })],
    [
      metadata({ string_match: { prefix: 'p' } }),
      found({ kind: 'string', match: { kind: 'prefix', value: 'p', ignoreCase: false } }),
    ],
    [metadata({ double_match: { exact: 1.5 } }), found({ kind: 'exact_number', value: 1.5 })],
    [metadata({ double_match: { range: { start: 1, end: 2.5 } } }), found({ kind: 'range', start: 1, end: 2.5 })],
  ];
  for (const [config, model] of cases) t.same(filter(config), model, JSON.stringify(config));
});

t.test('refusals', async (t) => {
  t.equal(
    refusal(() => lower({ name: 'x' })),
    "it: Didn't find a registered implementation for 'x' with type URL: ''",
  );
  t.match(
    refusal(() => lower(fileLog('/dev/null', { log_format: { text_format: '%FOO%' } }))),
    /^it\.typed_config\.log_format\.text_format: .*FOO/,
  );
  t.match(
    refusal(() => lower(fileLog('/dev/null', { json_format: { a: '%FOO%' } }))),
    /^it\.typed_config\.json_format: .*FOO/,
  );
  t.match(
    refusal(() => lower(fileLog('/dev/null', { log_format: { text_format_source: { filename: '/nope' } } }))),
    'it.typed_config.log_format.text_format_source.filename: unable to read file /nope: ENOENT',
  );
  t.match(
    refusal(() =>
      lower(fileLog('/dev/null', { log_format: { text_format_source: { environment_variable: 'NOPE_X' } } })),
    ),
    "Environment variable doesn't exist: NOPE_X",
  );
  t.match(
    refusal(() => lowered(lowerFormat, FORMAT, {})),
    'it: one of text_format, json_format and text_format_source is required',
  );
});
