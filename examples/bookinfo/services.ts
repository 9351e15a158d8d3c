// The programs of Bookinfo: productpage, details, reviews in three versions, ratings. They know nothing of the mesh but
// the address of their own sidecar's outbound listener, and pass on the headers that tie a request together.

import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { type Details, type Page, type Review, renderPage } from './page.ts';
import type { PortMap } from './ports.ts';

export interface Services {
  close(): void;
}

type Reply = (status: number, type: string, body: string, headers?: Record<string, string>) => void;
type App = (path: string, message: IncomingMessage, reply: Reply) => Promise<void> | void;

const JSON_TYPE = 'application/json';
const HTML_TYPE = 'text/html; charset=utf-8';
/** Headers that a program of a mesh hands on, so that proxies can tie calls together. */
const PASSED_ON = ['x-request-id', 'end-user', 'traceparent', 'tracestate', 'b3'];
const CALL_TIMEOUT_MS = 10_000;
/** Ratings answers 503 to every tenth request. */
const RATINGS_FAILS_EVERY = 10;

const PRODUCTS = [{ id: 0, title: 'The Comedy of Errors', author: 'William Shakespeare' }];
const DETAILS: Details = {
  id: 0,
  author: 'William Shakespeare',
  year: 1595,
  type: 'paperback',
  pages: 200,
  publisher: 'PublisherA',
  language: 'English',
  isbn: '1234567890',
};
const REVIEWS: readonly Review[] = [
  { reviewer: 'Reviewer1', text: 'An extremely entertaining play by Shakespeare. The slapstick humour is refreshing!' },
  {
    reviewer: 'Reviewer2',
    text: 'Absolutely fun and entertaining. The play lacks thematic depth when compared to others.',
  },
];
const RATINGS: Readonly<Record<string, number>> = { Reviewer1: 5, Reviewer2: 4 };

/** Starts all six programs in this process; rejects when one cannot listen. */
export async function startServices(ports: PortMap): Promise<Services> {
  const servers = await Promise.all([
    serve(ports.apps.productpage, productpage(ports.outbound.productpage)),
    serve(ports.apps.details, details),
    serve(ports.apps['reviews-v1'], reviews('v1', null, ports.outbound.reviews)),
    serve(ports.apps['reviews-v2'], reviews('v2', 'black', ports.outbound.reviews)),
    serve(ports.apps['reviews-v3'], reviews('v3', 'red', ports.outbound.reviews)),
    serve(ports.apps.ratings, ratings()),
  ]);
  return {
    close: () => {
      for (const server of servers) {
        server.close();
        server.closeAllConnections();
      }
    },
  };
}

function serve(port: number, app: App): Promise<Server> {
  const server = createServer((message: IncomingMessage, response: ServerResponse) => {
    const reply: Reply = (status, type, body, headers = {}) => {
      response.writeHead(status, { 'content-type': type, ...headers }).end(body);
    };
    const fail = (error: unknown): void => reply(500, 'text/plain', `${(error as Error).message}\n`);
    Promise.resolve()
      .then(() => app((message.url ?? '/').split('?', 1)[0] ?? '/', message, reply))
      .catch(fail);
  });
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

function productpage(outbound: number): App {
  return async (path, message, reply) => {
    const user = /(?:^|; )user=([a-z]+)/.exec(message.headers.cookie ?? '')?.[1] ?? null;
    if (path === '/login' || path === '/logout') {
      const name = /[?&]user=([a-z]{1,20})/.exec(message.url ?? '')?.[1];
      const cookie = path === '/login' && name !== undefined ? `user=${name}; Path=/` : 'user=; Path=/; Max-Age=0';
      reply(302, 'text/plain', '', { location: '/productpage', 'set-cookie': cookie });
      return;
    }
    const ask = (service: string, what: string): Promise<Called> => call(outbound, service, what, message, user);
    if (path === '/productpage') {
      const [book, said] = await Promise.all([ask('details', '/details/0'), ask('reviews', '/reviews/0')]);
      reply(200, HTML_TYPE, renderPage(pageOf(book, said, user)));
    } else if (path === '/api/v1/products') reply(200, JSON_TYPE, toJson(PRODUCTS));
    else if (path === '/api/v1/products/0') relay(await ask('details', '/details/0'), reply);
    else if (path === '/api/v1/products/0/reviews') relay(await ask('reviews', '/reviews/0'), reply);
    else reply(404, 'text/plain', 'no such page\n');
  };
}

function toJson(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}

function pageOf(book: Called, said: Called, user: string | null): Page {
  const parsed = said.status === 200 ? (JSON.parse(said.body) as { version: string; reviews: Review[] }) : null;
  return {
    title: PRODUCTS[0]?.title ?? '',
    user,
    details: book.status === 200 ? (JSON.parse(book.body) as Details) : null,
    reviews: parsed === null ? null : parsed.reviews,
    version: parsed === null ? null : parsed.version,
  };
}

const details: App = (path, _message, reply) => {
  if (path === '/details/0') reply(200, JSON_TYPE, toJson(DETAILS));
  else reply(404, 'text/plain', 'no such book\n');
};

function reviews(version: string, colour: string | null, outbound: number): App {
  return async (path, message, reply) => {
    if (path !== '/reviews/0') {
      reply(404, 'text/plain', 'no such book\n');
      return;
    }
    const said = colour === null ? null : await call(outbound, 'ratings', '/ratings/0', message, null);
    const stars = said?.status === 200 ? (JSON.parse(said.body) as Record<string, number>) : null;
    const list = REVIEWS.map((review) => {
      if (colour === null) return review;
      const rating =
        stars === null ? { error: 'Ratings are not available' } : { stars: stars[review.reviewer] ?? 0, colour };
      return { ...review, rating };
    });
    reply(200, JSON_TYPE, toJson({ id: 0, version, reviews: list }));
  };
}

function ratings(): App {
  let requests = 0;
  return (path, _message, reply) => {
    requests++;
    if (requests % RATINGS_FAILS_EVERY === 0) reply(503, 'text/plain', 'ratings is having a bad moment\n');
    else if (path === '/ratings/0') reply(200, JSON_TYPE, toJson(RATINGS));
    else reply(404, 'text/plain', 'no such book\n');
  };
}

// === Calls between services ===

interface Called {
  readonly status: number;
  readonly body: string;
}

/** Asks another service through the sidecar; a failure is a status like any other. */
function call(
  outbound: number,
  host: string,
  path: string,
  from: IncomingMessage,
  user: string | null,
): Promise<Called> {
  const headers: Record<string, string> = { host };
  for (const name of PASSED_ON) {
    const value = from.headers[name];
    if (typeof value === 'string') headers[name] = value;
  }
  if (user !== null) headers['end-user'] = user;
  return new Promise((resolve) => {
    const failed = (error: Error): void => resolve({ status: 503, body: `${error.message}\n` });
    const options = { host: '127.0.0.1', port: outbound, path, headers, timeout: CALL_TIMEOUT_MS };
    const call = request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', failed);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }));
    });
    call.on('timeout', () => call.destroy(new Error(`${host} did not answer within ${CALL_TIMEOUT_MS} ms`)));
    call.on('error', failed);
    call.end();
  });
}

function relay(called: Called, reply: Reply): void {
  reply(called.status, called.status === 200 ? JSON_TYPE : 'text/plain', called.body);
}
