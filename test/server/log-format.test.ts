// `application_log_config`: once the bootstrap is read, the process log has its format, in every thread.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const MAIN = fileURLToPath(new URL('../../proxy/main.ts', import.meta.url));
const RUN_MS = 20_000;

/** Lines that the proxy has logged when it ends because its only port is no address of this host. */
function logOf(logFormat: object): string[] {
  const listener = {
    name: 'l',
    address: { socket_address: { address: '203.0.113.1', port_value: 1 } },
    filter_chains: [{ filters: [] }],
  };
  const config = { application_log_config: { log_format: logFormat }, static_resources: { listeners: [listener] } };
  const flags = ['--config-yaml', JSON.stringify(config), '--concurrency', '1', '-l', 'info'];
  const { stderr } = spawnSync(process.execPath, [MAIN, ...flags], { timeout: RUN_MS, encoding: 'utf8' });
  return stderr.split('\n').filter((line) => line !== '');
}

t.test('text', async (t) => {
  const lines = logOf({ text_format: 'mine: %v' });
  t.ok(
    lines.some((line) => line.startsWith('mine: ')),
    lines.join('\n'),
  );
});

t.test('JSON', async (t) => {
  const lines = logOf({ json_format: { message: '%j', level: '%l' } }).filter((line) => line.startsWith('{'));
  t.ok(lines.length > 0);
  for (const line of lines) t.same(Object.keys(JSON.parse(line) as object).sort(), ['level', 'message']);
});
