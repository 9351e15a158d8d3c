// Many requests at once against hosts that misbehave at random: whatever happens, every request hears exactly one end,
// and when all is over every gauge and every breaker is back at zero.

import t from 'tap';
import type { HeaderMap as Headers } from '../../proxy/codec/headers.ts';
import { HeaderMap } from '../../proxy/codec/headers.ts';
import { CLUSTER_CATALOGUE, HOST_CATALOGUE } from '../../proxy/observe/catalogue-cluster.ts';
import { HTTP2_CODEC } from '../../proxy/observe/catalogue-http2.ts';
import { setStrict } from '../../proxy/util/error.ts';
import { frame, uint32 } from '../fixtures/h2-corpus.ts';
import { Http2Host, type Seen } from '../fixtures/h2-host.ts';
import { clusterModel, eventually, PICK, Recorder, Rig, ScriptedHost, withLimits } from '../fixtures/upstream.ts';

setStrict(true);

const REQUESTS = 600;
const AT_ONCE = 25;

/** Small and good enough; the same seed gives the same run up to the timing of the sockets. */
function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Fails the run when a request is told anything after its end. */
class OnceRecorder extends Recorder {
  ends = 0;
  private over = false;

  override onPoolFailure(...told: Parameters<Recorder['onPoolFailure']>): void {
    this.close();
    super.onPoolFailure(...told);
  }
  override onHead(status: number, headers: Headers, endStream: boolean): void {
    this.check();
    if (endStream) this.close();
    super.onHead(status, headers, endStream);
  }
  override onData(chunk: Uint8Array, endStream: boolean): void {
    this.check();
    if (endStream) this.close();
    super.onData(chunk, endStream);
  }
  override onReset(...told: Parameters<Recorder['onReset']>): void {
    this.close();
    super.onReset(...told);
  }
  private check(): void {
    if (this.over) this.ends++;
  }
  private close(): void {
    this.over = true;
    this.ends++;
  }
}

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

/** Hosts of a run, and one that does not listen. */
interface Hosts {
  readonly ports: readonly number[];
  close(): Promise<void>;
}

const BODY = 'x'.repeat(3_000);

async function http1Hosts(random: () => number): Promise<Hosts> {
  const body = BODY;
  const script = (socket: import('node:net').Socket): void => {
    const choice = random();
    const response = `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    if (choice < 0.6) socket.write(response);
    else if (choice < 0.65) socket.end(response);
    else if (choice < 0.7)
      socket.write(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nbb8\r\n${body}\r\n0\r\n\r\n`);
    else if (choice < 0.74) socket.end(`HTTP/1.1 200 OK\r\n\r\n${body}`);
    else if (choice < 0.78) socket.write(`${response}JUNK`);
    else if (choice < 0.82) socket.resetAndDestroy();
    else if (choice < 0.86) socket.end(response.slice(0, Math.floor(random() * response.length)));
    else if (choice < 0.9) socket.write('nonsense\r\n\r\n');
    else if (choice < 0.95) setTimeout(() => socket.write(response), random() * 10);
    else socket.write('HTTP/1.1 503 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
  };
  const hosts = await Promise.all([1, 2].map(() => ScriptedHost.listen(script)));
  const gone = await ScriptedHost.listen(script);
  const ports = [...hosts.map((host) => host.port), gone.port];
  await gone.close();
  return { ports, close: async () => void (await Promise.all(hosts.map((host) => host.close()))) };
}

async function http2Hosts(random: () => number): Promise<Hosts> {
  const answer = ({ session, stream, socket }: Seen): void => {
    const choice = random();
    const respond = (bytes: number): void => {
      session.respond(stream, 200, new HeaderMap(), false);
      session.sendData(stream, Buffer.from(BODY.slice(0, bytes)), bytes === BODY.length);
    };
    if (choice < 0.55) respond(BODY.length);
    else if (choice < 0.65) setTimeout(() => respond(BODY.length), random() * 10);
    else if (choice < 0.72) session.reset(stream, Math.floor(random() * 14));
    else if (choice < 0.78) {
      respond(10);
      session.reset(stream, 8);
    } else if (choice < 0.82) {
      respond(BODY.length);
      session.goaway(0);
    } else if (choice < 0.86)
      socket.write(frame(7, 0, 0, Buffer.concat([uint32(Math.max(0, stream.id - 2)), uint32(0)])));
    else if (choice < 0.88) {
      // A socket that was reset after its end stays open for good, and the process with it (see net/transport.ts).
      if (socket.writableEnded) socket.destroy();
      else socket.resetAndDestroy();
    } else if (choice < 0.9) socket.end();
    else if (choice < 0.93) socket.write('nonsense, and enough of it');
    else if (choice < 0.96) socket.write(frame(4, 0, 0, Buffer.concat([Buffer.from([0, 3]), uint32(random() * 4)])));
    else session.respond(stream, 503, new HeaderMap(), true);
    if (choice > 0.93 && choice < 0.96) respond(BODY.length);
  };
  const hosts = await Promise.all([1, 2].map(() => new Http2Host({}, answer).listen()));
  const gone = await new Http2Host().listen();
  const ports = [...hosts.map((host) => host.port), gone.port];
  gone.close();
  return {
    ports,
    close: async () => {
      for (const host of hosts) host.close();
    },
  };
}

const KINDS = { http1: http1Hosts, http2: http2Hosts } as const;

for (const protocol of ['http1', 'http2'] as const)
  t.test(`random misbehaviour over ${protocol}, SEED=${seed}`, (t) => run(t, protocol));

async function run(
  t: Pick<typeof import('tap').default, 'strictSame' | 'ok' | 'equal' | 'comment'>,
  protocol: keyof typeof KINDS,
): Promise<void> {
  const random = dice(seed);
  const hosts = await KINDS[protocol](random);
  const model = clusterModel(hosts.ports, {
    protocol,
    maxRequestsPerConnection: 20,
    idleTimeoutMs: 30,
    maxConnectionDurationMs: 200,
  });
  const rig = new Rig(withLimits(model, { maxConnections: 12, maxPendingRequests: 14, maxRequests: 15 }));
  const recorders: OnceRecorder[] = [];
  const one = async (): Promise<void> => {
    const recorder = new OnceRecorder();
    recorders.push(recorder);
    const gaveUp = random();
    let settle: () => void = () => {};
    const abandoned = new Promise<void>((resolve) => {
      settle = resolve;
    });
    const abandon = (): void => {
      recorder.stream?.reset();
      recorder.ends++;
      settle();
    };
    recorder.onReadyDo = (stream) => {
      stream.sendHead('POST', 'http', 'h', '/x', new HeaderMap(), gaveUp >= 0.3);
      // An answer before the end of its request leaves the request to whoever sent it.
      if (gaveUp < 0.05) setTimeout(() => (recorder.ends === 0 ? abandon() : stream.reset()), 1);
      else if (gaveUp < 0.3) stream.sendData(Buffer.from('body'), true);
    };
    recorder.onHeadDo = () => {
      if (gaveUp > 0.95) setImmediate(() => recorder.ends === 0 && abandon());
      else if (gaveUp > 0.9) {
        recorder.stream?.hold();
        setTimeout(() => recorder.stream?.release(), 3);
      }
    };
    const pending = rig.cluster.startStream(PICK, recorder);
    if (pending !== null && recorder.stream === null && gaveUp > 0.85 && gaveUp < 0.9) {
      pending.cancel();
      recorder.ends++;
      return;
    }
    await Promise.race([recorder.ended, abandoned]);
  };
  let left = REQUESTS;
  const client = async (): Promise<void> => {
    while (left-- > 0) {
      await one();
      // Refused requests end at once: without a pause they would use up the run.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, client));
  const gauges = (): string[] => {
    const nonZero: string[] = [];
    for (const [key, block] of rig.stats.blocks)
      for (const catalogue of [CLUSTER_CATALOGUE, HOST_CATALOGUE, HTTP2_CODEC])
        if (key.startsWith(`${catalogue.key} `))
          catalogue.names.forEach((name, i) => {
            if (catalogue.kinds[i] === 'g' && !name.startsWith('membership') && block[i] !== 0)
              nonZero.push(`${key}${name} ${block[i]}`);
          });
    return nonZero;
  };
  await eventually(() => gauges().length === 0).catch(() => {});
  t.strictSame(gauges(), []);
  t.ok(
    rig.env.breakers.cells.every((cell) => cell === 0),
    'breakers are empty',
  );
  t.equal(recorders.filter((recorder) => recorder.ends !== 1).length, 0, 'one end each');
  const { counts } = rig;
  t.equal(counts['upstream_cx_total'], counts['upstream_cx_destroy'], 'every connection was closed once');
  t.comment(JSON.stringify(counts));
  rig.manager.close();
  await hosts.close();
}
