// HTTP/1 responses: the corpus whole, byte by byte and cut in two anywhere; bytes that nobody asked for.
import t from 'tap';
import { H1_OPTIONS } from '../../proxy/codec/http1.ts';
import { ResponseDecoder } from '../../proxy/codec/http1-response.ts';
import { byteByByte, readCorpus, responseLog, whole } from '../fixtures/corpus.ts';

t.test('response.md', (t) => {
  for (const test of readCorpus('response.md')) {
    const { name, input, log } = test;
    t.equal(responseLog(test, whole(input)), log, `${name}: whole`);
    t.equal(responseLog(test, byteByByte(input)), log, `${name}: byte by byte`);
    for (let cut = 1; cut < input.length; cut++) {
      const got = responseLog(test, [input.subarray(0, cut), input.subarray(cut)]);
      if (got !== log) t.equal(got, log, `${name}: cut at ${cut}`);
    }
    if (log.endsWith('\nend') && !test.eof) {
      const got = responseLog(test, [Buffer.concat([input, Buffer.from('HTTP/1.1 200 OK\r\n\r\n')])]);
      t.equal(got, `${log}\nerror 400 http1.codec_error`, `${name}: with bytes behind it`);
    }
  }
  t.end();
});

/** A decoder that asks for the next response as soon as one is over, as a pool with a queue would. */
function eager(): { readonly decoder: ResponseDecoder; readonly statuses: number[]; closeSeen: boolean } {
  const state = { decoder: null as unknown as ResponseDecoder, statuses: [] as number[], closeSeen: false };
  const next = (endStream: boolean) => {
    if (!endStream) return;
    state.closeSeen = state.decoder.shouldClose;
    if (!state.closeSeen) state.decoder.expect('GET', false);
  };
  state.decoder = new ResponseDecoder(H1_OPTIONS, {
    onInformational() {},
    onResponseHead(head, endStream) {
      state.statuses.push(head.status);
      next(endStream);
    },
    onResponseData: (_chunk, endStream) => next(endStream),
    onResponseTrailers: () => next(true),
  });
  return state;
}

for (const [name, first] of [
  ['content-length', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'],
  ['chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
  ['no body', 'HTTP/1.1 204 No Content\r\n\r\n'],
] as const)
  t.test(`a response behind a response is never the answer to the next request: ${name}`, (t) => {
    const state = eager();
    state.decoder.expect('GET', false);
    const error = state.decoder.feed(Buffer.from(`${first}HTTP/1.1 418 Evil\r\nContent-Length: 0\r\n\r\n`));
    t.equal(error?.details, 'http1.codec_error');
    t.equal(state.statuses.length, 1);
    t.ok(state.closeSeen, 'the owner is told before it hears of the end');
    t.end();
  });

t.test('bytes before any request', (t) => {
  const { decoder } = eager();
  t.equal(decoder.feed(Buffer.from('HTTP/1.1 408 Timeout\r\n\r\n'))?.details, 'http1.codec_error');
  t.end();
});

t.test('started and complete', (t) => {
  const { decoder } = eager();
  decoder.expect('GET', false);
  t.notOk(decoder.started);
  t.notOk(decoder.complete);
  decoder.feed(Buffer.from('H'));
  t.ok(decoder.started);
  t.equal(typeof decoder.eof(), 'object', 'an end in the head is an error');
  t.end();
});

t.test('a hold keeps body bytes', (t) => {
  let body = '';
  const decoder: ResponseDecoder = new ResponseDecoder(H1_OPTIONS, {
    onInformational() {},
    onResponseHead: () => decoder.hold(),
    onResponseData(chunk) {
      body += chunk;
    },
    onResponseTrailers() {},
  });
  decoder.expect('GET', false);
  decoder.feed(Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab'));
  decoder.feed(Buffer.from('cd'));
  t.equal(body, '');
  t.equal(decoder.release(), null);
  t.equal(body, 'abcd');
  t.end();
});
