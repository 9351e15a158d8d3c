// The `grpc-timeout` header: read, limited, written. Whole requests are in the parity group `options`.

import t from 'tap';
import { HeaderMap } from '../../proxy/codec/headers.ts';
import { readGrpcTimeout, routeLimit, streamLimit, writeGrpcTimeout } from '../../proxy/router/grpc-timeout.ts';

const read = (value: string): number => {
  const headers = new HeaderMap();
  headers.add('grpc-timeout', value);
  return readGrpcTimeout(headers);
};

t.test('reads', (t) => {
  const cases: readonly (readonly [string, number])[] = [
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['3S', 3_000],
    ['250m', 250],
    ['1u', 1],
    ['1500u', 2],
    ['1n', 1],
    ['0m', 0],
    ['99999999m', 99_999_999],
    ['999999999m', -1],
    ['5x', -1],
    ['m', -1],
    ['-1m', -1],
    ['1.5S', -1],
    ['', -1],
  ];
  for (const [value, ms] of cases) t.equal(read(value), ms, `«${value}»`);
  t.equal(readGrpcTimeout(new HeaderMap()), -1, 'absent');
  t.end();
});

t.test('writes in the finest unit that holds it', (t) => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0m'],
    [99_999_999, '99999999m'],
    [100_000_000, '100000S'],
    [100_000_000_000, '1666666M'],
  ];
  for (const [ms, text] of cases) {
    const headers = new HeaderMap();
    writeGrpcTimeout(headers, ms);
    t.equal(headers.get('grpc-timeout'), text);
  }
  t.end();
});

t.test('limits', (t) => {
  t.equal(streamLimit(5_000, { maxMs: 100, offsetMs: 0 }), 100);
  t.equal(streamLimit(50, { maxMs: 100, offsetMs: 0 }), 50);
  t.equal(streamLimit(1_000, { maxMs: 0, offsetMs: 900 }), 100);
  t.equal(streamLimit(500, { maxMs: 0, offsetMs: 900 }), 0, 'over at once');
  t.equal(routeLimit(5_000, { maxMs: 100, offsetMs: 0 }), 100);
  t.equal(routeLimit(-1, { maxMs: 100, offsetMs: 0 }), 100, 'nothing asked is no limit, so the largest holds');
  t.equal(routeLimit(1_000, { maxMs: 0, offsetMs: 900 }), 100);
  t.equal(routeLimit(500, { maxMs: 0, offsetMs: 900 }), 500, 'an offset that takes it all is not applied');
  t.equal(routeLimit(-1, { maxMs: 0, offsetMs: 0 }), 0, 'without a limit');
  t.end();
});
