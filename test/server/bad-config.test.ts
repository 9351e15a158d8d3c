// Whatever is wrong with a configuration: one line that says what and where, exit code 2, and soon.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { httpListener, runProxyToEnd, staticCluster } from '../fixtures/proxy.ts';

const LAUGHS = Array.from({ length: 12 }, (_, i) =>
  i === 0
    ? 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]'
    : `a${i}: &a${i} [${Array(10)
        .fill(`*a${i - 1}`)
        .join(', ')}]`,
).join('\n');

function withLog(path: string): object {
  const log = { '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog', path };
  const manager = { access_log: [{ name: 'f', typed_config: log }] };
  return {
    static_resources: {
      listeners: [httpListener('web', 'c', {}, {}, manager)],
      clusters: [staticCluster('c', 1)],
    },
  };
}

const FILES: Record<string, { readonly text: string | Buffer; readonly says: RegExp }> = {
  'laughs.yaml': { text: LAUGHS, says: /laughs\.yaml:1:1: too many values \(aliases expand too far\)$/ },
  'deep.json': {
    text: `{"node":{"metadata":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}}`,
    says: /nested deeper than 100 levels, under node\.metadata\.a$/,
  },
  'binary.yaml': { text: Buffer.from(Array.from({ length: 4_096 }, (_, i) => (i * 7_919) % 256)), says: /:\d+:\d+: / },
  'half.json': { text: '{"static_resources": {"listeners": [', says: /half\.json:1:37: invalid JSON: expected/ },
  'log.json': {
    text: JSON.stringify(withLog('/no/such/directory/log')),
    says: /unable to open file '\/no\/such\/directory\/log': no such file or directory$/,
  },
};

t.test('one line and exit code 2', async (t) => {
  const contents = Object.fromEntries(Object.entries(FILES).map(([name, { text }]) => [name, text]));
  const directory = t.testdir({ ...contents, 'directory.yaml': {} });
  t.equal(readdirSync(directory).length, Object.keys(FILES).length + 1);
  const expected = { ...FILES, 'directory.yaml': { says: /unable to read file: it is a directory$/ } };
  for (const [name, { says }] of Object.entries(expected)) {
    const { code, stderr } = await runProxyToEnd(['-c', join(directory, name), '-l', 'off']);
    t.equal(code, 2, name);
    const [line = '', ...more] = stderr.split('\n');
    t.same(more, [''], `${name}: one line`);
    t.match(line, /^outrigger-proxy: /, name);
    t.match(line, says, name);
  }
});
