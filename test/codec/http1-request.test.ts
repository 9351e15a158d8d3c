// HTTP/1 requests: the corpora whole, byte by byte, cut in two anywhere, and with a request behind them.
import t from 'tap';
import { H1_OPTIONS } from '../../proxy/codec/http1.ts';
import { RequestDecoder } from '../../proxy/codec/http1-request.ts';
import { byteByByte, readCorpus, requestLog, whole } from '../fixtures/corpus.ts';

const CORPORA = [
  'request-head.md',
  'request-target.md',
  'request-length.md',
  'request-chunked.md',
  'request-upgrade.md',
];
const FOLLOWER = Buffer.from('GET /next HTTP/1.1\r\nHost: n\r\n\r\n');
const FOLLOWER_LOG = '\nrequest GET [n] /next 1.1 keep-alive\nend';

for (const file of CORPORA)
  t.test(file, (t) => {
    for (const { name, options, input, log, eof } of readCorpus(file)) {
      t.equal(requestLog(options, whole(input), eof), log, `${name}: whole`);
      t.equal(requestLog(options, byteByByte(input), eof), log, `${name}: byte by byte`);
      for (let cut = 1; cut < input.length; cut++) {
        const got = requestLog(options, [input.subarray(0, cut), input.subarray(cut)], eof);
        if (got !== log) t.equal(got, log, `${name}: cut at ${cut}`);
      }
      if (log.endsWith('\nend') && !eof) {
        const both = Buffer.concat([input, FOLLOWER]);
        t.equal(requestLog(options, whole(both), false), log + FOLLOWER_LOG, `${name}: with a request behind it`);
      }
    }
    t.end();
  });

t.test('limits', (t) => {
  const get = (rest: string) => [Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${rest}`)];
  const fields = (count: number) => Array.from({ length: count }, (_, i) => `x${i}: 1\r\n`).join('');
  const long = `x: ${'a'.repeat(61_440 - 27 - 5)}`;
  const tooLarge = 'error 431 http1.headers_too_large';
  t.match(requestLog(H1_OPTIONS, get(`${fields(99)}\r\n`), false), /\nend$/, 'host and 99 others');
  t.equal(requestLog(H1_OPTIONS, get(`${fields(100)}\r\n`), false), 'error 431 http1.too_many_headers');
  t.match(requestLog(H1_OPTIONS, get(`${long.slice(0, -4)}\r\n\r\n`), false), /\nend$/, 'a head of just under 60 KiB');
  t.equal(requestLog(H1_OPTIONS, get(`${long}aaaaaaa\r\n\r\n`), false), tooLarge);
  t.equal(requestLog(H1_OPTIONS, get(`${long}aaaaaaaaaaaaaaaaaaaa`), false), tooLarge, 'before its end is seen');
  const bytes = byteByByte(get(`${long}aaaaaaaaaaaaaaaa`)[0] as Buffer);
  t.equal(requestLog(H1_OPTIONS, bytes, false), tooLarge, 'one byte at a time, in linear time');
  const chunked = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n';
  const chunk = (text: string) => requestLog(H1_OPTIONS, [Buffer.from(chunked + text)], false);
  t.match(chunk(`1;${'x'.repeat(5_000)}\r\na\r\n0\r\n\r\n`), /body "a"\nend$/, 'a long extension');
  t.match(chunk(`1;${'x'.repeat(20_000)}\r\na\r\n0\r\n\r\n`), /error 400 http1.codec_error$/, 'a longer one');
  t.match(chunk(`${`1;${'x'.repeat(15_000)}\r\na\r\n`.repeat(5)}0\r\n\r\n`), /error 400/, 'many long ones');
  t.match(chunk(`${'0'.repeat(20_000)}1\r\na\r\n0\r\n\r\n`), /error 400/, 'a size of zeros');
  t.match(chunk(`0\r\nx: ${'a'.repeat(62_000)}\r\n\r\n`), /error 431 http1.headers_too_large$/, 'a long trailer');
  t.match(chunk(`0\r\n${fields(101)}\r\n`), /error 431 http1.too_many_headers$/, 'many trailers');
  t.end();
});

t.test('holds and pipelining', (t) => {
  const seen: string[] = [];
  const decoder: RequestDecoder = new RequestDecoder(H1_OPTIONS, {
    onRequestHead(head, endStream) {
      seen.push(`${head.path}${endStream ? '.' : ''}`);
      if (head.path === '/hold') decoder.hold();
    },
    onRequestData(chunk, endStream) {
      seen.push(`${chunk}${endStream ? '.' : ''}`);
    },
    onRequestTrailers() {
      seen.push('.');
    },
  });
  const post = (path: string) => `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n`;
  t.ok(decoder.idle, 'idle at first');
  decoder.feed(Buffer.from(`${post('/hold')}abcd${post('/2')}ef`));
  t.same(seen, ['/hold'], 'held right behind the head');
  decoder.feed(Buffer.from('gh'));
  t.equal(decoder.bufferedBytes, 4 + post('/2').length + 4);
  decoder.release();
  t.same(seen, ['/hold', 'abcd.'], 'the first body, and not a byte of the next request');
  t.ok(decoder.requestComplete);
  decoder.nextRequest();
  t.same(seen.slice(2), ['/2', 'efgh.']);
  t.notOk(decoder.idle, 'the exchange is not over');
  t.equal(decoder.nextRequest(), null);
  t.ok(decoder.idle);
  t.equal(decoder.eof(), null, 'the end between requests is fine');
  decoder.feed(Buffer.from('GET'));
  t.equal(decoder.eof()?.details, 'http1.codec_error', 'in the middle of one it is not');
  t.equal(decoder.feed(Buffer.from(' / HTTP/1.1\r\n\r\n'))?.details, 'http1.codec_error', 'an error is final');
  t.end();
});

t.test('chunks of one read', (t) => {
  let seen: string[] = [];
  let holds = false;
  const start = (): RequestDecoder => {
    seen = [];
    const decoder: RequestDecoder = new RequestDecoder(H1_OPTIONS, {
      onRequestHead() {},
      onRequestData(chunk, endStream) {
        seen.push(`${chunk}${endStream ? '.' : ''}`);
        if (holds) decoder.hold();
      },
      onRequestTrailers() {
        seen.push('end');
      },
    });
    return decoder;
  };
  const head = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n';
  const long = 'x'.repeat(100);
  const body = `1\r\na\r\n2;x=y\r\nbc\r\n64\r\n${long}\r\n1\r\nd\r\n`;
  t.equal(start().feed(Buffer.from(`${head}${body}0\r\n\r\n`)), null);
  t.same(seen, [`abc${long}d`, 'end'], 'are one call');
  let decoder = start();
  t.equal(decoder.feed(Buffer.from(`${head}${body}5\r\nef`)), null);
  t.equal(decoder.feed(Buffer.from('ghi\r\n1\r\nj\r\n0\r\n\r\n')), null);
  t.same(seen, [`abc${long}def`, 'ghij', 'end'], 'with the part of one that goes on in the next read');
  const whole = Buffer.from('5\r\nhello\r\n');
  decoder = start();
  decoder.feed(Buffer.from(head));
  decoder.feed(whole);
  t.equal(whole.toString(), '5\r\nhello\r\n', 'a lone one is not moved');
  holds = true;
  decoder = start();
  t.equal(decoder.feed(Buffer.from(`${head}${body}zz\r\n`)), null, 'an error waits behind a hold');
  t.same(seen, [`abc${long}d`], 'and the data before it is told');
  t.equal(decoder.release()?.details, 'http1.codec_error');
  decoder = start();
  t.equal(decoder.feed(Buffer.from(`${head}${body}0\r\n\r\n`)), null);
  t.same(seen, [`abc${long}d`], 'the end waits behind a hold');
  t.equal(decoder.release(), null);
  t.same(seen, [`abc${long}d`, 'end']);
  holds = false;
  t.equal(start().feed(Buffer.from(`${head}1\r\na\r\n1\r\nbXX`))?.details, 'http1.codec_error');
  t.same(seen, ['ab'], 'the good data goes before an error');
  const extended = `1;${'x'.repeat(15_000)}\r\na\r\n`;
  t.equal(start().feed(Buffer.from(`${head}${extended.repeat(4)}`)), null);
  t.equal(start().feed(Buffer.from(`${head}${extended.repeat(5)}`))?.details, 'http1.codec_error', 'extensions count');
  t.same(seen, ['aaaa']);
  t.end();
});

t.test('the next request from inside a sink call', (t) => {
  const paths: string[] = [];
  const decoder: RequestDecoder = new RequestDecoder(H1_OPTIONS, {
    onRequestHead(head, endStream) {
      paths.push(head.path);
      if (endStream) decoder.nextRequest();
    },
    onRequestData(_chunk, endStream) {
      if (endStream) decoder.nextRequest();
    },
    onRequestTrailers() {
      decoder.nextRequest();
    },
  });
  const requests = Array.from({ length: 50 }, (_, i) =>
    i % 3 === 0
      ? `GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`
      : `POST /${i} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx`,
  );
  t.equal(decoder.feed(Buffer.from(requests.join(''))), null);
  t.same(
    paths,
    Array.from({ length: 50 }, (_, i) => `/${i}`),
  );
  t.ok(decoder.idle);
  t.end();
});

t.test('bytes given to a sink are not written to again', (t) => {
  const kept: Buffer[] = [];
  const decoder: RequestDecoder = new RequestDecoder(H1_OPTIONS, {
    onRequestHead() {
      decoder.hold();
    },
    onRequestData(chunk) {
      kept.push(chunk);
    },
    onRequestTrailers() {},
  });
  decoder.feed(Buffer.from('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300\r\n\r\n'));
  for (let i = 0; i < 30; i++) {
    decoder.feed(Buffer.from(String.fromCharCode(65 + (i % 26)).repeat(10)));
    if (i % 5 !== 4) continue;
    decoder.release();
    decoder.hold();
  }
  const want = Array.from({ length: 30 }, (_, i) => String.fromCharCode(65 + (i % 26)).repeat(10)).join('');
  t.equal(Buffer.concat(kept).toString(), want);
  t.end();
});
