// Heads, chunks and framing decisions as Envoy 1.40 writes them.
import t from 'tap';
import { HeaderMap } from '../../proxy/codec/headers.ts';
import {
  FRAMING_AS_IS,
  FRAMING_CHUNKED,
  FRAMING_CHUNKED_BODILESS,
  FRAMING_EMPTY,
  type Framing,
} from '../../proxy/codec/http1.ts';
import {
  chunkHead,
  reasonPhrase,
  requestFraming,
  responseFraming,
  writeRequestHead,
  writeResponseHead,
  writeTrailers,
} from '../../proxy/codec/http1-write.ts';

function headers(...lines: readonly (readonly [string, string])[]): HeaderMap {
  const map = new HeaderMap();
  for (const [name, value] of lines) map.add(name, value);
  return map;
}

const LENGTH = headers(['content-length', '3']);
const NONE = headers();

t.test('request framing', (t) => {
  const table: readonly (readonly [string, HeaderMap, boolean, boolean, Framing])[] = [
    ['GET', NONE, true, false, FRAMING_AS_IS],
    ['HEAD', NONE, true, false, FRAMING_AS_IS],
    ['DELETE', NONE, true, false, FRAMING_AS_IS],
    ['TRACE', NONE, true, false, FRAMING_AS_IS],
    ['POST', NONE, true, false, FRAMING_EMPTY],
    ['PUT', NONE, true, false, FRAMING_EMPTY],
    ['PATCH', NONE, true, false, FRAMING_EMPTY],
    ['OPTIONS', NONE, true, false, FRAMING_EMPTY],
    ['PROPFIND', NONE, true, false, FRAMING_EMPTY],
    ['GET', NONE, false, false, FRAMING_CHUNKED],
    ['POST', NONE, false, false, FRAMING_CHUNKED],
    ['POST', LENGTH, false, false, FRAMING_AS_IS],
    ['GET', LENGTH, true, false, FRAMING_AS_IS],
    ['GET', NONE, false, true, FRAMING_AS_IS],
    ['CONNECT', NONE, false, false, FRAMING_AS_IS],
  ];
  for (const [method, map, endStream, upgrade, want] of table)
    t.equal(
      requestFraming(method, map, endStream, upgrade),
      want,
      `${method} ${map.size} headers, ${endStream ? 'no body' : 'body'}${upgrade ? ', upgrade' : ''}`,
    );
  t.end();
});

t.test('response framing', (t) => {
  const table: readonly (readonly [string, number, HeaderMap, 0 | 1, boolean, Framing])[] = [
    ['GET', 200, NONE, 1, true, FRAMING_EMPTY],
    ['GET', 200, NONE, 1, false, FRAMING_CHUNKED],
    ['GET', 200, LENGTH, 1, false, FRAMING_AS_IS],
    ['GET', 200, NONE, 0, false, FRAMING_AS_IS],
    ['GET', 200, NONE, 0, true, FRAMING_EMPTY],
    ['GET', 204, NONE, 1, true, FRAMING_AS_IS],
    ['GET', 304, NONE, 1, true, FRAMING_AS_IS],
    ['GET', 100, NONE, 1, false, FRAMING_AS_IS],
    ['GET', 101, NONE, 1, false, FRAMING_AS_IS],
    ['HEAD', 200, NONE, 1, true, FRAMING_CHUNKED_BODILESS],
    ['HEAD', 200, LENGTH, 1, true, FRAMING_AS_IS],
    ['CONNECT', 200, NONE, 1, false, FRAMING_AS_IS],
    ['CONNECT', 403, NONE, 1, true, FRAMING_EMPTY],
  ];
  for (const [method, status, map, minor, endStream, want] of table)
    t.equal(
      responseFraming(method, status, map, minor, endStream),
      want,
      `${method} ${status} 1.${minor}, ${map.size} headers, ${endStream ? 'no body' : 'body'}`,
    );
  t.end();
});

t.test('heads', (t) => {
  const map = headers(['x-request-id', 'a'], ['etag', '"b"'], ['x-b3-traceid', 'c']);
  t.equal(
    writeRequestHead('POST', '/p?q', 'h:1', map, FRAMING_CHUNKED, 'lower'),
    'POST /p?q HTTP/1.1\r\nhost: h:1\r\nx-request-id: a\r\netag: "b"\r\nx-b3-traceid: c\r\ntransfer-encoding: chunked\r\n\r\n',
  );
  t.equal(
    writeRequestHead('POST', '/', 'h', map, FRAMING_EMPTY, 'proper'),
    'POST / HTTP/1.1\r\nHost: h\r\nX-Request-Id: a\r\nEtag: "b"\r\nX-B3-Traceid: c\r\nContent-Length: 0\r\n\r\n',
  );
  t.equal(writeResponseHead(200, NONE, 1, FRAMING_EMPTY, 'lower'), 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
  t.equal(writeResponseHead(200, NONE, 0, FRAMING_AS_IS, 'lower'), 'HTTP/1.0 200 OK\r\n\r\n');
  t.equal(writeResponseHead(799, NONE, 1, FRAMING_AS_IS, 'lower'), 'HTTP/1.1 799 Unknown\r\n\r\n');
  t.equal(writeResponseHead(200, NONE, 1, FRAMING_AS_IS, 'lower', 'Fine'), 'HTTP/1.1 200 Fine\r\n\r\n');
  const raw = headers(['x-aB', 'v']);
  raw.rawNames = ['X-aB'];
  t.equal(writeResponseHead(200, raw, 1, FRAMING_AS_IS, 'preserve'), 'HTTP/1.1 200 OK\r\nX-aB: v\r\n\r\n');
  t.equal(
    writeResponseHead(200, raw, 1, FRAMING_AS_IS, 'lower'),
    'HTTP/1.1 200 OK\r\nX-aB: v\r\n\r\n',
    'a kept spelling travels on',
  );
  t.equal(writeResponseHead(103, NONE, 1, FRAMING_AS_IS, 'lower'), 'HTTP/1.1 103 Unknown\r\n\r\n', 'as in Envoy');
  t.equal(reasonPhrase(431), 'Request Header Fields Too Large');
  t.end();
});

t.test('chunks', (t) => {
  for (const bytes of [1, 15, 16, 1_024, 1_025, 65_536]) t.equal(chunkHead(bytes), `${bytes.toString(16)}\r\n`);
  t.equal(writeTrailers(null, 'lower'), '0\r\n\r\n');
  t.equal(writeTrailers(NONE, 'lower'), '0\r\n\r\n');
  t.equal(writeTrailers(headers(['x-t', '1']), 'proper'), '0\r\nX-T: 1\r\n\r\n');
  t.end();
});
