// Packed trees find what a look at every value would, whatever the names share.
import fc from 'fast-check';
import t from 'tap';
import { HeaderMap } from '../../proxy/codec/headers.ts';
import { StreamInfo } from '../../proxy/observe/stream-info.ts';
import { type PathLists, PathTrees, type PathValue } from '../../proxy/route/path-tree.ts';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
t.comment(`seed ${SEED} (SEED=${SEED} runs it again)`);

const HEADERS = new HeaderMap();
const INFO = new StreamInfo({ tls: null } as unknown as ConstructorParameters<typeof StreamInfo>[0], 0, 0);

type Kind = keyof PathLists<PathValue>;

/** @param holds whether its conditions do */
interface Placed {
  readonly kind: Kind;
  readonly path: string;
  readonly holds: boolean;
}

function treeOf(list: readonly Placed[]): Map<string, PathLists<PathValue>> {
  const lists = new Map<string, PathLists<PathValue>>();
  list.forEach(({ kind, path, holds }, index) => {
    const at = lists.get(path) ?? { exact: [], prefix: [], separated: [] };
    lists.set(path, at);
    at[kind].push({ index, conditions: holds ? null : () => false });
  });
  return lists;
}

function walk(list: readonly Placed[], path: string): number {
  const bare = path.replace(/[?#].*/s, '');
  return list.findIndex(({ kind, path: value, holds }) => {
    if (!holds) return false;
    if (kind === 'exact') return bare === value;
    if (kind === 'prefix') return bare.startsWith(value);
    return bare === value || bare.startsWith(`${value}/`);
  });
}

t.test('a tree equals a walk', (t) => {
  const path = fc.string({ unit: fc.constantFrom('a', 'b', '/', '\xff'), maxLength: 9 });
  const placed = fc.record({
    kind: fc.constantFrom('exact' as const, 'prefix' as const, 'separated' as const),
    path,
    holds: fc.boolean(),
  });
  const asked = fc.tuple(path, fc.constantFrom('', '?', '#', '?a/b', '#?a', 'ab?')).map((parts) => parts.join(''));
  const lists = fc.array(fc.array(placed, { maxLength: 30 }), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(lists, fc.array(asked, { minLength: 1, maxLength: 10 }), (all, paths) => {
      const trees = new PathTrees<PathValue>();
      const roots = all.map((list) => trees.pack(treeOf(list)));
      for (const [i, root] of roots.entries())
        for (const text of paths)
          if ((trees.find(root, text, INFO, HEADERS, 0)?.index ?? -1) !== walk(all[i] as Placed[], text)) return false;
      return true;
    }),
    { seed: SEED, numRuns: 2_000 },
  );
  t.end();
});

t.test('names that come to one slot do not hide each other', (t) => {
  // Of so many random names, most nodes have children that want the same slot.
  const COUNT = 200_000;
  const names = new Set<string>();
  let state = 1;
  while (names.size < COUNT) {
    let name = '/';
    for (let i = 0; i < 8; i++) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      name += String.fromCharCode(0x61 + ((state >>> 16) % 26));
    }
    names.add(name);
  }
  const list = [...names].map((path): Placed => ({ kind: 'exact', path, holds: true }));
  const trees = new PathTrees<PathValue>();
  const root = trees.pack(treeOf(list));
  const wrong = list.filter(({ path }, index) => trees.find(root, path, INFO, HEADERS, 0)?.index !== index);
  t.equal(wrong.length, 0);
  t.end();
});

t.test('thousands of names within each other, and of values at one', (t) => {
  const nested = Array.from(
    { length: 5_000 },
    (_, i): Placed => ({ kind: 'prefix', path: `/${'a'.repeat(i)}`, holds: true }),
  );
  const same = Array.from({ length: 300_000 }, (_, i): Placed => ({ kind: 'exact', path: '/b', holds: i === 299_999 }));
  const list = [...nested.reverse(), ...same];
  const trees = new PathTrees<PathValue>();
  const root = trees.pack(treeOf(list));
  t.equal(trees.find(root, `/${'a'.repeat(3_000)}?q`, INFO, HEADERS, 0)?.index, 1_999);
  t.equal(trees.find(root, '/c', INFO, HEADERS, 0)?.index, 4_999);
  const all = new PathTrees<PathValue>();
  t.equal(all.find(all.pack(treeOf(same)), '/b', INFO, HEADERS, 0)?.index, 299_999);
  t.end();
});
