// The session's own behaviour: every state of a stream against every frame, flow control, holds, ends and limits.
import t from 'tap';
import { HeaderMap } from '../../proxy/codec/headers.ts';
import {
  H2_CANCEL,
  H2_NO_ERROR,
  H2_REFUSED_STREAM,
  type H2Options,
  type H2Sink,
  type H2Stream,
} from '../../proxy/codec/http2.ts';
import { Http2Session } from '../../proxy/codec/http2-session.ts';
import { beginPassing, endPassing, isPassing } from '../../proxy/util/passing-bytes.ts';
import { H2_OPTIONS, sinkOf } from '../fixtures/h2.ts';
import { frame, opening, readFrames, sentLog } from '../fixtures/h2-corpus.ts';

const POST = 'headers 1\n  :method: POST\n  :scheme: http\n  :authority: h\n  :path: /';
const GET = POST.replace('headers 1', 'headers 1 end').replace('POST', 'GET');
const OK = 'headers 1\n  :status: 200';

/** A session that has read its peer's SETTINGS, and whose own are out of the way. */
function begin(isClient: boolean, calls: Partial<H2Sink> = {}, options: Partial<H2Options> = {}): Http2Session {
  const session = new Http2Session(isClient, { ...H2_OPTIONS, ...options }, sinkOf(calls));
  session.start();
  session.feed(opening(isClient));
  session.takeOutput();
  return session;
}

function headers(entries: Readonly<Record<string, string>> = {}): HeaderMap {
  const map = new HeaderMap();
  for (const [name, value] of Object.entries(entries)) map.add(name, value);
  return map;
}

function post(session: Http2Session, endStream = false): H2Stream {
  return session.request('POST', 'http', 'h', '/', '', headers(), endStream, null) as H2Stream;
}

/** Types, flags, ids and payload lengths of frames. */
function shapes(output: Buffer): string {
  const seen: string[] = [];
  for (let at = 0; at < output.length; ) {
    const length = output.readUIntBE(at, 3);
    seen.push(`${output[at + 3]}/${output[at + 4]}/${output.readUInt32BE(at + 5)}/${length}`);
    at += 9 + length;
  }
  return seen.join(' ');
}

/** Of what a session sends. */
function frames(session: Http2Session): string {
  return shapes(session.takeOutput() ?? Buffer.alloc(0));
}

t.test('states of a stream and frames for it', (t) => {
  // What a session does: `-` ignores it or takes it in silence, a word is the call it makes, `RST n` resets the stream,
  // `GOAWAY n` and `close` end the connection with and without a word to the peer.
  const names = [
    'DATA',
    'DATA end',
    'HEADERS',
    'HEADERS end',
    'PRIORITY',
    'RST_STREAM',
    'WINDOW_UPDATE',
    'PUSH_PROMISE',
  ];
  const inputs = ['data 1 "x"', 'data 1 end "x"', 'headers 1\n  a: b', 'headers 1 end\n  a: b']
    .concat('priority 1 3', 'rst 1 8', 'window 1 1', 'push 1 2\n  a: b')
    .map(readFrames);
  const closed = ['-', '-', '-', '-', '-', '-', '-', 'close'];
  const server: [state: string, frames: string, want: string[]][] = [
    ['idle', '', ['GOAWAY 1', 'GOAWAY 1', 'close', 'close', '-', 'close', 'close', 'close']],
    ['open', POST, ['data', 'data', 'close', 'trailers', '-', 'reset over', '-', 'close']],
    [
      'half-closed (local)',
      POST.replace('/', '/answer'),
      ['data', 'data over', 'close', 'trailers over', '-', 'reset over', '-', 'close'],
    ],
    ['half-closed (remote)', GET, ['GOAWAY 5', 'GOAWAY 5', 'close', 'close', '-', 'reset over', '-', 'close']],
    ['closed by both ends', GET.replace('/', '/answer'), closed],
    ['closed by the peer', `${POST}\nrst 1 8`, closed],
    ['closed by us', POST.replace('/', '/reset'), closed],
  ];
  const calls: string[] = [];
  let over = 0;
  const sink: Partial<H2Sink> = {
    onData: () => calls.push('data'),
    onTrailers: () => calls.push('trailers'),
    onReset: (_stream, { by }) => {
      if (by !== 'connection') calls.push('reset');
    },
    onStreamOver: () => over++,
  };
  for (const [name, prepare, want] of server)
    for (let i = 0; i < inputs.length; i++) {
      const session: Http2Session = begin(false, {
        ...sink,
        onRequest(stream, head) {
          if (head.path === '/answer') session.respond(stream, 200, headers(), true);
          else if (head.path === '/reset') session.reset(stream, H2_CANCEL);
        },
      });
      session.feed(readFrames(prepare));
      session.takeOutput();
      calls.length = 0;
      over = 0;
      const error = session.feed(inputs[i] as Buffer);
      const sent = sentLog(Buffer.concat([frame(4, 0, 0), frame(4, 0, 0), session.takeOutput() ?? Buffer.alloc(0)]));
      const did = [...calls, ...(over > 0 ? ['over'] : [])];
      if (error !== null) did.push(sent.length === 0 ? 'close' : `GOAWAY ${error.code}`);
      t.equal(did.join(' ') || '-', want[i], `server, ${name}: ${names[i]}`);
    }
  t.end();
});

t.test("states of a client's stream", (t) => {
  const inputs: [string, string, string][] = [
    ['waiting', OK, 'response'],
    ['waiting', OK.replace('1', '1 end'), 'response over'],
    ['waiting', 'rst 1 8', 'reset over'],
    ['waiting', 'data 1 "x"', 'GOAWAY 1'],
    ['answered', 'data 1 "x"', 'data'],
    ['answered', 'data 1 end "x"', 'data over'],
    ['answered', 'headers 1 end\n  a: b', 'trailers over'],
    ['answered', 'rst 1 8', 'reset over'],
    ['over', OK, '-'],
    ['over', 'data 1 "x"', '-'],
    ['over', 'rst 1 8', '-'],
    ['over', 'window 1 1', '-'],
    ['over', 'headers 3\n  :status: 200', 'close'],
    ['over', 'data 3 "x"', 'GOAWAY 1'],
    ['over', 'window 3 1', 'close'],
    ['over', 'rst 3 1', 'close'],
  ];
  for (const [state, input, want] of inputs) {
    const calls: string[] = [];
    const session = begin(true, {
      onResponse: () => calls.push('response'),
      onData: () => calls.push('data'),
      onTrailers: () => calls.push('trailers'),
      onReset: (_stream, { by }) => calls.push(by === 'connection' ? '' : 'reset'),
      onStreamOver: () => calls.push('over'),
    });
    post(session, true);
    if (state !== 'waiting') session.feed(readFrames(state === 'over' ? OK.replace('1', '1 end') : OK));
    frames(session);
    calls.length = 0;
    const error = session.feed(readFrames(input));
    if (error !== null) calls.push(frames(session) === '' ? 'close' : `GOAWAY ${error.code}`);
    t.equal(calls.join(' ') || '-', want, `${state}: ${input.split('\n')[0]}`);
  }
  t.end();
});

t.test('windows of what is sent', (t) => {
  const writable: number[] = [];
  const session = begin(true, { onWritable: (stream) => writable.push(stream.id) }, { streamSendBufferBytes: 1_000 });
  session.feed(readFrames('settings 4=10'));
  const stream = post(session);
  frames(session);
  t.equal(session.sendData(stream, Buffer.alloc(15), false), true, 'five bytes wait, which is not much');
  t.equal(frames(session), '0/0/1/10');
  t.equal(session.sendData(stream, Buffer.alloc(2_000), true), false, 'more than a stream may keep');
  session.feed(readFrames('window 1 1500'));
  t.equal(frames(session), '0/0/1/5 0/0/1/1495', 'what waits leaves in turn');
  t.same(writable, [], 'nobody is told who has said all');
  session.feed(readFrames('settings 4=2'));
  session.feed(readFrames('window 1 400'));
  t.equal(frames(session), '4/1/0/0 0/0/1/392', 'a smaller initial window takes from the open ones');
  session.feed(readFrames('window 1 10000'));
  t.equal(frames(session), '0/1/1/113');
  t.ok(stream.localEnded);
  const other = post(session);
  session.feed(readFrames('window 3 100000'));
  frames(session);
  t.equal(session.sendData(other, Buffer.alloc(100_000), false), false, 'the window of the connection is at its end');
  t.equal(frames(session).replaceAll('0/0/3/16384 ', '').slice(0, 6), '0/0/3/', 'in frames that the peer takes');
  session.feed(readFrames('window 0 100000'));
  t.same(writable, [3]);
  session.takeOutput();
  session.sendTrailers(other, headers({ t: '1' }));
  t.match(frames(session), /^1\/5\/3\//, 'trailers need no window');
  t.end();
});

t.test('a congested transport', (t) => {
  const writable: number[] = [];
  const session = begin(true, { onWritable: (stream) => writable.push(stream.id) });
  const streams = [post(session), post(session)] as const;
  frames(session);
  session.setCongested(true);
  t.equal(session.sendData(streams[0], Buffer.alloc(20_000), false), false);
  t.equal(session.sendData(streams[1], Buffer.alloc(3), false), false);
  t.equal(frames(session), '', 'bodies stay with their streams');
  session.feed(readFrames('ping "12345678"'));
  t.equal(frames(session), '6/1/0/8', 'answers do not');
  session.setCongested(false);
  t.equal(frames(session), '0/0/1/16384 0/0/3/3 0/0/1/3616', 'a frame of each stream in turn');
  t.same(writable, [1, 3]);
  t.end();
});

t.test('holds', (t) => {
  const got: string[] = [];
  let stream: H2Stream | null = null;
  const held: Http2Session = begin(false, {
    onRequest(opened) {
      stream = opened;
      held.hold(opened);
      held.respond(opened, 200, headers(), true);
    },
    onData(opened, chunk, end) {
      got.push(`${chunk}${end ? '.' : ''}`);
      if (String(chunk).startsWith('b')) held.hold(opened);
    },
    onTrailers: (_stream, trailers) => got.push(`trailers ${trailers.get('t')}`),
    onStreamOver: () => got.push('over'),
  });
  held.feed(readFrames(`${POST}\ndata 1 "a"\ndata 1 "b"\ndata 1 "c"\nheaders 1 end\n  t: 1`));
  t.same(got, [], 'nothing is told');
  t.equal(held.activeStreams, 0, 'though the stream has ended for its peer');
  held.release(stream as unknown as H2Stream);
  t.same(got, ['a', 'bc'], 'until another hold; small pieces in one');
  held.release(stream as unknown as H2Stream);
  t.same(got, ['a', 'bc', 'trailers 1', 'over']);
  got.length = 0;
  const small = { initialStreamWindowBytes: 65_535, initialConnectionWindowBytes: 65_535 };
  const narrow: Http2Session = begin(
    false,
    {
      onRequest(opened) {
        stream = opened;
        narrow.hold(opened);
      },
    },
    small,
  );
  narrow.feed(readFrames(`${POST}\nrepeat 4\ndata 1 "«x*16000»"`));
  t.equal(frames(narrow), '', 'who holds gives no window');
  narrow.release(stream as unknown as H2Stream);
  t.equal(frames(narrow), '8/0/0/4 8/0/1/4', 'who lets go does');
  t.end();
});

t.test('kept pieces that were told pass, or are never written to again', (t) => {
  // A socket may still read those that do not say that they pass.
  const PIECE_BYTES = 16_384;
  const got: Buffer[] = [];
  let passed = 0;
  let stream: H2Stream | null = null;
  const session: Http2Session = begin(false, {
    onRequest(opened) {
      stream = opened;
    },
    onData: (_stream, chunk) => {
      if (isPassing(chunk)) passed++;
      got.push(isPassing(chunk) ? Buffer.from(chunk) : chunk);
    },
  });
  session.feed(readFrames(POST));
  for (let i = 0; i < 8; i++) {
    session.hold(stream as unknown as H2Stream);
    session.feed(frame(0, 0, 1, Buffer.alloc(PIECE_BYTES, 2 * i)));
    session.feed(frame(0, 0, 1, Buffer.alloc(PIECE_BYTES, 2 * i + 1)));
    // Within somebody else's call nothing passes.
    const inner = i >= 4;
    if (inner) beginPassing(Buffer.alloc(1));
    session.release(stream as unknown as H2Stream);
    if (inner) endPassing();
    session.takeOutput();
  }
  t.equal(passed, 8);
  t.same(
    got.map((piece) => piece.length),
    Array(16).fill(PIECE_BYTES),
  );
  t.same(
    got.map((piece, i) => piece.equals(Buffer.alloc(PIECE_BYTES, i))),
    Array(16).fill(true),
  );
  t.end();
});

t.test('a reset behind the end of an answer that is held', (t) => {
  const answer = `${OK}\ndata 1 "a"\ndata 1 end "b"\nrst 1 `;
  const start = (): { client: Http2Session; stream: H2Stream; told: string[] } => {
    const told: string[] = [];
    const client = begin(
      true,
      {
        onResponse: (stream) => client.hold(stream),
        onData: (_stream, chunk, end) => told.push(`${chunk}${end ? '.' : ''}`),
        onReset: (_stream, { code, by }) => told.push(`reset ${code} by ${by}`),
        onWritable: () => told.push('writable'),
        onStreamOver: () => told.push('over'),
      },
      { streamSendBufferBytes: 1_000 },
    );
    return { client, stream: post(client), told };
  };
  for (const code of [H2_NO_ERROR, H2_CANCEL]) {
    const { client, stream, told } = start();
    client.sendData(stream, Buffer.alloc(1), true);
    client.feed(readFrames(answer + code));
    t.same(told, [], `${code}: the peer had forgotten the stream`);
    t.equal(client.counts.rxReset, 0);
    frames(client);
    client.release(stream);
    t.same(told, ['a', 'b.', 'over']);
    t.equal(frames(client), '');
  }
  const early = start();
  t.equal(early.client.sendData(early.stream, Buffer.alloc(70_000), false), false);
  frames(early.client);
  early.client.feed(readFrames(answer + H2_NO_ERROR));
  t.same(early.told, ['writable'], 'the server needs no more of the request, whose rest goes nowhere');
  t.equal(early.client.activeStreams, 0);
  t.equal(early.client.sendData(early.stream, Buffer.alloc(70_000), false), true);
  early.client.feed(readFrames('window 0 100000'));
  t.equal(frames(early.client), '');
  early.client.release(early.stream);
  t.same(early.told, ['writable', 'a', 'b.', 'over']);
  const failed = start();
  failed.client.feed(readFrames(answer + H2_CANCEL));
  t.same(failed.told, [`reset ${H2_CANCEL} by peer`, 'over'], 'with an error an unfinished request fails');
  const dropped = start();
  dropped.client.sendData(dropped.stream, Buffer.alloc(1), true);
  dropped.client.feed(readFrames(answer + H2_CANCEL));
  frames(dropped.client);
  dropped.client.reset(dropped.stream, H2_CANCEL);
  t.equal(frames(dropped.client), '', 'nobody is told of the end of what has ended');
  t.end();
});

t.test('a reset without error behind an answer', (t) => {
  const session: Http2Session = begin(false, {
    onRequest(stream) {
      session.respond(stream, 200, headers(), false);
      session.sendData(stream, Buffer.alloc(20), true);
      session.reset(stream, H2_NO_ERROR);
    },
  });
  session.feed(readFrames(`settings 4=10\n${POST}`));
  t.equal(frames(session), '4/1/0/0 1/4/1/1 0/0/1/10', 'waits for the answer');
  session.feed(readFrames('window 1 100'));
  t.equal(frames(session), '0/1/1/10 3/0/1/4');
  t.equal(session.activeStreams, 0);
  t.end();
});

t.test('long heads', (t) => {
  const session = begin(true);
  const long = headers();
  for (let i = 0; i < 5; i++) long.add('x', 'y'.repeat(10_000));
  session.request('GET', 'http', 'h', '/', '', long, true, null);
  const output = session.takeOutput() as Buffer;
  let values = 0;
  const server = begin(false, {
    onRequest(_stream, head, end) {
      t.ok(end);
      values = head.headers.values.filter((value) => value.length === 10_000).length;
    },
  });
  server.feed(output);
  t.equal(values, 5, 'go in CONTINUATION frames');
  t.match(shapes(output), /^1\/1\/1\/16384 9\/0\/1\/16384 9\/0\/1\/16384 9\/4\/1\/\d+$/);
  t.end();
});

t.test('ends of connections', (t) => {
  const told: string[] = [];
  const session: Http2Session = begin(false, {
    onRequest: (stream) => told.push(`request ${stream.id}`),
    onReset: (stream, { by, details }) => told.push(`reset ${stream.id} by ${by} ${details}`),
    onStreamOver: (stream) => told.push(`over ${stream.id}`),
  });
  session.feed(readFrames(POST));
  session.announceGoaway();
  session.feed(readFrames(POST.replace('1', '3')));
  session.goaway(H2_NO_ERROR);
  t.same(sentLog(Buffer.concat([frame(4, 0, 0), frame(4, 0, 0), session.takeOutput() as Buffer])), [
    '> GOAWAY 2147483647 0 ""',
    '> GOAWAY 3 0 ""',
  ]);
  t.equal(
    session.feed(readFrames(`${POST.replace('1', '5')}\ndata 5 "x"\nrst 5 8`)),
    null,
    'later streams are ignored',
  );
  session.close();
  session.close();
  t.same(told, ['request 1', 'request 3', 'reset 3 by connection ', 'over 3', 'reset 1 by connection ', 'over 1']);
  const client = begin(true);
  client.feed(readFrames('settings 3=1 8=1'));
  t.equal(client.maxStreams, 1);
  t.ok(client.peerAllowsConnect);
  const only = post(client);
  t.equal(client.request('GET', 'http', 'h', '/', '', headers(), true, null), null, 'the peer allows one stream');
  client.reset(only, H2_REFUSED_STREAM);
  t.not(client.request('GET', 'http', 'h', '/', '', headers(), true, null), null, 'and then another');
  client.feed(readFrames('goaway 3 0'));
  t.ok(client.goingAway);
  t.equal(client.request('GET', 'http', 'h', '/', '', headers(), true, null), null, 'and none when it goes away');
  t.end();
});

t.test('more frames than the peer reads', (t) => {
  const told: string[] = [];
  const options = { maxOutboundFrames: 20, streamSendBufferBytes: 1 };
  const session: Http2Session = begin(
    false,
    {
      onReset: (stream, { details }) => told.push(`${stream.id} ${details}`),
      onRequest(stream) {
        if (stream.id === 1) return;
        session.respond(stream, 200, headers(), false);
        for (let i = 0; i < 100; i++) session.sendData(stream, Buffer.alloc(1), false);
      },
    },
    options,
  );
  session.feed(readFrames(`${POST}\n${POST.replace('1', '3')}`));
  t.equal(session.error?.message, 'Too many frames in the outbound queue.');
  t.equal(session.counts.outboundFlood, 1);
  session.close();
  t.same(told, ['3 http2.outbound_frames_flood', '1 '], 'the stream that sent one too many is told so');
  const patient = begin(false, {}, { maxOutboundControlFrames: 5 });
  for (let turn = 0; turn < 10; turn++) {
    patient.feed(readFrames('repeat 4\nping "12345678"'));
    patient.takeOutput();
  }
  t.equal(patient.error, null, 'what has left does not count');
  patient.setCongested(true);
  for (let turn = 0; turn < 2; turn++) {
    patient.feed(readFrames('repeat 4\nping "12345678"'));
    patient.takeOutput();
  }
  t.equal(patient.counts.outboundControlFlood, 1, 'what waits in the transport does');
  t.end();
});

t.test('settings beyond a number are refused, and windows change once a frame', (t) => {
  const pair = '\0\x04\0\x01\0\0';
  const settings = (count: number): Buffer => frame(4, 0, 0, Buffer.from(pair.repeat(count), 'latin1'));
  const session = begin(false);
  t.equal(session.feed(settings(32)), null);
  t.match(session.feed(settings(33)), { told: true, code: 11 });
  const told: number[] = [];
  const narrow = begin(false, { onReset: (_stream, { code }) => told.push(code) });
  narrow.feed(readFrames(POST));
  // A window that would be too large for a moment, were each of them applied.
  narrow.feed(frame(8, 0, 1, Buffer.from([0x7f, 0xff, 0, 0])));
  narrow.feed(frame(4, 0, 0, Buffer.from('\0\x04\x7f\xff\xff\xff\0\x04\0\0\xff\xff', 'latin1')));
  t.same([told, narrow.error], [[], null]);
  t.end();
});

t.test('small pieces that wait share buffers', (t) => {
  const COUNT = 20_000;
  let stream: H2Stream | null = null;
  const sizes: number[] = [];
  let ends = 0;
  const held: Http2Session = begin(false, {
    onRequest(opened) {
      stream = opened;
      held.hold(opened);
    },
    onData(_stream, chunk, end) {
      sizes.push(chunk.length);
      if (end) ends++;
      t.ok(chunk.every((byte) => byte === 120));
    },
  });
  held.feed(readFrames(POST));
  for (let i = 0; i < COUNT; i++) held.feed(frame(0, i === COUNT - 1 ? 1 : 0, 1, Buffer.from('x')));
  held.release(stream as unknown as H2Stream);
  t.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    COUNT,
  );
  t.equal(ends, 1);
  t.ok(sizes.length < 40, `${sizes.length} pieces`);
  const client = begin(true);
  const sent = post(client);
  client.sendData(sent, Buffer.alloc(65_535), false);
  client.takeOutput();
  for (let i = 0; i < COUNT; i++) client.sendData(sent, Buffer.from([i]), i === COUNT - 1);
  client.feed(frame(8, 0, 0, Buffer.from([0, 1, 0, 0])));
  client.feed(frame(8, 0, 1, Buffer.from([0, 1, 0, 0])));
  const output = client.takeOutput() as Buffer;
  const got: Buffer[] = [];
  for (let at = 0; at < output.length; at += 9 + output.readUIntBE(at, 3))
    got.push(output.subarray(at + 9, at + 9 + output.readUIntBE(at, 3)));
  t.ok(Buffer.concat(got).equals(Buffer.from(Array.from({ length: COUNT }, (_, i) => i))), 'in order');
  t.ok(got.length < 40, `${got.length} frames`);
  t.end();
});

t.test('streams that are reset while they wait for the connection are forgotten', (t) => {
  const server: Http2Session = begin(false, {
    onRequest(opened) {
      server.respond(opened, 200, headers(), false);
      server.sendData(opened, Buffer.alloc(40_000), true);
    },
  });
  for (let id = 1; id < 2_000; id += 2) {
    server.feed(readFrames(GET.replace('headers 1', `headers ${id}`)));
    server.feed(frame(3, 0, id, Buffer.from([0, 0, 0, 8])));
    server.takeOutput();
  }
  t.equal(server.activeStreams, 0);
  const waiting = Reflect.get(Reflect.get(server, 'sender') as object, 'waiting') as unknown[];
  t.ok(waiting.length <= 64, `${waiting.length} are kept`);
  t.end();
});

t.test('a field in a thousand fragments is not read a thousand times', (t) => {
  const VALUE = 'v'.repeat(60_000);
  let seen = '';
  const server: Http2Session = begin(false, {
    onRequest: (_stream, head) => {
      seen = head.headers.get('x') ?? '';
    },
  });
  const long = (text: string): Buffer => {
    const rest = text.length - 127;
    return Buffer.concat([Buffer.from([127, (rest & 127) | 128, (rest >> 7) | 128, rest >> 14]), Buffer.from(text)]);
  };
  const short = (text: string): Buffer => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
  const fields = [':method', 'GET', ':scheme', 'http', ':authority', 'h', ':path', '/'];
  const parts: Buffer[] = [];
  for (let i = 0; i < fields.length; i += 2)
    parts.push(Buffer.from([0]), short(fields[i] as string), short(fields[i + 1] as string));
  parts.push(Buffer.from([0]), short('x'), long(VALUE));
  const block = Buffer.concat(parts);
  server.feed(frame(1, 1, 1, block.subarray(0, 3)));
  let tries = 0;
  const blocks = Reflect.get(server, 'blocks') as { decoder: { decode(...given: unknown[]): number } };
  const decode = blocks.decoder.decode.bind(blocks.decoder);
  blocks.decoder.decode = (...given) => {
    tries++;
    return decode(...given);
  };
  for (let at = 3; at < block.length; at++)
    server.feed(frame(9, at === block.length - 1 ? 4 : 0, 1, block.subarray(at, at + 1)));
  t.equal(server.error, null);
  t.equal(seen.length, VALUE.length);
  t.ok(tries < 100, `${tries} tries`);
  t.end();
});
