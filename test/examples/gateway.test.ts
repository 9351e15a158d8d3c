// examples/gateway: every host and path does what the file and its page say.

import t from 'tap';
import { get, startExample, startOrigin } from '../fixtures/example.ts';

t.test('the gateway example', async (t) => {
  const example = await startExample('examples/gateway/gateway.yaml', [10_000, 8_081, 8_082], 9_901);
  t.teardown(() => example.stop());
  const shop = await startOrigin(example.portOf(8_081), 'shop');
  const api = await startOrigin(example.portOf(8_082), 'api');
  t.teardown(() => [shop, api].forEach((server) => void server.close()));
  const port = example.portOf(10_000);
  const ask = (host: string, path: string) => get(port, path, { host });

  const home = await ask('shop.example', '/');
  t.equal(home.body, 'shop GET /');
  t.equal(home.headers['strict-transport-security'], 'max-age=31536000');
  t.equal((await ask('www.shop.example:10000', '/a/../b')).body, 'shop GET /b', 'subdomain, port and dots');
  t.equal((await ask('shop.example', '/api/x?y')).body, 'api GET /x?y', 'prefix rewritten');
  t.equal((await ask('shop.example', '/apiary')).body, 'shop GET /apiary', 'a prefix of a word is no prefix');

  const moved = await ask('old-shop.example', '/x?y=1');
  t.equal(moved.status, 301);
  t.equal(moved.headers['location'], 'http://shop.example/x?y=1');

  const closed = await ask('closed.example', '/');
  t.equal(closed.status, 503);
  t.equal(closed.body, 'closed for maintenance\n');
  t.equal(closed.headers['retry-after'], '3600');

  const nobody = await ask('nobody.example', '/lost');
  t.equal(nobody.status, 404);
  t.equal(nobody.body, 'nothing here: /lost\n');
});
