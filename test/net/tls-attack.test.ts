// Who must not come in: foreign, expired, unnamed and missing certificates, on both versions, with full handshakes and
// with resumed sessions, before and after the roots changed.

import { randomBytes } from 'node:crypto';
import t from 'tap';
import { DownstreamTls } from '../../proxy/net/tls-server.ts';
import { type CertificateOptions, type Issued, makeCa } from '../fixtures/pki.ts';
import {
  type ClientResult,
  certificateModel,
  Dialler,
  data,
  downstreamModel,
  NO_COUNTS,
  serveTls,
  tlsEnv,
  tryClient,
  upstreamModel,
  validationModel,
} from '../fixtures/tls-ends.ts';

const HOUR_MS = 3_600_000;
const SERVER_KEYS = randomBytes(48);
const NAME = 'spiffe://td/ns/a/sa/client';
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
type Version = (typeof VERSIONS)[number];

const ca = makeCa();
const foreign = makeCa();
const intermediate = ca.intermediate();
const server = ca.issue({ dns: ['server.example'] });
const expiredDates: CertificateOptions = {
  notBefore: new Date(Date.now() - 2 * HOUR_MS),
  notAfter: new Date(Date.now() - HOUR_MS),
};
const good = ca.issue({ uri: [NAME] });
const wrongName = ca.issue({ uri: ['spiffe://td/ns/a/sa/other'] });
const byIntermediate = intermediate.issue({ uri: [NAME] });
const attackers: Readonly<Record<string, Issued | null>> = {
  'a foreign root': foreign.issue({ uri: [NAME] }),
  'a foreign root, expired': foreign.issue({ uri: [NAME], ...expiredDates }),
  'an expired certificate': ca.issue({ uri: [NAME], ...expiredDates }),
  'no certificate': null,
  'another name': wrongName,
  'a certificate for servers only': ca.issue({ uri: [NAME], usages: ['server'] }),
  'a self-signed certificate': makeCa({ uri: [NAME] }),
  'a certificate signed by a leaf': makeLeafSigned(),
};

/** A leaf that plays authority. */
function makeLeafSigned(): Issued {
  const forged = makeCa({ subject: [['CN', 'leaf']] }).issue({ uri: [NAME] });
  return { ...forged, chain: forged.certificate + good.certificate };
}

const names = [{ type: 'uri' as const, match: { kind: 'exact' as const, value: NAME, ignoreCase: false }, oid: '' }];
const strict = downstreamModel({
  certificates: [certificateModel(server)],
  validation: validationModel(ca.root, { subjectAltNames: names }),
  requireClientCertificate: true,
});

const present = (issued: Issued | null) => (issued === null ? {} : { cert: issued.chain, key: issued.key });
const bounds = (version: Version) => ({ minVersion: version, maxVersion: version });

for (const version of VERSIONS) {
  t.test(`${version}: full handshakes`, async (t) => {
    const end = await serveTls(new DownstreamTls(strict, tlsEnv(), NO_COUNTS));
    t.teardown(end.close);
    for (const [who, issued] of Object.entries(attackers)) {
      const result = await tryClient(end.port, { ...present(issued), ...bounds(version) });
      t.notOk(result.admitted, `${who} is refused`);
    }
    for (const issued of [good, byIntermediate])
      t.ok((await tryClient(end.port, { ...present(issued), ...bounds(version) })).admitted, 'the right one comes in');
    t.equal(end.refused.length, Object.keys(attackers).length);
    t.equal(end.accepted.length, 2);
    t.match(
      end.refused.map(({ counter }) => counter),
      {
        0: 'fail_verify_error',
        3: 'fail_verify_no_cert',
        4: 'fail_verify_san',
      },
    );
  });

  t.test(`${version}: sessions`, async (t) => {
    const keys = tlsEnv();
    const end = await serveTls(new DownstreamTls(strict, keys, NO_COUNTS));
    t.teardown(end.close);
    const first = await tryClient(end.port, { ...present(good), ...bounds(version) });
    t.ok(first.session, 'a session was given');
    const again = await resume(end.port, version, first, good);
    t.match([again.admitted, again.resumed], [true, true], 'and is taken');

    // Another worker: another context object, the same keys.
    end.use(new DownstreamTls(strict, keys, NO_COUNTS));
    t.match(await resume(end.port, version, first, good), { admitted: true, resumed: true }, 'by any worker');

    // New roots: the session is worth nothing, for the right ones and the wrong ones.
    const rotated = { ...strict, validation: validationModel(foreign.root, { subjectAltNames: names }) };
    end.use(new DownstreamTls(rotated, keys, NO_COUNTS));
    t.match(await resume(end.port, version, first, good), { admitted: false }, 'not after the root is gone');
    t.equal(end.refused.length, 1);

    const renamed = downstreamModel({
      ...strict,
      validation: validationModel(ca.root, {
        subjectAltNames: [
          { ...names[0], match: { kind: 'exact', value: 'spiffe://td/else', ignoreCase: false } },
        ] as never,
      }),
    });
    end.use(new DownstreamTls(renamed, keys, NO_COUNTS));
    t.match(await resume(end.port, version, first, good), { admitted: false }, 'not after the names changed');

    const revoked = {
      ...strict,
      validation: validationModel(ca.root, { subjectAltNames: names, crl: data(ca.revoke([good.serial])) }),
    };
    end.use(new DownstreamTls(revoked, keys, NO_COUNTS));
    t.match(await resume(end.port, version, first, good), { admitted: false }, 'not after it was revoked');
  });

  t.test(`${version}: a session from where less is asked`, async (t) => {
    // The same certificate, keys and even digest: only what is asked of clients differs.
    const keys = tlsEnv();
    const open = downstreamModel({ certificates: strict.certificates });
    const end = await serveTls(new DownstreamTls(open, keys, NO_COUNTS));
    t.teardown(end.close);
    const anonymous = await tryClient(end.port, bounds(version));
    t.ok(anonymous.admitted);
    end.use(new DownstreamTls(strict, keys, NO_COUNTS));
    t.match(await resume(end.port, version, anonymous, null), { admitted: false });

    // Refused by us after OpenSSL has given out tickets: they must not open the door.
    for (const issued of [wrongName, null]) {
      end.use(new DownstreamTls(strict, keys, NO_COUNTS));
      const refused = await tryClient(end.port, { ...present(issued), ...bounds(version) });
      t.notOk(refused.admitted);
      if (refused.session !== null)
        t.match(
          await resume(end.port, version, refused, issued),
          { admitted: false },
          'the ticket of a refused client',
        );
    }
  });

  t.test(`${version}: a certificate that expires while its session lives`, async (t) => {
    let nowMs = Date.now();
    const end = await serveTls(new DownstreamTls(strict, tlsEnv({ dateMs: () => nowMs }), NO_COUNTS));
    t.teardown(end.close);
    const first = await tryClient(end.port, { ...present(good), ...bounds(version) });
    nowMs += 48 * HOUR_MS;
    t.match(await resume(end.port, version, first, good), { admitted: false, resumed: true });
    t.match(end.refused.at(-1)?.text ?? '', /certificate has expired/);
  });

  t.test(`${version}: optional certificates are checked when there is one`, async (t) => {
    const optional = { ...strict, requireClientCertificate: false };
    const end = await serveTls(new DownstreamTls(optional, tlsEnv(), NO_COUNTS));
    t.teardown(end.close);
    for (const [who, issued] of Object.entries(attackers)) {
      const { admitted } = await tryClient(end.port, { ...present(issued), ...bounds(version) });
      t.equal(admitted, issued === null, who);
    }
  });

  t.test(`${version}: leniencies let in no more than they say`, async (t) => {
    const cases: readonly [string, Parameters<typeof validationModel>[1], readonly string[]][] = [
      ['expired ones', { allowExpired: true }, ['an expired certificate']],
      [
        'expired ones and revocation',
        { allowExpired: true, crl: data(ca.revoke([good.serial])) },
        ['an expired certificate'],
      ],
      ['told no roots', { suppressCaList: true }, []],
      ['no intermediates', { maxVerifyDepth: 0 }, []],
      ['lists of leaves only', { onlyVerifyLeafCrl: true, crl: data(ca.revoke([good.serial])) }, []],
    ];
    const end = await serveTls(new DownstreamTls(strict, tlsEnv(), NO_COUNTS));
    t.teardown(end.close);
    for (const [what, more, allowed] of cases) {
      const validation = validationModel(ca.root, { subjectAltNames: names, ...more });
      end.use(new DownstreamTls({ ...strict, validation }, tlsEnv(), NO_COUNTS));
      for (const [who, issued] of Object.entries(attackers)) {
        const { admitted } = await tryClient(end.port, { ...present(issued), ...bounds(version) });
        t.equal(admitted, allowed.includes(who), `${what}: ${who}`);
      }
      const revokes = more?.crl !== undefined;
      t.equal((await tryClient(end.port, { ...present(good), ...bounds(version) })).admitted, !revokes, what);
    }
  });

  t.test(`${version}: roots by trust domain`, async (t) => {
    const other = makeCa();
    const validation = validationModel(null, {
      trustDomains: [
        { name: 'td', bundle: data(ca.root) },
        { name: 'other', bundle: data(other.root) },
      ],
    });
    const end = await serveTls(new DownstreamTls({ ...strict, validation }, tlsEnv(), NO_COUNTS));
    t.teardown(end.close);
    const admitted = async (issued: Issued): Promise<boolean> =>
      (await tryClient(end.port, { ...present(issued), ...bounds(version) })).admitted;
    t.ok(await admitted(good));
    t.ok(await admitted(other.issue({ uri: ['spiffe://other/ns/b/sa/x'] })));
    t.notOk(await admitted(other.issue({ uri: [NAME] })), 'a root speaks for its own domain only');
    t.notOk(await admitted(ca.issue({ uri: ['spiffe://other/ns/b/sa/x'] })));
    t.notOk(await admitted(ca.issue({ dns: ['td'] })), 'no identity');
    t.notOk(await admitted(foreign.issue({ uri: [NAME] })));
  });
}

function resume(port: number, version: Version, from: ClientResult, issued: Issued | null): Promise<ClientResult> {
  return tryClient(port, {
    ...present(issued),
    ...bounds(version),
    ...(from.session === null ? {} : { session: from.session }),
  });
}

// === The other way round: hosts that are not who they should be ===

const HOST_NAME = 'spiffe://td/ns/a/sa/host';
const hosts: Readonly<Record<string, Issued>> = {
  'a foreign root': foreign.issue({ uri: [HOST_NAME] }),
  'a foreign root, expired': foreign.issue({ uri: [HOST_NAME], ...expiredDates }),
  'an expired certificate': ca.issue({ uri: [HOST_NAME], ...expiredDates }),
  'another name': ca.issue({ uri: ['spiffe://td/ns/a/sa/other'] }),
  'a certificate for clients only': ca.issue({ uri: [HOST_NAME], usages: ['client'] }),
  'a self-signed certificate': makeCa({ uri: [HOST_NAME] }),
};
const goodHost = ca.issue({ uri: [HOST_NAME], dns: ['*.example'] });
const hostNames = [
  { type: 'uri' as const, match: { kind: 'exact' as const, value: HOST_NAME, ignoreCase: false }, oid: '' },
];

function serverOf(issued: Issued, ask = false, ticketKeys = SERVER_KEYS): DownstreamTls {
  const certificates = [certificateModel(issued)];
  const validation = ask ? validationModel(ca.root) : null;
  return new DownstreamTls(
    downstreamModel({ certificates, validation, requireClientCertificate: ask }),
    tlsEnv({ ticketKeys }),
    NO_COUNTS,
  );
}

for (const version of VERSIONS) {
  const context = (more: Partial<Parameters<typeof upstreamModel>[0]> = {}) =>
    upstreamModel({
      minVersion: version,
      maxVersion: version,
      certificates: [certificateModel(good)],
      validation: validationModel(ca.root, { subjectAltNames: hostNames }),
      ...more,
    });

  t.test(`${version}: hosts`, async (t) => {
    const end = await serveTls(serverOf(goodHost, true));
    t.teardown(end.close);
    for (const [who, issued] of Object.entries(hosts)) {
      end.use(serverOf(issued));
      const dialler = new Dialler(context());
      const result = await dialler.dial(end.port);
      t.notOk(result.connected, `${who} is refused`);
      // A host with a signing certificate cannot even sign a handshake.
      if (who !== 'a self-signed certificate') t.match(result.error, /CERTIFICATE_VERIFY_FAILED/, who);
      t.match(await dialler.dial(end.port), { connected: false }, `${who} is refused again`);
    }
    end.use(serverOf(goodHost, true));
    t.match(await new Dialler(context()).dial(end.port), { connected: true, heard: 'in' });
  });

  t.test(`${version}: sessions with hosts`, async (t) => {
    const end = await serveTls(serverOf(goodHost));
    t.teardown(end.close);
    const dialler = new Dialler(context());
    t.match(await dialler.dial(end.port), { connected: true, resumed: false });
    t.match(await dialler.dial(end.port), { connected: true, resumed: true });
    // Names wanted by a request are part of the session's key: none is resumed with other ones.
    t.match(await dialler.dial(end.port, { serverName: 'a.example', exactNames: ['a.example'] }), {
      connected: true,
      resumed: false,
    });
    t.match(await dialler.dial(end.port, { serverName: 'a.example', exactNames: ['b.elsewhere'] }), {
      connected: false,
    });
    t.match(await dialler.dial(end.port, { serverName: 'a.example', exactNames: ['b.a.example'] }), {
      connected: false,
    });
    // The session's certificate is over: the host is not accepted by it any more.
    dialler.nowMs += 48 * HOUR_MS;
    const late = await dialler.dial(end.port);
    t.match(late, { connected: false, error: /certificate has expired/ });
  });

  t.test(`${version}: what a host hands out after its root is gone`, async (t) => {
    const end = await serveTls(serverOf(goodHost));
    t.teardown(end.close);
    const dialler = new Dialler(context());
    dialler.onConnect = () =>
      dialler.replace(context({ validation: validationModel(foreign.root, { subjectAltNames: hostNames }) }));
    t.match(await dialler.dial(end.port), { connected: true, resumed: false }, 'dialled while it was trusted');
    dialler.onConnect = () => {};
    t.match(await dialler.dial(end.port), { connected: false }, 'no session of it is taken');
  });

  t.test(`${version}: new roots end sessions with hosts`, async (t) => {
    const end = await serveTls(serverOf(goodHost));
    t.teardown(end.close);
    const dialler = new Dialler(context());
    const rotated = context({ validation: validationModel(foreign.root, { subjectAltNames: hostNames }) });
    for (const rotate of [() => dialler.replace(rotated), () => dialler.use(rotated)]) {
      dialler.use(context());
      t.match(await dialler.dial(end.port), { connected: true });
      rotate();
      t.match(await dialler.dial(end.port), { connected: false });
    }
  });

  t.test(`${version}: hosts that do not read each other's tickets`, async (t) => {
    const ends = [await serveTls(serverOf(goodHost)), await serveTls(serverOf(goodHost, false, randomBytes(48)))];
    t.teardown(() => {
      for (const end of ends) end.close();
    });
    const dialler = new Dialler(context());
    const dialAll = async (): Promise<boolean[]> => {
      const resumed: boolean[] = [];
      for (const { port } of ends) resumed.push((await dialler.dial(port)).resumed);
      return resumed;
    };
    t.same(await dialAll(), [false, false]);
    t.same(await dialAll(), [true, true], 'each is offered its own session');
    t.same(await dialAll(), [true, true]);
  });
}
