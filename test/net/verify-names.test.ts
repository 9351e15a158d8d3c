// Which names a certificate's DNS name stands for: the table of Envoy's own rules.

import t from 'tap';
import { dnsNameMatches } from '../../proxy/net/verify.ts';

const cases: readonly [name: string, pattern: string, matches: boolean][] = [
  ['a.example', 'a.example', true],
  ['A.Example', 'a.eXAMPLE', true],
  ['a.b.example', '*.b.example', true],
  ['a.a.b.example', '*.b.example', false],
  ['b.example', '*.b.example', false],
  ['ab.example', '*.b.example', false],
  ['.b.example', '*.b.example', false],
  ['foobar.b.example', 'foo*.b.example', true],
  ['foo.b.example', 'foo*.b.example', true],
  ['fo.b.example', 'foo*.b.example', false],
  ['barfoo.b.example', '*foo.b.example', true],
  ['foobaz.b.example', 'foo*az.b.example', true],
  ['aba.b.example', 'ab*ba.b.example', false],
  ['foobar.b.example', 'f*b*r.b.example', false],
  ['a.b.example', 'a.*.example', false],
  ['a.b.example', '*.*.example', false],
  ['xn--abc.b.example', 'xn--*.b.example', false],
  ['xn--abc.b.example', '*.b.example', true],
  ['example', '*', false],
  ['a.example', '*', false],
  ['', '*.example', false],
  ['a.example\0.b.example', '*.b.example', false],
];

for (const [name, pattern, matches] of cases)
  t.equal(dnsNameMatches(name, pattern), matches, `${JSON.stringify(name)} by ${pattern}`);
