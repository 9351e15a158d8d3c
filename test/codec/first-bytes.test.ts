// Readers of a connection's first bytes: ClientHello, HTTP request line, PROXY header. What they say of the whole they must
// say of every beginning that is long enough, whatever the bytes are.

import t from 'tap';
import { readClientHello } from '../../proxy/codec/client-hello.ts';
import { sniffHttp } from '../../proxy/codec/http-sniff.ts';
import { readProxyHeader, writeProxyHeader } from '../../proxy/net/proxy-header.ts';
import { Dice } from '../fixtures/dice.ts';
import * as hello from '../fixtures/hello.ts';

/** `null`: they ask for more than there is. */
type Reader = (bytes: Buffer) => { readonly said: string } | { readonly needs: number };

const shown = (result: unknown): { said: string } => ({ said: JSON.stringify(result) ?? 'undefined' });
const READERS: Readonly<Record<string, Reader>> = {
  hello: (bytes) => {
    const result = readClientHello(bytes);
    if (typeof result === 'number') return { needs: result };
    // Which reason it is may show later than that there is one.
    return shown(typeof result === 'string' ? 'no hello' : result);
  },
  http: (bytes) => {
    const result = sniffHttp(bytes, 0);
    return typeof result === 'number' ? { needs: result } : shown(result);
  },
  proxy: (bytes) => {
    const result = readProxyHeader(bytes);
    return typeof result === 'number' ? { needs: result } : shown(result);
  },
};

const V2_HEAD = Buffer.from('\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x13', 'latin1');
const V2 = Buffer.concat([
  V2_HEAD,
  Buffer.from('\x0a\x01\x02\x03\x0a\x04\x05\x06\x04\x57\x08\xae\x05\x00\x04five', 'latin1'),
]);
const SEEDS: readonly Buffer[] = [
  hello.hello(),
  hello.hello({ extensions: null }),
  hello.records(hello.helloMessage(), 40),
  Buffer.from('GET /index.html HTTP/1.1\r\nhost: a\r\n\r\n'),
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  Buffer.from('PROXY TCP4 10.1.2.3 10.4.5.6 1111 2222\r\nGET'),
  Buffer.from('PROXY UNKNOWN\r\n'),
  V2,
];

/** Fails unless what is said of a beginning is said of the whole, and needs grow beyond what there is. @returns the last word */
function follow(name: string, reader: Reader, bytes: Buffer, where: string): string {
  let first = '';
  for (let end = 0; end <= bytes.length; end++) {
    const answer = reader(bytes.subarray(0, end));
    if ('needs' in answer) {
      if (first !== '') throw new Error(`${name} asks for more after it had decided: ${where}`);
      if (answer.needs <= end) throw new Error(`${name} asks for ${answer.needs} bytes and has ${end}: ${where}`);
    } else if (first === '') first = answer.said;
    else if (first !== answer.said) throw new Error(`${name} said ${first}, then ${answer.said}: ${where}`);
  }
  return first;
}

t.test('whole, and every beginning', async (t) => {
  const said = (name: string, bytes: Buffer): string => follow(name, READERS[name] as Reader, bytes, 'seed');
  t.match(JSON.parse(said('hello', hello.hello())), {
    serverName: 'a.example',
    alpn: ['h2', 'http/1.1'],
    version: 0x303,
  });
  t.equal(said('hello', hello.records(hello.helloMessage(), 3)), said('hello', hello.hello()), 'records do not matter');
  t.equal(said('hello', Buffer.from('GET / HTTP/1.1\r\n')), '"no hello"');
  t.equal(said('hello', Buffer.from('SSH-2.0')), '"no hello"');
  t.equal(said('http', Buffer.from('GET / HTTP/1.1\r\nx')), '"http/1.1"');
  t.equal(said('http', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nx')), '"h2c"');
  t.equal(said('http', Buffer.from('\x16\x03\x01')), 'null');
  t.match(JSON.parse(said('proxy', V2)), { version: 2, length: V2.length, addresses: { sourceIp: '10.1.2.3' } });
  t.match(JSON.parse(said('proxy', Buffer.from('PROXY TCP6 ::1 ::2 1 2\r\n'))), {
    version: 1,
    addresses: { sourcePort: 1 },
  });
});

t.test('what can be nothing is known at once', async (t) => {
  t.equal(readClientHello(Buffer.from('E')), 'WRONG_VERSION_NUMBER');
  t.equal(readClientHello(Buffer.from([22, 2])), 'WRONG_VERSION_NUMBER');
  t.equal(sniffHttp(Buffer.from([0]), 0), null);
  t.equal(sniffHttp(Buffer.alloc(2_000, 'a'), 0), null, 'no method is as long');
  t.equal(readProxyHeader(Buffer.from('GE')), 'none');
});

t.test('a search goes on where it ended', async (t) => {
  const line = Buffer.from(`GET /${'a'.repeat(5_000)} HTTP/1.0\r\n`);
  t.equal(sniffHttp(line.subarray(0, 4_000), 0), 4_001);
  t.equal(sniffHttp(line, 4_000), 'http/1.0');
});

t.test('headers that are written can be read', async (t) => {
  const v4 = { sourceIp: '1.2.3.4', sourcePort: 5, destinationIp: '6.7.8.9', destinationPort: 65_535 };
  const v6 = { ...v4, sourceIp: '2001:db8::1', destinationIp: '::2' };
  const tlvs = [
    { type: 5, value: Buffer.from('five') },
    { type: 0xea, value: Buffer.alloc(0) },
  ];
  for (const addresses of [v4, v6]) {
    t.match(readProxyHeader(writeProxyHeader(1, addresses, [])), { version: 1, addresses, tlvs: [] });
    t.match(readProxyHeader(writeProxyHeader(2, addresses, tlvs)), { version: 2, addresses, tlvs });
  }
  t.match(readProxyHeader(writeProxyHeader(1, null, [])), { version: 1, addresses: null });
  t.match(readProxyHeader(writeProxyHeader(2, null, [])), { version: 2, addresses: null });
  const mixed = { ...v4, destinationIp: '::2' };
  t.match(readProxyHeader(writeProxyHeader(2, mixed, [])), {
    addresses: { sourceIp: '1.2.3.4', destinationIp: '::2' },
  });
});

function mutate(bytes: Buffer, random: Dice): Buffer {
  const at = random.below(bytes.length);
  const [before, behind] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (random.below(6)) {
    case 0:
      return Buffer.concat([before, Buffer.from([random.below(256), random.below(256)]), behind]);
    case 1:
      return Buffer.concat([Buffer.from([random.below(256)]), before, behind.subarray(random.below(4))]);
    case 2:
      return Buffer.concat([before, Buffer.from([random.below(256)]), behind.subarray(1)]);
    default:
      return Buffer.concat([before, Buffer.from([(bytes[at] as number) ^ (1 << random.below(8))]), behind.subarray(1)]);
  }
}

t.test('any bytes', async (t) => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
  const random = new Dice(seed);
  let decided = 0;
  for (let round = 0; round < 1_500; round++) {
    let bytes: Buffer = Buffer.from(random.pick(SEEDS));
    for (let change = random.below(4); change >= 0; change--) bytes = mutate(bytes, random);
    for (const [name, reader] of Object.entries(READERS))
      if (follow(name, reader, bytes, `seed ${seed}, round ${round}`) !== '') decided++;
  }
  t.ok(decided > 1_500, `${decided} decisions, seed ${seed}`);
});
