// Text of addresses in bytes, against the C library's by way of Node's own parser.

import { isIPv6, SocketAddress } from 'node:net';
import t from 'tap';
import { formatIpv4, formatIpv6, parseIp } from '../../proxy/util/ip.ts';

t.test('IPv4', async (t) => {
  t.equal(formatIpv4(Buffer.from([9, 127, 0, 0, 255]), 1), '127.0.0.255');
});

t.test('IPv6 is written as short as the C library does', async (t) => {
  const texts = [
    '::',
    '::1',
    '1::',
    'fd00::1:0:0:1',
    '1:0:2:0:3:0:4:0',
    '1:0:0:2:0:0:0:3',
    '2001:db8::ff',
    'a:b:c:d:e:f:1:2',
  ];
  for (const text of texts) {
    const bytes = parseIp(text) as Buffer;
    t.equal(formatIpv6(bytes, 0), new SocketAddress({ address: text, family: 'ipv6' }).address, text);
  }
  for (let i = 0; i < 256; i++) {
    const bytes = Buffer.alloc(16);
    for (let word = 0; word < 8; word++) if ((i >> word) & 1) bytes[word * 2 + 1] = word + 1;
    const text = formatIpv6(bytes, 0);
    t.ok(isIPv6(text) && parseIp(text)?.equals(bytes), text);
  }
  t.equal(formatIpv6(Buffer.from('00000000000000000000ffff0a000001', 'hex'), 0), '10.0.0.1', 'mapped');
});
