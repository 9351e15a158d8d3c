// What a value of a runtime key says depends on who asks: a weight, a limit, a share, a flag. The same texts and numbers
// for each of them.

import { answer, bootstrap, cluster, fileLog, get, http, routes, STATS, to } from '../config.ts';
import type { Group, Scenario } from '../types.ts';

const VALUES: Readonly<Record<string, number | string | boolean>> = {
  whole: 30,
  half: 0.5,
  more: 30.7,
  below: -5,
  text: '30',
  padded: ' +30 ',
  power: '3e1',
  sixteen: '0x1E',
  yes: true,
  word: 'true',
  tail: '30x',
  huge: 1e20,
  json: '{"numerator":100}',
};
const NAMES = Object.keys(VALUES);
const REPLY = answer('200 OK', [], 'ok');

/** The number that a header gives is divided by the weights: 3 or the runtime's for `a`, the rest for `b`. */
const weighted = (name: string): object => ({
  match: { path: `/${name}` },
  route: {
    weighted_clusters: {
      header_name: 'x-at',
      runtime_key_prefix: `weight.${name}`,
      clusters: [
        { name: 'a', weight: 3 },
        { name: 'b', weight: 50 },
      ],
    },
  },
});

/** Values that make nothing, or everything, of what they are asked for. */
const shares = ['half', 'below', 'yes', 'huge', 'json'].map((name) => ({
  match: {
    path: `/share/${name}`,
    runtime_fraction: { default_value: { numerator: 100 }, runtime_key: `value.${name}` },
  },
  direct_response: { status: 204 },
}));

const scenarios = (name: string): Scenario[] =>
  [0, 3, 30].map((at) => ({
    name: `a weight of ${name}, at ${at}`,
    client: [get(`/${name}`, `x-at: ${at}`)],
    upstreams: { a: { replies: [[REPLY]] }, b: { replies: [[REPLY]] } },
  }));

export const runtimeValues: Group = {
  name: 'runtime-values',
  listeners: ['main', 'logged'],
  upstreams: ['a', 'b'],
  bootstrap: (ports, log) => {
    const filters = NAMES.map((name) => ({
      ...fileLog(
        log,
        { why: name },
        { status_code_filter: { comparison: { op: 'EQ', value: { default_value: 30, runtime_key: `code.${name}` } } } },
      ),
    }));
    const values = Object.entries(VALUES);
    return bootstrap(
      ports,
      [
        http(ports, log, 'main', routes([...NAMES.map(weighted), ...shares, to('/', 'a')])),
        http(ports, log, 'logged', routes([{ match: { prefix: '/' }, direct_response: { status: 200 } }]), {
          access_log: filters,
        }),
      ],
      [cluster('a', [ports['a']]), cluster('b', [ports['b']])],
      {
        layered_runtime: {
          layers: [
            {
              name: 'static',
              static_layer: Object.fromEntries([
                ...values.map(([name, value]) => [`weight.${name}.a`, value]),
                ...values.map(([name, value]) => [`value.${name}`, value]),
                // Thresholds around the status of the answers: what is not read leaves the record out.
                ['code.whole', 200],
                ['code.half', 200.5],
                ['code.more', '200.9'],
                ['code.below', -200],
                ['code.text', '200'],
                ['code.padded', ' 200 '],
                ['code.power', '2e2'],
                ['code.sixteen', '0xC8'],
                ['code.yes', true],
                ['code.tail', '200x'],
              ]),
            },
          ],
        },
      },
    );
  },
  stats: STATS,
  scenarios: [
    ...NAMES.flatMap(scenarios),
    ...['half', 'below', 'yes', 'huge', 'json'].map((name) => ({
      name: `a share of ${name}`,
      client: [get(`/share/${name}`)],
      upstreams: { a: { replies: [[REPLY]] } },
    })),
    { name: 'thresholds of records', listener: 'logged', client: [get('/')] },
  ],
};
