// The HTTP/2 corpora: each case whole, byte by byte, cut in two anywhere, and with a PING behind it.
import t from 'tap';
import { byteByByte, whole } from '../fixtures/corpus.ts';
import { h2Log, readFrames, readH2Corpus } from '../fixtures/h2-corpus.ts';

/** Cases up to this size are cut at every place, longer ones at some. */
const EVERY_CUT_BYTES = 300;
const CUTS = 50;
const PING = readFrames('ping "12345678"');
const PONG = '> PING flags 1 "12345678"';

for (const file of ['http2-request.md', 'http2-response.md', 'http2-frames.md', 'http2-limits.md'])
  t.test(file, (t) => {
    for (const test of readH2Corpus(file)) {
      const { name, input, log } = test;
      t.equal(h2Log(test, whole(input)), log, `${name}: whole`);
      if (input.length < 20_000) t.equal(h2Log(test, byteByByte(input)), log, `${name}: byte by byte`);
      const step = input.length <= EVERY_CUT_BYTES ? 1 : Math.ceil(input.length / CUTS);
      for (let cut = 1; cut < input.length; cut += step) {
        const got = h2Log(test, [input.subarray(0, cut), input.subarray(cut)]);
        if (got !== log) t.equal(got, log, `${name}: cut at ${cut}`);
      }
      const after = h2Log(test, whole(Buffer.concat([input, PING])));
      if (/^error /m.test(log)) t.equal(after, log, `${name}: with a PING behind it`);
      else t.equal(after, log === '' ? PONG : `${log}\n${PONG}`, `${name}: with a PING behind it`);
    }
    t.end();
  });
