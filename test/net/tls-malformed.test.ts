// Certificates that OpenSSL takes, but that say nothing sensible: whoever shows one is refused or has no names, and the
// worker lives on.

import { X509Certificate } from 'node:crypto';
import t from 'tap';
import { Certificate, fingerprintOf } from '../../proxy/net/certificate.ts';
import { DownstreamTls } from '../../proxy/net/tls-server.ts';
import { checkPath } from '../../proxy/net/verify-path.ts';
import { oidText } from '../../proxy/util/der.ts';
import { type Issued, makeCa } from '../fixtures/pki.ts';
import {
  certificateModel,
  Dialler,
  downstreamModel,
  NO_COUNTS,
  serveTls,
  tlsEnv,
  tryClient,
  upstreamModel,
  validationModel,
} from '../fixtures/tls-ends.ts';

const NAME = 'spiffe://td/ns/a/sa/x';
const ca = makeCa();
const foreign = makeCa();
const good = ca.issue({ uri: [NAME] });

const GARBAGE: Readonly<Record<string, Uint8Array>> = {
  nothing: Buffer.alloc(0),
  'half an element': Buffer.from([0x30, 0x20, 0x01]),
  'a tag of several octets': Buffer.from([0x1f, 0x81, 0x01, 0x00]),
  'a length without end': Buffer.from([0x30, 0x80, 0x82, 0x01, 0x61, 0x00, 0x00]),
  'a wrong type': Buffer.from([0x05, 0x00]),
  'bytes behind the end': Buffer.from([0x30, 0x00, 0x00]),
};
const EXTENSIONS = {
  'subject alternative names': '2.5.29.17',
  'key usage': '2.5.29.15',
  'extended key usage': '2.5.29.37',
  'basic constraints': '2.5.29.19',
  'name constraints': '2.5.29.30',
} as const;

const broken: (readonly [what: string, issued: (issuer: typeof ca) => Issued])[] = Object.entries(EXTENSIONS).flatMap(
  ([extension, id]) =>
    Object.entries(GARBAGE).map(
      ([what, bytes]) =>
        [`${extension}: ${what}`, (issuer: typeof ca) => issuer.issue({ uri: [NAME], raw: [[id, bytes]] })] as const,
    ),
);

t.test('reading', async (t) => {
  for (const [what, make] of broken) {
    const x509 = new X509Certificate(make(ca).der);
    const certificate = new Certificate(x509, 'f');
    t.doesNotThrow(() => {
      const { subject, issuer, serial, names, constraints, validToMs, spkiHash, signatureScheme } = certificate;
      return [subject, issuer, serial, names, constraints, validToMs, spkiHash, signatureScheme];
    }, what);
  }
});

t.test('clients', async (t) => {
  const names = [{ type: 'uri' as const, match: { kind: 'exact' as const, value: NAME, ignoreCase: false }, oid: '' }];
  const lenient = validationModel(ca.root, { subjectAltNames: names, allowExpired: true });
  const strict = validationModel(ca.root, { subjectAltNames: names });
  const end = await serveTls(
    new DownstreamTls(downstreamModel({ certificates: [certificateModel(good)] }), tlsEnv(), NO_COUNTS),
  );
  t.teardown(end.close);
  for (const validation of [lenient, strict])
    for (const requireClientCertificate of [true, false]) {
      const model = downstreamModel({ certificates: [certificateModel(good)], validation, requireClientCertificate });
      end.use(new DownstreamTls(model, tlsEnv(), NO_COUNTS));
      for (const [what, make] of broken) {
        const issued = make(foreign);
        const result = await tryClient(end.port, { cert: issued.chain, key: issued.key });
        t.notOk(result.admitted, what);
      }
      t.ok((await tryClient(end.port, { cert: good.chain, key: good.key })).admitted, 'the right one still comes in');
    }
});

t.test('hosts', async (t) => {
  const end = await serveTls(
    new DownstreamTls(downstreamModel({ certificates: [certificateModel(good)] }), tlsEnv(), NO_COUNTS),
  );
  t.teardown(end.close);
  for (const [what, make] of broken) {
    end.use(
      new DownstreamTls(downstreamModel({ certificates: [certificateModel(make(foreign))] }), tlsEnv(), NO_COUNTS),
    );
    const dialler = new Dialler(upstreamModel({ validation: validationModel(ca.root) }));
    t.match(await dialler.dial(end.port), { connected: false }, what);
  }
});

t.test('an object identifier as long as a certificate may be', async (t) => {
  // Arithmetic on this one took two seconds.
  t.throws(() => oidText(Buffer.concat([Buffer.alloc(90_000, 0x81), Buffer.from([1])])), /without end/);
  t.equal(oidText(Buffer.from([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d])), '1.2.840.113549');
});

t.test('a trusted leaf is known by its bytes', async (t) => {
  // Certificates are forgotten when there are many: then the peer's is another object than the trusted one.
  const twice = () => {
    const x509 = new X509Certificate(good.der);
    return new Certificate(x509, fingerprintOf(x509));
  };
  const result = checkPath(
    [twice()],
    {
      roots: [twice()],
      partial: true,
      depthMax: 100,
      allowExpired: true,
      crl: null,
      crlLeafOnly: false,
      peer: 'client',
    },
    Date.now(),
  );
  t.ok(result.ok);
});
