// Properties of the HTTP/1 codec: parse → write → parse is stable, however the bytes arrive; and whatever the bytes,
// a decoder ends in events or an `H1Error`, never in an exception.
import fc from 'fast-check';
import t from 'tap';
import { HeaderMap } from '../../proxy/codec/headers.ts';
import { FRAMING_CHUNKED, H1_OPTIONS, type RequestHead } from '../../proxy/codec/http1.ts';
import { RequestDecoder } from '../../proxy/codec/http1-request.ts';
import { ResponseDecoder } from '../../proxy/codec/http1-response.ts';
import {
  CHUNK_END,
  chunkHead,
  requestFraming,
  responseFraming,
  writeRequestHead,
  writeResponseHead,
  writeTrailers,
} from '../../proxy/codec/http1-write.ts';
import { readCorpus, requestLog, responseLog } from '../fixtures/corpus.ts';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
t.comment(`seed ${SEED} (SEED=${SEED} runs it again)`);
const check = (runs: number) => ({ seed: SEED, numRuns: runs });

const TOKEN = [..."abcdefghijklmnopqrstuvwxyz0123456789-_.!~#$%&'*+^`|"];
const VALUE = Array.from({ length: 223 }, (_, i) => String.fromCharCode(i + 32)).filter((c) => c !== '\x7f');
const FRAMING_NAMES = new Set([
  'host',
  'connection',
  'content-length',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);
const name = fc
  .string({ unit: fc.constantFrom(...TOKEN), minLength: 1, maxLength: 20 })
  .filter((text) => !FRAMING_NAMES.has(text));
const value = fc.string({ unit: fc.constantFrom(...VALUE), maxLength: 40 }).map((text) => text.trim());
const fields = fc.uniqueArray(fc.tuple(name, value), { maxLength: 20, selector: ([key]) => key });
const path = fc.string({ unit: fc.constantFrom(...VALUE.filter((c) => c > ' ' && c < '\x7f' && c !== '#')) });
const host = fc.string({ unit: fc.constantFrom(...'abcxyz019-._:[]~'), maxLength: 20 });
const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }), { maxLength: 5 });
const trailerFields = fc.oneof(fc.constant([]), fields);

interface Message {
  start: string;
  headers: HeaderMap;
  body: string;
  trailers: HeaderMap | null;
}

function headerMap(entries: readonly (readonly [string, string])[]): HeaderMap {
  const headers = new HeaderMap();
  for (const [key, text] of entries) headers.add(key, text);
  return headers;
}

function list(headers: HeaderMap | null): string[] {
  return headers === null ? [] : headers.names.map((key, i) => `${key}: ${headers.values[i]}`);
}

/** Cuts bytes at pseudo-random places. */
function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes.length === 0 ? bytes.length : (sizes[i % sizes.length] as number);
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

function writeBody(framing: number, body: readonly Uint8Array[], trailers: HeaderMap | null): string {
  const text = (piece: Uint8Array) => Buffer.from(piece).toString('latin1');
  if (framing !== FRAMING_CHUNKED) return body.map(text).join('');
  return (
    body.map((piece) => chunkHead(piece.length) + text(piece) + CHUNK_END).join('') + writeTrailers(trailers, 'lower')
  );
}

function readRequest(bytes: Buffer, sizes: readonly number[]): Message & { head: RequestHead | null } {
  const got: Message & { head: RequestHead | null } = {
    start: '',
    headers: new HeaderMap(),
    body: '',
    trailers: null,
    head: null,
  };
  const decoder = new RequestDecoder(
    { ...H1_OPTIONS, enableTrailers: true },
    {
      onRequestHead(head) {
        got.head = head;
        got.start = `${head.method} ${head.path} ${head.authority}`;
        got.headers = head.headers;
      },
      onRequestData(chunk) {
        got.body += chunk.toString('latin1');
      },
      onRequestTrailers(trailers) {
        got.trailers = trailers;
      },
    },
  );
  for (const piece of cut(bytes, sizes)) {
    const error = decoder.feed(piece);
    if (error !== null) throw new Error(`${error.message}: ${JSON.stringify(bytes.toString('latin1'))}`);
  }
  if (!decoder.requestComplete) throw new Error(`incomplete: ${JSON.stringify(bytes.toString('latin1'))}`);
  return got;
}

t.test('requests: parse, write, parse', (t) => {
  const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 6 });
  fc.assert(
    fc.property(
      fc.constantFrom('GET', 'POST', 'DELETE', 'PUT'),
      path,
      host,
      fields,
      chunks,
      trailerFields,
      sizes,
      (method, rest, authority, entries, body, trailerEntries, pieces) => {
        const headers = headerMap(entries);
        const trailers = body.length === 0 ? null : headerMap(trailerEntries);
        const framing = requestFraming(method, headers, body.length === 0);
        const write = (h: HeaderMap) =>
          writeRequestHead(method, `/${rest}`, authority, h, framing, 'lower') + writeBody(framing, body, trailers);
        const first = readRequest(Buffer.from(write(headers), 'latin1'), pieces);
        const written = first.headers.has('content-length') ? headers : first.headers;
        const second = readRequest(Buffer.from(write(written), 'latin1'), []);
        if (first.start !== `${method} /${rest} ${authority}`) throw new Error(`start ${first.start}`);
        const want = list(headers).concat(
          method !== 'GET' && method !== 'DELETE' && body.length === 0 ? 'content-length: 0' : [],
        );
        if (list(first.headers).join('\n') !== want.join('\n')) throw new Error('headers changed');
        if (first.body !== second.body || first.body !== body.map((b) => Buffer.from(b).toString('latin1')).join(''))
          throw new Error('body changed');
        if (list(first.trailers).join('\n') !== list(trailers).join('\n')) throw new Error('trailers changed');
        if (list(first.headers).join('\n') !== list(second.headers).join('\n')) throw new Error('not stable');
      },
    ),
    check(400),
  );
  t.pass('held for every run');
  t.end();
});

t.test('responses: write, parse', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 200, max: 599 }).filter((status) => status !== 204 && status !== 304),
      fields,
      chunks,
      fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 6 }),
      (status, entries, body, pieces) => {
        const headers = headerMap(entries);
        const framing = responseFraming('GET', status, headers, 1, body.length === 0);
        const text = writeResponseHead(status, headers, 1, framing, 'lower') + writeBody(framing, body, null);
        let got = '';
        let names: string[] = [];
        let over = false;
        const decoder = new ResponseDecoder(H1_OPTIONS, {
          onInformational() {},
          onResponseHead(head, endStream) {
            names = list(head.headers);
            over = endStream;
          },
          onResponseData(chunk) {
            got += chunk.toString('latin1');
          },
          onResponseTrailers() {
            over = true;
          },
        });
        decoder.expect('GET', false);
        for (const piece of cut(Buffer.from(text, 'latin1'), pieces)) {
          const error = decoder.feed(piece);
          if (error !== null) throw new Error(`${error.message}: ${JSON.stringify(text)}`);
        }
        if (!over) throw new Error('no end');
        if (got !== body.map((b) => Buffer.from(b).toString('latin1')).join('')) throw new Error('body changed');
        const responseInline = new Set(list(headers));
        for (const line of names) if (line !== 'content-length: 0' && !responseInline.has(line)) throw new Error(line);
      },
    ),
    check(300),
  );
  t.pass('held for every run');
  t.end();
});

t.test('any bytes end in events or an H1Error', (t) => {
  const corpus = [
    ...[
      'request-head.md',
      'request-target.md',
      'request-length.md',
      'request-chunked.md',
      'request-upgrade.md',
    ].flatMap(readCorpus),
  ];
  const responses = readCorpus('response.md');
  const edits = fc.array(fc.tuple(fc.nat(400), fc.constantFrom(...' \r\n\t:;,\0/0aZ\x7f\x80\xff', ''), fc.boolean()), {
    minLength: 1,
    maxLength: 4,
  });
  const mutate = (input: Buffer, changes: readonly (readonly [number, string, boolean])[]): Buffer => {
    let text = input.toString('latin1');
    for (const [where, char, insert] of changes) {
      const at = where % (text.length + 1);
      text = text.slice(0, at) + char + text.slice(insert ? at : at + 1);
    }
    return Buffer.from(text, 'latin1');
  };
  const known = /^error (400|426|431|501) [a-z0-9_.]+$/m;
  fc.assert(
    fc.property(fc.nat(corpus.length - 1), edits, fc.integer({ min: 1, max: 9 }), (index, changes, size) => {
      const { options, input } = corpus[index] as (typeof corpus)[number];
      const bytes = mutate(input, changes);
      const once = requestLog(options, [bytes], true);
      const pieces = requestLog(options, cut(bytes, [size]), true);
      if (once.includes('error') && !known.test(once)) throw new Error(once);
      if (once !== pieces && !(once.includes('error') && pieces.includes('error')))
        throw new Error(`whole:\n${once}\nin pieces:\n${pieces}`);
    }),
    check(2_000),
  );
  fc.assert(
    fc.property(fc.nat(responses.length - 1), edits, fc.integer({ min: 1, max: 9 }), (index, changes, size) => {
      const test = responses[index] as (typeof responses)[number];
      const bytes = mutate(test.input, changes);
      const once = responseLog(test, [bytes]);
      const pieces = responseLog(test, cut(bytes, [size]));
      if (once !== pieces && !(once.includes('error') && pieces.includes('error')))
        throw new Error(`whole:\n${once}\nin pieces:\n${pieces}`);
    }),
    check(1_000),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      requestLog(H1_OPTIONS, [Buffer.from(bytes)], true);
    }),
    check(500),
  );
  t.pass('held for every run');
  t.end();
});
