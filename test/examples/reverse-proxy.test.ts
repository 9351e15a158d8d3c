// examples/reverse-proxy: two hosts in turn, a dead one is survived, the access log is on stdout.

import t from 'tap';
import { get, startExample, startOrigin } from '../fixtures/example.ts';

t.test('the reverse proxy example', async (t) => {
  const example = await startExample('examples/reverse-proxy/proxy.yaml', [10_000, 8_081, 8_082], 9_901);
  t.teardown(() => example.stop());
  const one = await startOrigin(example.portOf(8_081), 'one');
  const two = await startOrigin(example.portOf(8_082), 'two');
  t.teardown(() => [one, two].forEach((server) => void server.close()));
  const port = example.portOf(10_000);

  const seen = new Set<string>();
  for (let i = 0; i < 4; i++) {
    const answer = await get(port, `/path?i=${i}`);
    t.equal(answer.status, 200);
    t.equal(answer.headers['server'], 'envoy');
    t.match(answer.body, new RegExp(`^(one|two) GET /path\\?i=${i}$`));
    seen.add(String(answer.headers['x-origin']));
  }
  t.strictSame([...seen].sort(), ['one', 'two'], 'both hosts have their turn');

  two.closeAllConnections();
  await new Promise((resolve) => two.close(resolve));
  for (let i = 0; i < 4; i++) t.equal((await get(port, '/')).body, 'one GET /', 'a dead host costs no error');

  const clusters = await get(example.portOf(9_901), '/clusters');
  t.match(clusters.body, `app::127.0.0.1:${example.portOf(8_081)}::rq_total::`);
  await example.stop();
  t.match(
    example.output(),
    /^\[\d{4}-\d\d-\d\dT[\d:.]+Z\] "GET \/path\?i=0 HTTP\/1\.1" 200 - 0 \d+ \d+ \d+ "-" "-" "[0-9a-f-]{36}" /,
  );
});
