import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';

const BIN = fileURLToPath(new URL('../../bin', import.meta.url));
const MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url));
const run = promisify(execFile);

t.test('the command works through the link that npm makes', async (t) => {
  const link = join(t.testdir(), 'outrigger-proxy');
  symlinkSync(join(BIN, 'outrigger-proxy'), link);
  const { stdout } = await run(link, ['--version']);
  t.match(stdout, /outrigger-proxy {2}version: outrigger-\d/);
  await t.rejects(run(link, ['--no-such-flag']), { code: 2 });
});

t.test('without the pinned binary the Node.js on PATH does', async (t) => {
  const { stdout } = await run(process.execPath, [join(BIN, 'outrigger-proxy.mjs'), '--version']);
  t.match(stdout, /outrigger-proxy {2}version: outrigger-\d/);
});

t.test('the bundle runs only while no source is newer', async (t) => {
  const dir = t.testdir();
  cpSync(BIN, join(dir, 'bin'), { recursive: true });
  symlinkSync(MODULES, join(dir, 'node_modules'));
  const bundle = join(dir, 'dist/main.js');
  const source = join(dir, 'proxy/main.ts');
  const says = async (): Promise<string> => {
    const env = { ...process.env, NODE_COMPILE_CACHE: join(dir, 'cache') };
    return (await run(join(dir, 'bin/outrigger-proxy'), [], { env })).stdout;
  };
  mkdirSync(join(dir, 'dist'));
  writeFileSync(join(dir, 'package.json'), '{ "type": "module" }');
  writeFileSync(bundle, 'process.stdout.write("bundle");');
  t.equal(await says(), 'bundle', 'a package without sources');
  mkdirSync(join(dir, 'proxy'));
  writeFileSync(source, 'const text: string = "source"; process.stdout.write(text);');
  const nowS = Date.now() / 1000;
  utimesSync(bundle, nowS + 10, nowS + 10);
  t.equal(await says(), 'bundle', 'built after the last change');
  utimesSync(source, nowS + 20, nowS + 20);
  t.equal(await says(), 'source', 'changed since');
});
