// The grouped route table finds what a walk through the list would: the first route that holds.
import fc from 'fast-check';
import t from 'tap';
import { HeaderMap } from '../../proxy/codec/headers.ts';
import type { HeaderMatchModel } from '../../proxy/config/model/headers.ts';
import type { RouteModel } from '../../proxy/config/model/route.ts';
import { type ConnectionInfo, StreamInfo } from '../../proxy/observe/stream-info.ts';
import { compileRouteTable } from '../../proxy/route/route-table.ts';
import type { ClusterManager, ClusterRef } from '../../proxy/upstream/upstream.ts';
import { directRoute, pathMatch, routeConfig } from '../fixtures/routes.ts';
import { FakeStats } from '../fixtures/upstream.ts';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
t.comment(`seed ${SEED} (SEED=${SEED} runs it again)`);

const absent = (name: string): ClusterRef => ({ name, current: null });
const clusters: ClusterManager = { ref: absent, find: absent };
const connection = { tls: null } as unknown as ConnectionInfo;
const ONE: HeaderMatchModel = {
  name: 'x',
  match: { kind: 'string', string: { kind: 'exact', value: '1', ignoreCase: false } },
  invert: false,
  treatMissingAsEmpty: false,
};

/** What the list order says. */
function walk(routes: readonly RouteModel[], path: string, hasHeader: boolean): string {
  for (const { name, match } of routes) {
    if (match.headers.length > 0 && !hasHeader) continue;
    if (match.path.kind === 'connect') continue;
    const { kind, value } = match.path;
    const holds =
      kind === 'exact'
        ? path === value
        : kind === 'prefix'
          ? path.startsWith(value)
          : kind === 'regex'
            ? new RegExp(`^(?:${value})$`).test(path)
            : path === value || path.startsWith(`${value}/`);
    if (holds) return name;
  }
  return '';
}

t.test('grouped lookup equals a walk', (t) => {
  const segment = fc.constantFrom('a', 'b', 'ab', 'abc', '');
  const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => `/${parts.join('/')}`);
  const bare = path.map((text) => (text.length > 1 && text.endsWith('/') ? text.slice(0, -1) : text));
  const match = fc.oneof(
    fc.tuple(fc.constantFrom('prefix' as const, 'exact' as const), path),
    fc.tuple(
      fc.constant('path_separated_prefix' as const),
      bare.filter((text) => text !== '/'),
    ),
    fc.tuple(
      fc.constant('regex' as const),
      path.map((text) => `${text}.*`),
    ),
  );
  const routes = fc.array(fc.tuple(match, fc.boolean()), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(routes, fc.array(fc.tuple(path, fc.boolean()), { minLength: 1, maxLength: 10 }), (list, requests) => {
      const models = list.map(([[kind, value], conditional], i) =>
        directRoute(`r${i}`, pathMatch(kind, value, conditional ? [ONE] : [])),
      );
      const table = compileRouteTable(routeConfig([{ domains: ['*'], routes: models }]), {
        clusters,
        stats: new FakeStats(),
        runtimeKeys: {},
      });
      for (const [text, hasHeader] of requests) {
        const info = new StreamInfo(connection, 0, 0);
        info.path = `${text}?q`;
        info.authority = 'h';
        const headers = new HeaderMap();
        if (hasHeader) headers.add('x', '1');
        const got = table.match(info, headers, 0)?.name ?? '';
        const want = walk(models, text, hasHeader);
        if (got !== want) throw new Error(`${text}: «${got}» instead of «${want}»`);
      }
    }),
    { seed: SEED, numRuns: 400 },
  );
  t.pass('held for every run');
  t.end();
});

t.test('a path with a query or a fragment in a match meets nothing', async (t) => {
  const routes = [
    directRoute('query', pathMatch('prefix', '/a?b')),
    directRoute('exact', pathMatch('exact', '/a?b')),
    directRoute('fragment', pathMatch('path_separated_prefix', '/a#b')),
    directRoute('all', pathMatch('prefix', '/')),
  ];
  const table = compileRouteTable(routeConfig([{ domains: ['*'], routes }]), {
    clusters,
    stats: new FakeStats(),
    runtimeKeys: {},
  });
  for (const path of ['/a?b', '/a?bc', '/a#b', '/a#b/']) {
    const info = new StreamInfo(connection, 0, 0);
    info.path = path;
    info.authority = 'h';
    t.equal(table.match(info, new HeaderMap(), 0)?.name, 'all', path);
  }
});
