// Whatever the bytes, a session ends in calls or an `H2Error`, never in an exception; and two sessions that talk to each
// other lose nothing, whatever their windows, limits, reads, holds and resets.
import t from 'tap';
import { HeaderMap } from '../../proxy/codec/headers.ts';
import { H2_CANCEL, H2_NO_ERROR, type H2Options, type H2Stream } from '../../proxy/codec/http2.ts';
import { Http2Session } from '../../proxy/codec/http2-session.ts';
import { setStrict } from '../../proxy/util/error.ts';
import { Dice } from '../fixtures/dice.ts';
import { H2_OPTIONS, sinkOf } from '../fixtures/h2.ts';
import { field, frame, opening, readH2Corpus } from '../fixtures/h2-corpus.ts';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
t.comment(`seed ${SEED} (SEED=${SEED} runs it again)`);
setStrict(true);

const rolls = new Dice(SEED);
const dice = (below: number): number => rolls.below(below);
const chance = (oneIn: number): boolean => dice(oneIn) === 0;

function pieces(bytes: Buffer): Buffer[] {
  const cut: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = chance(3) ? 1 + dice(12) : 1 + dice(bytes.length);
    // A copy: what is told must not be kept.
    cut.push(Buffer.from(bytes.subarray(at, at + size)));
    at += size;
  }
  return cut;
}

const CORPUS = ['http2-request.md', 'http2-response.md', 'http2-frames.md']
  .flatMap(readH2Corpus)
  .map((test) => test.input.subarray(opening(test.isClient).length))
  .filter((input) => input.length < 2_000);

function randomFrame(): Buffer {
  const payload = Buffer.from(Array.from({ length: dice(40) }, () => dice(256)));
  const block = Buffer.concat([
    ...[':method', ':scheme', ':path', ':authority', ':status'].filter(() => !chance(3)).map((n) => field(n, '200')),
    ...(chance(2) ? [payload] : [field('a', 'b')]),
  ]);
  const type = dice(11);
  return frame(type, dice(64), dice(8), type === 1 || type === 9 ? block : payload);
}

function garbage(isClient: boolean): Buffer {
  const frames: Buffer[] = [opening(isClient)];
  for (let i = dice(6); i >= 0; i--) frames.push(chance(4) ? randomFrame() : (CORPUS[dice(CORPUS.length)] as Buffer));
  const bytes = Buffer.concat(frames);
  const start = opening(isClient).length;
  for (let i = dice(2) * dice(4); i > 0 && bytes.length > start; i--)
    bytes[start + dice(bytes.length - start)] = dice(256);
  return bytes;
}

const OPTIONS: Partial<H2Options>[] = [
  {},
  { streamErrorOnInvalidMessage: true, allowConnect: true },
  { maxConcurrentStreams: 2, headersMax: 8, headerListBytesMax: 300, underscores: 'reject_request' },
  { headerTableBytes: 64, streamErrorOnInvalidMessage: true, maxOutboundControlFrames: 5, underscores: 'drop_header' },
];

t.test('garbage', (t) => {
  let errors = 0;
  for (let run = 0; run < 3_000; run++) {
    const isClient = chance(2);
    const open = new Set<H2Stream>();
    const told = new Map<H2Stream, string>();
    const note = (stream: H2Stream, what: string): void => {
      if (told.get(stream) === 'over') throw new Error(`${what} of stream ${stream.id} after its last call`);
      told.set(stream, what);
      if (what === 'over') open.delete(stream);
      else open.add(stream);
      act();
    };
    const act = (): void => {
      const [stream] = [...open].slice(-1 - dice(3));
      if (stream === undefined || chance(2)) return;
      const choice = dice(7);
      if (choice === 0) session.reset(stream, chance(2) ? H2_NO_ERROR : H2_CANCEL);
      else if (choice === 1 && !isClient) session.respond(stream, 200, new HeaderMap(), chance(2));
      else if (choice === 2) session.sendData(stream, Buffer.alloc(dice(100_000)), chance(2));
      else if (choice === 3) session.sendTrailers(stream, new HeaderMap());
      else if (choice === 4) session.setCongested(chance(2));
      else if (choice === 5) session.takeOutput();
      else if (chance(40)) session.goaway(0);
    };
    const session: Http2Session = new Http2Session(
      isClient,
      { ...H2_OPTIONS, ...OPTIONS[dice(OPTIONS.length)] },
      sinkOf({
        onRequest: (stream) => note(stream, 'request'),
        onInformational: (stream) => note(stream, '1xx'),
        onResponse: (stream) => note(stream, 'response'),
        onData: (stream) => note(stream, 'data'),
        onTrailers: (stream) => note(stream, 'trailers'),
        onReset: (stream) => note(stream, 'reset'),
        onWritable: (stream) => note(stream, 'writable'),
        onStreamOver: (stream) => note(stream, 'over'),
      }),
    );
    try {
      session.start();
      if (isClient)
        for (let i = dice(5); i > 0; i--)
          session.request('GET', 'http', 'h', '/', '', new HeaderMap(), chance(2), null);
      for (const piece of pieces(garbage(isClient))) {
        session.feed(piece);
        piece.fill(0);
      }
      if (session.error !== null) errors++;
      session.takeOutput();
      session.close();
      if (session.activeStreams !== 0) throw new Error('streams outlive their connection');
      for (const stream of told.keys()) if (told.get(stream) !== 'over') throw new Error('a stream was never over');
    } catch (error) {
      t.fail(`run ${run}: ${(error as Error).stack}`);
      break;
    }
  }
  t.ok(errors > 500 && errors < 3_000, `errors in ${errors} of 3000 runs`);
  t.end();
});

/** What one end has sent and received of a stream. */
interface Talk {
  sent: string;
  received: string;
  toSend: number;
  ended: boolean;
  reset: boolean;
  held: boolean;
}

/** Both ends of one connection, and the bytes between them. */
class Pair {
  readonly ends: readonly [Http2Session, Http2Session];
  readonly talks: [Map<number, Talk>, Map<number, Talk>] = [new Map(), new Map()];
  /** Those that the server has met. */
  readonly served: H2Stream[] = [];
  over = 0;
  private readonly resets: boolean;

  constructor(resets: boolean) {
    this.resets = resets;
    this.ends = [this.end(0), this.end(1)];
    this.ends[0].start();
    this.ends[1].start();
  }

  private end(side: 0 | 1): Http2Session {
    const talks = this.talks[side];
    const talkOf = (stream: H2Stream): Talk => {
      let talk = talks.get(stream.id);
      if (talk === undefined) {
        talk = { sent: '', received: '', toSend: dice(4) * dice(9_000), ended: false, reset: false, held: false };
        talks.set(stream.id, talk);
      }
      return talk;
    };
    const receive = (stream: H2Stream, text: string): void => {
      const talk = talkOf(stream);
      talk.received += text;
      if (this.resets && chance(60)) {
        talk.reset = true;
        session.reset(stream, H2_CANCEL);
      } else if (!talk.held && chance(5)) {
        talk.held = true;
        session.hold(stream);
      }
    };
    const options: H2Options = {
      ...H2_OPTIONS,
      initialStreamWindowBytes: 500 + dice(3) * dice(40_000),
      initialConnectionWindowBytes: 65_535 + dice(2) * dice(100_000),
      headerTableBytes: dice(2) * 4_096,
      streamSendBufferBytes: 1 + dice(20_000),
      // Small windows need many updates.
      maxInboundWindowUpdatesPerDataFrameSent: 1_000_000,
      maxConcurrentStreams: 4,
    };
    const session: Http2Session = new Http2Session(
      side === 0,
      options,
      sinkOf({
        onRequest: (stream, head, end) => {
          this.served.push(stream);
          receive(stream, `${head.path}${end ? '.' : ''}`);
          if (stream.over) return;
          session.respond(stream, 200, this.headers(), false);
          talkOf(stream).sent = '200';
        },
        onResponse: (stream, status, _headers, end) => receive(stream, `${status}${end ? '.' : ''}`),
        onData: (stream, chunk, end) => receive(stream, `${chunk.toString('latin1')}${end ? '.' : ''}`),
        onTrailers: (stream, trailers) => receive(stream, `trailers ${trailers.get('t')}`),
        onReset: (stream) => {
          talkOf(stream).reset = true;
        },
        onStreamOver: () => this.over++,
      }),
    );
    return session;
  }

  headers(): HeaderMap {
    const headers = new HeaderMap();
    for (let i = dice(4); i > 0; i--) headers.add(`h${dice(20)}`, 'v'.repeat(chance(20) ? dice(9_000) : dice(40)));
    return headers;
  }

  /** Moves bytes from one end to the other. */
  carry(from: 0 | 1): void {
    const output = this.ends[from].takeOutput();
    if (output === null) return;
    for (const piece of pieces(output)) {
      const error = this.ends[1 - from]?.feed(piece) ?? null;
      if (error !== null) throw new Error(`${from === 0 ? 'server' : 'client'}: ${error.message}`);
      piece.fill(0);
    }
    const { error } = this.ends[from];
    if (error !== null) throw new Error(error.message);
  }

  /** One stream says something more. */
  speak(side: 0 | 1, stream: H2Stream, talk: Talk): void {
    const session = this.ends[side];
    if (talk.held && chance(3)) {
      talk.held = false;
      session.release(stream);
    }
    if (stream.over || talk.ended) return;
    if (this.resets && chance(80)) {
      talk.reset = true;
      session.reset(stream, H2_CANCEL);
      return;
    }
    const size = Math.min(talk.toSend, chance(4) ? 0 : 1 + dice(30_000));
    const text = String.fromCharCode(97 + dice(26)).repeat(size);
    talk.toSend -= size;
    talk.ended = talk.toSend === 0;
    if (talk.ended && chance(2)) {
      if (size > 0) session.sendData(stream, Buffer.from(text), false);
      const trailers = new HeaderMap();
      trailers.add('t', 'x');
      session.sendTrailers(stream, trailers);
      talk.sent += `${text}trailers x`;
    } else if (size > 0 || talk.ended) {
      session.sendData(stream, Buffer.from(text), talk.ended);
      talk.sent += `${text}${talk.ended ? '.' : ''}`;
    }
  }
}

for (const resets of [false, true])
  t.test(`a session against a session${resets ? ', with resets' : ''}`, (t) => {
    let streams = 0;
    for (let run = 0; run < 60; run++) {
      try {
        streams += talk(new Pair(resets), 5 + dice(10), 3_000);
      } catch (error) {
        t.fail(`run ${run}: ${(error as Error).stack}`);
        break;
      }
    }
    t.ok(streams > 300, `${streams} streams`);
    t.end();
  });

t.test('many streams on one connection leak no window', (t) => {
  t.equal(talk(new Pair(true), 400, 30_000), 400);
  t.end();
});

/** @returns how many streams there were */
function talk(pair: Pair, requests: number, turns: number): number {
  const [client, server] = pair.ends;
  const opened: H2Stream[] = [];
  // Before the server's limit of streams is known, it refuses some.
  pair.carry(1);
  pair.carry(0);
  for (let turn = 0; turn < turns; turn++) {
    if (opened.length < requests && chance(3)) {
      const stream = client.request('POST', 'http', 'h', `/${opened.length}`, '', pair.headers(), false, null);
      if (stream !== null) {
        opened.push(stream);
        const toSend = dice(4) * dice(20_000);
        const sent = `/${opened.length - 1}`;
        pair.talks[0].set(stream.id, { sent, received: '', toSend, ended: false, reset: false, held: false });
      }
    }
    for (const stream of opened) {
      const talk = pair.talks[0].get(stream.id) as Talk;
      if (chance(2)) pair.speak(0, stream, talk);
    }
    for (const stream of pair.served) {
      const talk = pair.talks[1].get(stream.id);
      if (talk !== undefined && chance(2)) pair.speak(1, stream, talk);
    }
    if (chance(10)) client.setCongested(chance(2));
    if (chance(10)) server.setCongested(chance(2));
    pair.carry(0);
    pair.carry(1);
    if (pair.over === 2 * requests) break;
  }
  if (client.activeStreams + server.activeStreams > 0)
    throw new Error(`${client.activeStreams} and ${server.activeStreams} streams never ended`);
  if (pair.over !== 2 * opened.length) throw new Error(`${pair.over} ends of ${opened.length} streams`);
  for (const { id } of opened) {
    const [up, down] = [pair.talks[0].get(id) as Talk, pair.talks[1].get(id) as Talk];
    if (up.reset || down.reset) continue;
    if (down.received !== up.sent) throw new Error(`stream ${id}: the request arrived otherwise`);
    if (up.received !== down.sent) throw new Error(`stream ${id}: the response arrived otherwise`);
  }
  return opened.length;
}
