// Feeds the stats of a running Envoy 1.40 through the registry and expects Envoy's own renderings of them.
//
// `test/golden/admin/<case>.{counters,gauges,histograms}.txt` are Envoy's `/stats` by type (histograms in detail),
// `<case>.prom` its `/stats/prometheus` of the same moment but for what the reading itself counts.

import { readFileSync } from 'node:fs';
import t from 'tap';
import type { StatsConfigModel } from '../../proxy/config/model/model.ts';
import { renderPrometheus } from '../../proxy/observe/prometheus.ts';
import { renderStatsJson } from '../../proxy/observe/stats-json.ts';
import { ALL_STATS, type BucketMode } from '../../proxy/observe/stats-query.ts';
import { StatsRegistry } from '../../proxy/observe/stats-registry.ts';
import { renderStatsText } from '../../proxy/observe/stats-text.ts';

const DEFAULT: StatsConfigModel = { useAllDefaultTags: true, tags: [], matcher: { kind: 'all' }, histogramBuckets: [] };

/** Duplicate, fixed, one-group and empty tags, and buckets of a cluster's own. */
const CUSTOM: StatsConfigModel = {
  useAllDefaultTags: true,
  tags: [
    { name: 'fix.ed', rule: { kind: 'fixed', value: 'va"l' } },
    { name: 'envoy.cluster_name', rule: { kind: 'regex', pattern: '^cluster\\.(([a-z]+)_[a-z]+\\.)' } },
    { name: 'onegroup', rule: { kind: 'regex', pattern: '_cx_(active)' } },
    { name: 'emptyval', rule: { kind: 'regex', pattern: '(_cx)()_tot' } },
  ],
  matcher: { kind: 'all' },
  histogramBuckets: [
    { match: { kind: 'prefix', value: 'cluster.svc_one', ignoreCase: false }, buckets: [1, 2.5, 10, 100] },
  ],
};

function golden(name: string): string {
  return readFileSync(new URL(`../golden/admin/${name}`, import.meta.url), 'utf8');
}

function load(name: string, config: StatsConfigModel): StatsRegistry {
  const registry = new StatsRegistry(config);
  for (const kind of ['counters', 'gauges'] as const) {
    for (const line of golden(`${name}.${kind}.txt`).split('\n')) {
      const colon = line.lastIndexOf(': ');
      if (colon > 0)
        registry.local.cell(line.slice(0, colon), kind === 'counters' ? 'c' : 'g')[0] = Number(line.slice(colon + 2));
    }
  }
  let current = '';
  for (const line of golden(`${name}.histograms.txt`).split('\n')) {
    const head = /^(\S+):( No recorded values)?$/.exec(line);
    if (head !== null) current = head[1] as string;
    if (head !== null) registry.local.histogram(current);
    const totals = /^ {2}totals=(.*)$/.exec(line)?.[1] ?? '';
    for (const bin of totals.split(', ').filter((text) => text !== '')) {
      const [lower, , count] = bin.split(/[,:]/).map(Number) as [number, number, number];
      for (let i = 0; i < count; i++) registry.local.histogram(current).record(lower);
    }
  }
  registry.local.flush();
  return registry;
}

/** Lines of an exposition; values that the reading of it changes are dropped. */
function comparable(text: string): string[] {
  return text
    .split('\n')
    .map((line) => (/admin|server_stats_recent|server_(memory|uptime)/.test(line) ? line.replace(/ \S+$/, '') : line));
}

for (const [name, config] of [
  ['default-tags', DEFAULT],
  ['custom-tags', CUSTOM],
] as const) {
  t.test(`Prometheus text equals Envoy's: ${name}`, (t) => {
    const pieces = renderPrometheus(load(name, config), { ...ALL_STATS, buckets: 'cumulative', textReadouts: false });
    t.same(comparable([...pieces].join('')), comparable(golden(`${name}.prom`)));
    t.end();
  });
}

t.test("histograms in every mode equal Envoy's", (t) => {
  const query = { ...ALL_STATS, matches: (name: string) => name.includes('rq_body_size') };
  const registry = load('custom-tags', CUSTOM);
  let text = '';
  for (const buckets of ['summary', 'cumulative', 'disjoint', 'detailed'] satisfies BucketMode[]) {
    text += `== ${buckets}\n${[...renderStatsText(registry, { ...query, buckets })].join('')}`;
    text += `== ${buckets} json\n${[...renderStatsJson(registry, { ...query, buckets })].join('')}\n`;
  }
  t.equal(text, golden('histogram-modes.txt'));
  t.end();
});

t.test('numbers print as Envoy prints them', (t) => {
  const registry = new StatsRegistry(DEFAULT);
  registry.local.histogram('h').record(0);
  registry.local.flush();
  const read = (render: typeof renderStatsText, buckets: BucketMode) =>
    [...render(registry, { ...ALL_STATS, buckets })].join('');
  t.match(read(renderStatsText, 'cumulative'), /B0\.5\(0,1\) .* B600000\(0,1\) B1\.8e\+06\(0,1\) B3\.6e\+06\(0,1\)\n$/);
  t.match(read(renderStatsJson, 'disjoint'), '{"upper_bound":60000,"interval":0,"cumulative":0},{"upper_bound":3e+05,');
  t.match(read(renderStatsJson, 'disjoint'), '"upper_bound":1800000,');
  t.equal(read(renderStatsText, 'detailed').split('\n')[1], '  totals=0,0:1');
  registry.setText('control_plane.identifier', 'x"y');
  t.match(read(renderStatsText, 'summary'), /^control_plane\.identifier: "x"y"\n/);
  t.match(read(renderStatsJson, 'summary'), '{"name":"control_plane.identifier","value":"x\\"y"}');
  const prometheus = [...renderPrometheus(registry, { ...ALL_STATS, textReadouts: true })].join('');
  t.match(
    prometheus,
    '# TYPE envoy_control_plane_identifier gauge\nenvoy_control_plane_identifier{text_value="x\\"y"} 0\n',
  );
  t.match(prometheus, 'envoy_h{quantile="0.995"} nan\n');
  t.end();
});
