// OpenSSL's own client and server at the other end; `npm run test:e2e` has the long form of this.

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { DownstreamTls } from '../../proxy/net/tls-server.ts';
import { ocspStaple } from '../fixtures/ocsp.ts';
import { opensslVersion, Program, runClient, type Step } from '../fixtures/openssl.ts';
import { makeCa } from '../fixtures/pki.ts';
import {
  certificateModel,
  Dialler,
  data,
  downstreamModel,
  NO_COUNTS,
  serveTls,
  tlsEnv,
  upstreamModel,
  validationModel,
} from '../fixtures/tls-ends.ts';

const skip = opensslVersion() === null ? 'there is no openssl' : false;
const dir = mkdtempSync(join(tmpdir(), 'openssl-'));
t.teardown(() => rmSync(dir, { recursive: true }));

const ca = makeCa();
const issued = ca.issue({ dns: ['a.test'] });
const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};
const root = file('ca.pem', ca.root);
const chain = file('server.pem', issued.chain);
const key = file('server.key', issued.key);
const talk: readonly Step[] = [
  { after: /Verify return code: .*\n/, type: 'hello\n' },
  { after: /echo hello\n/, type: 'K\n' },
  { after: /KEYUPDATE\n/, type: 'again\n' },
  { after: /echo again\n/, type: 'Q\n' },
];

t.test(
  's_client: verified, stapled, with new keys, and back with its session after a worker was replaced',
  {
    skip,
  },
  async (t) => {
    const model = downstreamModel({
      certificates: [
        {
          ...certificateModel(issued),
          ocspStaple: data(ocspStaple(ca, issued.serial)),
          stapleEndsMs: Date.now() + 60_000,
        },
      ],
    });
    // A successor has the keys of the worker that it replaces, and nothing else.
    const ticketKeys = randomBytes(48);
    const end = await serveTls(new DownstreamTls(model, tlsEnv({ ticketKeys }), NO_COUNTS));
    t.teardown(end.close);
    const session = join(dir, 'session.pem');
    const args = ['-tls1_3', '-CAfile', root, '-verify_return_error', '-servername', 'a.test', '-status'];
    const first = await runClient(end.port, [...args, '-sess_out', session], talk);
    t.match(first, /^New, TLSv1\.3/m);
    t.match(first, /Verify return code: 0 \(ok\)/);
    t.match(first, /Cert Status: good/);
    t.match(first, /echo again\n/);
    end.use(new DownstreamTls(model, tlsEnv({ ticketKeys }), NO_COUNTS));
    t.match(await runClient(end.port, [...args, '-sess_in', session], talk), /^Reused, TLSv1\.3/m);
  },
);

t.test('s_client: renegotiation is refused', { skip }, async (t) => {
  const model = downstreamModel({ certificates: [certificateModel(issued)] });
  const end = await serveTls(new DownstreamTls(model, tlsEnv(), NO_COUNTS));
  t.teardown(end.close);
  const printed = await runClient(
    end.port,
    ['-tls1_2'],
    [
      { after: /Verify return code: .*\n/, type: 'R\n' },
      { after: /RENEGOTIATING\n/, type: 'hello\n' },
    ],
  );
  t.match(printed, /:error:.*no renegotiation/);
  t.notMatch(printed, /echo/);
});

t.test('s_server: verified, and with new keys', { skip }, async (t) => {
  const server = new Program(['s_server', '-accept', '127.0.0.1:0', '-cert', chain, '-key', key, '-msg']);
  t.teardown(() => server.stop());
  t.ok(await server.until(/ACCEPT 127\.0\.0\.1:\d+\n/));
  const port = Number(/ACCEPT 127\.0\.0\.1:(\d+)/.exec(server.printed)?.[1]);
  const dialler = new Dialler(upstreamModel({ sni: 'a.test', validation: validationModel(ca.root) }));
  const heard = dialler.dial(port);
  await server.play([{ after: /CIPHER is/, type: 'K\n' }]);
  // A command is what comes alone.
  t.ok(await server.until(/>>> .*KeyUpdate/));
  await server.play([{ after: /^/, type: 'hello\n' }]);
  t.match(await heard, { connected: true, heard: 'hello\n' });
});
