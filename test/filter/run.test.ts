// The run of filters: order, pausing, holding, answering, body rewriting.

import t from 'tap';
import { CONTINUE, type FilterCall, type HttpFilter, PAUSE, REPLIED, type Verdict } from '../../proxy/filter/filter.ts';
import { FilterRun } from '../../proxy/filter/run.ts';
import { fakeStream, headersOf } from '../fixtures/filtered-stream.ts';

const text = (chunk: Uint8Array): string => Buffer.from(chunk).toString('latin1');
const bytes = (value: string): Uint8Array => Buffer.from(value, 'latin1');

function filter(call: FilterCall): HttpFilter {
  return { open: () => call };
}

t.test('requests pass in order, responses in reverse, the end comes once', async (t) => {
  const log: string[] = [];
  const tracing = (name: string): HttpFilter =>
    filter({
      onRequestHead: () => {
        log.push(`${name} request`);
        return CONTINUE;
      },
      onRequestData: (chunk) => bytes(`${text(chunk)}${name}`),
      onResponseHead: () => {
        log.push(`${name} response`);
        return CONTINUE;
      },
      onResponseData: (chunk) => bytes(`${text(chunk)}${name}`),
      onDone: () => log.push(`${name} done`),
    });
  const stream = fakeStream();
  const run = new FilterRun([tracing('a'), tracing('b')], stream);
  run.requestHead(headersOf({}), false);
  run.requestData(bytes('x'), false);
  run.requestTrailers(null);
  run.responseHead(200, headersOf({}), false);
  run.responseData(bytes('y'), true);
  run.finish();
  run.finish();
  t.same(log, ['a request', 'b request', 'b response', 'a response', 'a done', 'b done']);
  t.same(stream.log, ['route', 'data xab', 'data ab end', 'head 200', 'body yba end']);
});

t.test('filters that do not act are passed by', async (t) => {
  const stream = fakeStream();
  const run = new FilterRun([{ open: () => null }], stream);
  run.requestHead(headersOf({}), true);
  run.responseHead(204, headersOf({}), true);
  t.same(stream.log, ['route end', 'head 204 end']);
});

t.test('a filter sees what those before it have made of the request', async (t) => {
  const stream = fakeStream();
  const first = filter({
    onRequestHead: (headers) => {
      headers.set('content-type', 'changed');
      return PAUSE;
    },
  });
  let seen: string | null = null;
  const second: HttpFilter = {
    open: ({ stream: { requestHeaders } }) => {
      seen = requestHeaders?.get('content-type') ?? null;
      return null;
    },
  };
  const run = new FilterRun([first, second], stream);
  run.requestHead(stream.requestHeaders, true);
  t.equal(seen, null, 'not before its turn');
  run.resumeRequest(0);
  t.equal(seen, 'changed');
});

t.test('body behind a paused head is kept up to the limit, then its sender is held', async (t) => {
  const stream = fakeStream({ bufferLimitBytes: 3 });
  const seen: string[] = [];
  const before = filter({
    onRequestData: (chunk) => {
      seen.push(text(chunk));
      return chunk;
    },
  });
  const run = new FilterRun([before, filter({ onRequestHead: () => PAUSE }), filter({})], stream);
  run.requestHead(headersOf({}), false);
  run.requestData(bytes('abc'), false);
  t.same(stream.log, [], 'there is room');
  run.requestData(bytes('d'), false);
  t.same(stream.log, ['hold']);
  run.resumeRequest(2);
  t.same(stream.log, ['hold'], 'only the filter that paused may resume');
  run.resumeRequest(1);
  run.resumeRequest(1);
  t.same(stream.log, ['hold', 'route', 'data abcd', 'release']);
  run.requestData(bytes('e'), true);
  t.same(stream.log.slice(4), ['data e end']);
  t.same(seen, ['abc', 'd', 'e'], 'each piece once');
});

t.test('a sender that is held when the stream ends is let go', async (t) => {
  const stream = fakeStream({ bufferLimitBytes: 3 });
  const run = new FilterRun([filter({ onRequestHead: () => PAUSE })], stream);
  run.requestHead(headersOf({}), false);
  run.requestData(bytes('abcd'), false);
  t.same(stream.log, ['hold']);
  run.finish();
  run.finish();
  t.same(stream.log, ['hold', 'release']);
});

t.test('a request that is answered from outside goes no further', async (t) => {
  const stream = fakeStream();
  const run = new FilterRun([filter({ onRequestHead: () => PAUSE })], stream);
  run.requestHead(headersOf({}), false);
  run.responseHead(504, headersOf({}), false);
  run.endRequest();
  run.requestData(bytes('x'), true);
  run.resumeRequest(0);
  t.same(stream.log, ['head 504']);
});

t.test('what was kept meets the next pause', async (t) => {
  const stream = fakeStream();
  const pausing = (): HttpFilter => filter({ onRequestHead: () => PAUSE });
  const run = new FilterRun([pausing(), pausing()], stream);
  run.requestHead(headersOf({}), false);
  run.requestData(bytes('x'), false);
  run.requestTrailers(headersOf({ t: '1' }));
  run.resumeRequest(0);
  t.same(stream.log, []);
  run.resumeRequest(1);
  t.same(stream.log, ['route', 'data x', 'trailers']);
  const empty = fakeStream();
  const ended = new FilterRun([pausing()], empty);
  ended.requestHead(headersOf({}), false);
  ended.requestTrailers(null);
  ended.resumeRequest(0);
  t.same(empty.log, ['route', 'data end']);
});

t.test('the upstream waits while a filter or the peer has no room', async (t) => {
  const stream = fakeStream();
  const run = new FilterRun([filter({ onResponseData: () => null })], stream);
  run.requestHead(headersOf({}), true);
  t.equal(run.responseData(bytes('x'), false), true);
  run.holdResponse();
  t.equal(run.responseData(bytes('x'), false), false);
  t.equal(run.onWritable(), false, 'the filter has none');
  run.releaseResponse();
  t.equal(stream.log.at(-1), 'resume');
  stream.sendData = () => false;
  run.sendResponseData(0, bytes('x'), false);
  t.equal(run.responseData(bytes('x'), false), false, 'the peer has none');
  t.equal(run.onWritable(), true);
});

t.test('a paused head with a body hook keeps the body itself', async (t) => {
  const kept: string[] = [];
  const stream = fakeStream();
  const run = new FilterRun(
    [
      filter({
        onRequestHead: () => PAUSE,
        onRequestData: (chunk) => {
          kept.push(text(chunk));
          return null;
        },
      }),
    ],
    stream,
  );
  run.requestHead(headersOf({}), false);
  run.requestData(bytes('one'), false);
  run.requestData(bytes('two'), true);
  t.same(stream.log, []);
  run.resumeRequest(0);
  run.sendRequestData(0, bytes(kept.join('+')), true);
  t.same(stream.log, ['route', 'data one+two end']);
});

t.test('after an answer by a filter the request goes nowhere', async (t) => {
  const stream = fakeStream();
  const run = new FilterRun([filter({ onRequestHead: () => REPLIED })], stream);
  run.requestHead(headersOf({}), false);
  run.requestData(bytes('x'), true);
  run.requestTrailers(headersOf({}));
  t.same(stream.log, []);
});

t.test('a paused response is resumed with another status and other bytes', async (t) => {
  const stream = fakeStream();
  const run = new FilterRun(
    [filter({ onResponseHead: () => PAUSE, onResponseData: () => null, onResponseTrailers: () => PAUSE })],
    stream,
  );
  run.requestHead(headersOf({}), true);
  stream.log.length = 0;
  run.responseHead(200, headersOf({}), false);
  t.equal(run.responseData(bytes('x'), false), true);
  run.responseTrailers(headersOf({}));
  t.same(stream.log, []);
  run.setStatus(503);
  run.resumeResponse(0, false);
  run.sendResponseData(0, bytes('all'), true);
  t.same(stream.log, ['head 503', 'body all end']);
});

t.test('nothing is told after the end', async (t) => {
  const stream = fakeStream();
  const run = new FilterRun([filter({ onRequestHead: () => PAUSE, onResponseHead: () => PAUSE })], stream);
  run.requestHead(headersOf({}), true);
  run.responseHead(200, headersOf({}), false);
  run.finish();
  run.resumeRequest(0);
  run.resumeResponse(0, true);
  run.sendResponseData(0, bytes('x'), true);
  run.responseTrailers(headersOf({}));
  t.same(stream.log, []);
});

t.test('an answer passes filters that the request has not come to', async (t) => {
  const log: string[] = [];
  const stream = fakeStream();
  const first: HttpFilter = { open: (run, at) => new Pausing(() => run.resumeRequest(at)) };
  const late: HttpFilter = {
    open: () => t.fail('the request does not come here') as never,
    openResponse: () => ({
      onResponseHead: (status) => {
        log.push(`late ${status}`);
        return CONTINUE;
      },
      onRequestData: () => t.fail('nor does its body') as never,
      onDone: () => log.push('done'),
    }),
  };
  const without: HttpFilter = { open: () => t.fail('nor here') as never };
  const run = new FilterRun([first, late, without], stream);
  run.requestHead(headersOf({}), false);
  run.responseHead(408, headersOf({}), true);
  resume();
  run.requestData(bytes('x'), true);
  run.finish();
  t.same(log, ['late 408', 'done']);
  t.same(stream.log, ['head 408 end']);
});

let resume = (): void => {};

/** Pauses the request until `resume`. */
class Pausing implements FilterCall {
  constructor(go: () => void) {
    resume = go;
  }

  onRequestHead(): Verdict {
    return PAUSE;
  }
}
