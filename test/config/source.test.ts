// Files and `--config-yaml`: kinds by name, Envoy's YAML scalars, and the place of a syntax error.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { findJsonFault } from '../../proxy/config/read/json-position.ts';
import { readConfigFile, readConfigText } from '../../proxy/config/read/source.ts';
import { readYaml } from '../../proxy/config/read/yaml.ts';

const TYPE = 'envoy.config.bootstrap.v3.Bootstrap';

t.test('YAML scalars are read as Envoy reads them', async (t) => {
  const cases: [string, unknown][] = [
    ['yes', true],
    ['Y', true],
    ['ON', true],
    ['True', true],
    ['off', false],
    ['n', false],
    ['oN', 'oN'],
    ['12', 12],
    ['-12', -12],
    ['+5', 5],
    ['0x10', 16],
    ['0644', 420],
    ['0999', '0999'],
    ['0o17', '0o17'],
    ['1_000', '1_000'],
    ['2147483648', '2147483648'],
    ['1.5', '1.5'],
    ['1e3', '1e3'],
    ['2020-01-01', '2020-01-01'],
    ['~', null],
    ['null', null],
    ['', null],
    [`'123'`, '123'],
    ['"yes"', 'yes'],
    ['|-\n  123', '123'],
    ['!!str 123', 123],
    ['word', 'word'],
  ];
  for (const [text, value] of cases) t.same(readYaml(`a: ${text}`, 'f'), { a: value }, text);
});

t.test('YAML structure', async (t) => {
  t.same(readYaml('a: 1\na: 2', 'f'), { a: 2 }, 'a repeated key overrides');
  t.same(readYaml('yes: 1\n0x10: 2', 'f'), { yes: 1, '0x10': 2 }, 'keys are text');
  t.same(readYaml('a: &x {b: 1}\nc: *x\n&k d: *k', 'f'), { a: { b: 1 }, c: { b: 1 }, d: 'd' });
  t.same(readYaml('a: &x {b: 1}\nc: {<<: *x}', 'f'), { a: { b: 1 }, c: { '<<': { b: 1 } } }, 'no merge keys');
  t.same(readYaml('a: 1\n---\nb: 2', 'f'), { a: 1 }, 'the first document counts');
  t.same(readYaml('{"a": [1, {"b": "c"}]}', 'f'), { a: [1, { b: 'c' }] }, 'JSON is YAML');
  t.throws(() => readYaml('a: *nothing', 'f'), { message: /nothing/ });
  const bomb = ['a0: &a0 [x, x]', ...Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]`)];
  t.throws(() => readYaml(bomb.join('\n'), 'f'), { message: /too many values/ });
});

t.test('files', async (t) => {
  const dir = t.testdir({});
  const file = (name: string, content: string | Buffer) => {
    writeFileSync(join(dir, name), content);
    return join(dir, name);
  };
  const read = (name: string, content: string | Buffer) => readConfigFile(file(name, content), TYPE);
  const value = (name: string, content: string | Buffer) => {
    const source = read(name, content);
    return source.kind === 'json' ? source.value : null;
  };
  t.same(value('a.json', '\ufeff{"a": 1}'), { a: 1 }, 'a byte order mark is skipped');
  t.same(value('a.yaml', '\ufeffa: yes'), { a: true });
  t.same(value('a.YML', 'a: 1.5'), { a: '1.5' });
  t.same(value('a.conf', '{"a": 1.5}'), { a: 1.5 }, 'anything else is JSON');
  const once = '{"a": ["\\ud83d\\ude00", {"b": ":\\":\\\\"}, {"b" : "{\\"b\\":1}"}], "b": {"a": {}}}';
  t.same(value('a.json', once), JSON.parse(once), 'equal keys of different objects');
  t.equal(read('a.pb', Buffer.from('0a050a03616263', 'hex')).kind, 'message');

  const fails = (name: string, content: string | Buffer, text: RegExp) =>
    t.throws(() => read(name, content), { message: text }, String(text));
  fails('b.json', '{\n "a": {,}\n}', /b\.json:2:8: invalid JSON: /);
  fails('b.json', '{\n "a": {\n', /b\.json:3:1: invalid JSON: /);
  fails('b.json', '{"a": [1, 2,]}', /b\.json:1:13: invalid JSON: expected a value, found "]"$/);
  fails('b.json', '{"a": tru}', /b\.json:1:7: invalid JSON: expected a value, found "t"$/);
  fails('b.json', '{"a": 1} x', /b\.json:1:10: invalid JSON: expected the end, found "x"$/);
  fails('b.json', "{'a': 1}", /b\.json:1:2: invalid JSON: expected a key in double quotes or '}', found "'"$/);
  fails('b.json', '{"a" 1}', /b\.json:1:6: invalid JSON: expected ':', found "1"$/);
  fails('b.json', '{"a": "x\ny"}', /b\.json:1:7: invalid JSON: expected a value/);
  fails(
    'b.json',
    '{"a": 1, "b": {"a": 1,\n"\\u0061": 2}}',
    /b\.json:2:1: invalid JSON: "a" stands twice in one object$/,
  );
  fails(
    'b.json',
    '{"x\\"": 1, "__proto__": 1, "__proto__": 2}',
    /b\.json:1:28: .*"__proto__" stands twice in one object$/,
  );
  fails(
    'b.json',
    '{"a": ["\\ud83d\\ude00", "\\ud83d"]}',
    /b\.json:1:24: invalid JSON: unpaired surrogate in a string$/,
  );
  fails('b.json', '{"\\uDE00": 1}', /b\.json:1:2: invalid JSON: unpaired surrogate in a string$/);
  fails('b.json', Buffer.from('{"a": "\xff"}', 'latin1'), /b\.json: invalid UTF-8$/);
  fails('b.json', ' \n', /b\.json: the file is empty$/);
  fails('b.json', '[1]', /b\.json: the top level must be a map, not a list$/);
  fails('b.conf', 'a: 1', /b\.conf:1:1: invalid JSON: /);
  fails('b.yaml', '', /b\.yaml: the configuration is empty$/);
  fails('b.yaml', 'hello', /b\.yaml: the top level must be a map, not string$/);
  fails('b.yaml', 'a:\n  b:\n - c: [\n', /b\.yaml:3:2: /);
  fails('b.yaml', 'a:\n - "x\\ud800"', /b\.yaml:2:\d+: unpaired surrogate in a string$/);
  fails('b.yaml', '"\\ud800": x', /b\.yaml:1:\d+: unpaired surrogate in a string$/);
  fails('b.yaml', 'a:\n\tb: x', /b\.yaml:2:\d+: /);
  fails('b.pb', Buffer.from('0aff', 'hex'), /b\.pb: Unable to parse file as a binary protobuf/);
  fails('b.pb_text', 'node {}', /b\.pb_text: text protobuf is not supported; use YAML, JSON or binary protobuf/);
  t.throws(() => readConfigFile(join(dir, 'none.yaml'), TYPE), {
    message: /none\.yaml: unable to read file: no such file$/,
  });
  t.throws(() => readConfigFile(dir, TYPE), { message: /unable to read file: it is a directory$/ });
});

t.test('the JSON recogniser agrees with JSON.parse', async (t) => {
  const valid = ['{}', '[]', ' [1, -0.5e+3, "\\u00e9\\n", null, true, {"a": {}}] ', '0', '""'];
  for (const text of valid) t.equal(findJsonFault(text), null, text);
  const whole = '{"a": [1, -2.5e3, "x\\"", {"b": null, "c": [true, false]}]}';
  const marks = '{}[]:,"\\ 0-.eatx\n';
  for (let at = 0; at < whole.length; at++) {
    for (const mark of marks) {
      const text = whole.slice(0, at) + mark + whole.slice(at + 1);
      let parses = true;
      try {
        JSON.parse(text);
      } catch {
        parses = false;
      }
      if ((findJsonFault(text) === null) !== parses) t.fail(text);
    }
  }
});

t.test('what nests too deep is refused, also by way of aliases', async (t) => {
  const levels = (n: number): string => `{"node": {"metadata": {"a": ${'['.repeat(n)}${']'.repeat(n)}}}}`;
  const path = join(t.testdir({ 'ok.json': levels(97), 'deep.json': levels(98), 'endless.json': levels(200_000) }));
  t.equal(readConfigFile(join(path, 'ok.json'), TYPE).kind, 'json');
  for (const name of ['deep.json', 'endless.json']) {
    const file = join(path, name);
    t.throws(() => readConfigFile(file, TYPE), {
      message: `${file}: nested deeper than 100 levels, under node.metadata.a`,
    });
  }
  let chain = 'a0: &a0 [x]\n';
  for (let i = 1; i < 200; i++) chain += `a${i}: &a${i} [*a${i - 1}]\n`;
  t.throws(() => readConfigText(chain), { message: /nested deeper than 100 levels, under a99\.0\.0/ });
});

t.test('--config-yaml', async (t) => {
  t.same(readConfigText('a: on'), { kind: 'json', value: { a: true }, text: null });
  t.same(readConfigText(''), { kind: 'json', value: {}, text: null }, 'empty is an empty configuration');
  t.throws(() => readConfigText('a: ['), { message: /^--config-yaml:1:5: / });
});
