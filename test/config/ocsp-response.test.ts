import { X509Certificate } from 'node:crypto';
import t from 'tap';
import { checkOcspResponse, wantsStaple } from '../../proxy/config/lower/ocsp-response.ts';
import { ConfigError } from '../../proxy/util/error.ts';
import { ocspStaple } from '../fixtures/ocsp.ts';
import { makeCa } from '../fixtures/pki.ts';

const ca = makeCa();
const issued = ca.issue({ dns: ['a.test'], serial: '00a7' });
const leaf = new X509Certificate(issued.certificate);
const END = new Date(Date.UTC(2030, 0, 2, 3, 4, 5));
const good = ocspStaple(ca, issued.serial, { nextUpdate: END });
const check = (bytes: Buffer): number => checkOcspResponse(bytes, leaf, 'at');

t.test('when it ends', async (t) => {
  t.equal(check(good), END.getTime());
  t.equal(check(ocspStaple(ca, issued.serial, { nextUpdate: null })), -1);
  t.equal(check(ocspStaple(ca, issued.serial, { revoked: true, nextUpdate: END })), END.getTime());
});

t.test('what is refused', async (t) => {
  const renamed = Buffer.from(good.toString('hex').replace('2b0601050507300101', '2b0601050507300102'), 'hex');
  for (const [bytes, text] of [
    [Buffer.from('hello'), 'Data contained more than a single OCSP response'],
    [Buffer.concat([good, Buffer.of(0)]), 'Data contained more than a single OCSP response'],
    [good.subarray(0, -1), 'Data contained more than a single OCSP response'],
    [Buffer.from('3000', 'hex'), 'OCSP ResponseStatus is not a well-formed ASN.1 ENUMERATED'],
    [Buffer.from('30030a0107', 'hex'), 'Unknown OCSP Response Status variant: 7'],
    [Buffer.from('30030a0106', 'hex'), 'OCSP response was unsuccessful'],
    [Buffer.from('30030a0100', 'hex'), 'OCSP response has no body'],
    [Buffer.from('30050a0100a000', 'hex'), 'OCSP ResponseBytes is not a well-formed SEQUENCE'],
    [renamed, 'Unknown OCSP Response type with OID: 1.3.6.1.5.5.7.48.1.2'],
    [ocspStaple(ca, 'a8'), 'OCSP response does not match its TLS certificate'],
  ] as const)
    t.throws(() => check(bytes), { message: `at: ${text}` });
});

t.test('bytes that are wrong anywhere are refused with a reason, or change nothing that is looked at', async (t) => {
  let refused = 0;
  for (let at = 0; at < good.length; at++)
    for (const value of [0, 0x7f, 0x80, 0xff]) {
      const wrong = Buffer.from(good);
      wrong[at] = value;
      try {
        check(wrong);
      } catch (error) {
        refused++;
        if (!(error instanceof ConfigError)) throw error;
      }
    }
  t.ok(refused > 100, `${refused} refused`);
});

t.test('certificates that want one', async (t) => {
  const feature = (hex: string): X509Certificate =>
    new X509Certificate(ca.issue({ dns: ['a'], raw: [['1.3.6.1.5.5.7.1.24', Buffer.from(hex, 'hex')]] }).certificate);
  t.ok(wantsStaple(feature('3003020105')));
  t.notOk(wantsStaple(feature('3003020111')), 'another feature');
  t.notOk(wantsStaple(leaf));
});
