// The certificates that other tests stand on are real ones: Node's X.509 reader agrees with what was asked for.

import { X509Certificate } from 'node:crypto';
import t from 'tap';
import { makeCa } from '../fixtures/pki.ts';

t.test('a chain of each key type', async (t) => {
  const root = makeCa();
  const middle = root.intermediate({ pathLength: 0, keyType: 'rsa' });
  for (const keyType of ['ec', 'ec384', 'rsa', 'ed25519'] as const) {
    const leaf = middle.issue({
      keyType,
      subject: [
        ['O', 'Acme'],
        ['CN', 'a'],
      ],
      uri: ['spiffe://td/ns/a/sa/b'],
      dns: ['*.a.example'],
      ip: ['127.0.0.1', 'fe80::1:2'],
      email: ['a@b.example'],
    });
    const read = new X509Certificate(leaf.der);
    t.equal(
      read.subjectAltName,
      'email:a@b.example, DNS:*.a.example, URI:spiffe://td/ns/a/sa/b, IP Address:127.0.0.1, IP Address:FE80:0:0:0:0:0:1:2',
      keyType,
    );
    t.equal(read.subject, 'O=Acme\nCN=a');
    t.equal(read.serialNumber.toLowerCase(), leaf.serial);
    t.notOk(read.ca);
    const issuer = new X509Certificate(middle.certificate);
    t.ok(issuer.ca);
    t.ok(read.checkIssued(issuer) && read.verify(issuer.publicKey) && read.checkPrivateKey(leaf.privateKey));
    t.ok(issuer.verify(new X509Certificate(root.root).publicKey));
    t.equal(leaf.chain.match(/BEGIN CERTIFICATE/g)?.length, 2, 'leaf and intermediate');
  }
  t.notOk(new X509Certificate(makeCa().issue().der).verify(new X509Certificate(root.root).publicKey), 'another root');
});

t.test('validity as asked for', async (t) => {
  const notAfter = new Date('2060-02-03T04:05:06Z');
  const read = new X509Certificate(makeCa().issue({ notBefore: new Date('2020-01-02T03:04:05Z'), notAfter }).der);
  t.equal(read.validFrom, 'Jan  2 03:04:05 2020 GMT');
  t.equal(read.validTo, 'Feb  3 04:05:06 2060 GMT');
});
