// The HTTP/2 side of a scripted upstream: reads requests with a session and writes its answers frame by frame, so that
// they may be as wrong as a scenario wants them.

import type { Socket } from 'node:net';
import type { HeaderMap } from '../../proxy/codec/headers.ts';
import type { RequestHead } from '../../proxy/codec/http1.ts';
import type { H2Stream } from '../../proxy/codec/http2.ts';
import { sessionOn } from '../fixtures/h2.ts';
import { field, frame, uint32 } from '../fixtures/h2-corpus.ts';
import type { Waiter } from './client.ts';
import type { Http2Action, Http2Script, ObservedMessage } from './types.ts';

const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const GOAWAY = 7;
const END_STREAM = 1;
const END_HEADERS = 4;

/** What a connection needs of its upstream. */
export interface Http2Host {
  readonly waiter: Waiter;
  /** What its client said before the first request, as headers of each. */
  readonly handshake: readonly string[];
  /** A request's head is there; what follows of it is added to the record. */
  record(request: ObservedMessage): void;
  nextReply(): readonly Http2Action[];
}

interface Recorded {
  readonly line: string;
  readonly headers: readonly string[];
  body: string;
}

/** Plays one connection. */
export function playHttp2(socket: Socket, script: Http2Script, host: Http2Host): void {
  const records = new Map<number, Recorded>();
  const note = (stream: H2Stream, text: string): void => {
    const record = records.get(stream.id);
    if (record !== undefined) record.body += text;
    host.waiter.changed();
  };
  const options = { allowConnect: true, maxConcurrentStreams: 1_000, ...script.options };
  sessionOn(socket, false, options, {
    onRequest: (stream, head, end) => {
      const record = {
        line: `${head.method} ${head.path} HTTP/2`,
        headers: [...host.handshake, ...fieldsOf(head)],
        body: '',
      };
      records.set(stream.id, record);
      host.record(record);
      const isReady = (): boolean => script.early === true || stream.remoteEnded || stream.over || socket.destroyed;
      host.waiter.until(isReady, 3_000).then(() => reply(socket, stream, host.nextReply(), host.waiter));
      note(stream, end ? '' : '<body>');
      if (script.deaf === true) socket.pause();
    },
    onData: (stream, chunk, end) => note(stream, chunk.toString('latin1') + (end ? '<end>' : '')),
    onTrailers: (stream, trailers) => note(stream, `<trailers ${linesOf(trailers).join()}>`),
    onReset: (stream, { code, by }) => note(stream, by === 'peer' ? `<reset ${code}>` : ''),
  });
  socket.on('end', () => socket.end());
}

async function reply(socket: Socket, stream: H2Stream, actions: readonly Http2Action[], waiter: Waiter): Promise<void> {
  for (const action of actions) {
    if (socket.destroyed) return;
    if ('waitMs' in action) await waiter.pass(action.waitMs);
    else if ('waitFor' in action) await waiter.until(() => stream.remoteEnded || stream.over, 3_000);
    else if ('close' in action) {
      if (action.close === 'fin') socket.end();
      else if (action.close === 'reset') socket.resetAndDestroy();
      else socket.destroy();
    } else socket.write(frameOf(action, stream.id));
  }
}

function frameOf(
  action: Exclude<Http2Action, { waitMs: number } | { close: string } | { waitFor: string }>,
  id: number,
): Buffer {
  const flags = 'end' in action && action.end === true ? END_STREAM : 0;
  if ('head' in action) return frame(HEADERS, END_HEADERS | flags, id, headerBlock(action.head));
  if ('data' in action) return frame(DATA, flags, id, Buffer.from(action.data, 'latin1'));
  if ('reset' in action) return frame(RST_STREAM, 0, id, uint32(action.reset));
  if ('goaway' in action) return frame(GOAWAY, 0, 0, Buffer.concat([uint32(action.goaway), uint32(action.code ?? 0)]));
  return Buffer.from(action.raw, 'latin1');
}

function fieldsOf({ scheme, authority, headers }: RequestHead): string[] {
  return [`:authority: ${authority}`, ...(scheme === '' ? [] : [`:scheme: ${scheme}`]), ...linesOf(headers)].sort();
}

function linesOf(headers: HeaderMap): string[] {
  return headers.names.map((name, i) => `${name}: ${headers.values[i]}`);
}

/** Literals, nothing indexed. */
function headerBlock(lines: readonly string[]): Buffer {
  return Buffer.concat(
    lines.map((line) => {
      const colon = line.indexOf(':', 1);
      return field(line.slice(0, colon), line.slice(colon + 1).trimStart());
    }),
  );
}
