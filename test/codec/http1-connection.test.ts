import t from 'tap';
import { HeaderMap } from '../../proxy/codec/headers.ts';
import { keepTrailersOnly, removeNominated } from '../../proxy/codec/http1-connection.ts';

function withTe(values: readonly string[]): HeaderMap {
  const headers = new HeaderMap();
  for (const value of values) headers.add('te', value);
  return headers;
}

// Each seen on Envoy 1.40: what goes upstream as it is, and what when `connection: te` came with it.
const CASES: readonly (readonly [te: readonly string[], alone: string | null, nominated: string | null])[] = [
  [['trailers'], 'trailers', 'trailers'],
  [['Trailers'], null, 'trailers'],
  [['trailers;q=0.5'], null, null],
  [['gzip, trailers'], 'trailers', 'trailers'],
  [['gzip, TRAILERS'], null, 'trailers'],
  [['trailers;q=0.5,trailers'], 'trailers', 'trailers'],
  [['gzip', 'trailers'], 'trailers', 'trailers'],
  [['gzip'], null, null],
  [[''], '', null],
];

t.test('te on its way upstream', (t) => {
  for (const [te, alone, nominated] of CASES) {
    const plain = withTe(te);
    keepTrailersOnly(plain, false);
    t.equal(plain.getJoined('te'), alone, JSON.stringify(te));
    const named = withTe(te);
    t.equal(removeNominated('te', named), true);
    t.equal(named.getJoined('te'), nominated, `${JSON.stringify(te)}, nominated`);
  }
  t.equal(removeNominated('te', withTe(['x'.repeat(256)])), false, 'too long');
  t.end();
});
