// Which built-in modules may be imported: those that a start without TLS needs.

import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { nodeCrypto, nodeTls } from '../../proxy/util/builtin.ts';

const PROXY = new URL('../../proxy/', import.meta.url);
/** A value from one of them, not a type. */
const IMPORT = /^import (?!type )[^;]*? from 'node:(?:crypto|tls|https|http2)';/m;

t.test('nothing slow to load is imported', async (t) => {
  const files = readdirSync(PROXY, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  t.ok(files.length > 100);
  t.same(
    files.filter((file) => IMPORT.test(readFileSync(new URL(file, PROXY), 'utf8'))),
    [],
  );
  t.match("import { x } from 'node:tls';", IMPORT);
});

t.test('but there when asked for', async (t) => {
  t.equal(nodeCrypto().createHash('sha256').update('').digest('hex').slice(0, 8), 'e3b0c442');
  t.type(nodeTls().createSecureContext, 'function');
});
