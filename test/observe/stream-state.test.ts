// Dynamic metadata and filter state: who may write over what, and what requests see of their connection.

import t from 'tap';
import {
  addMetadata,
  type DynamicMetadata,
  mergeMetadata,
  metadataText,
} from '../../proxy/observe/dynamic-metadata.ts';
import {
  FilterState,
  type FilterStateHolder,
  readFilterState,
  writeFilterState,
} from '../../proxy/observe/filter-state.ts';

const holder = (): { dynamicMetadata: DynamicMetadata | null } => ({ dynamicMetadata: null });

t.test('fields are put over those of the same name', (t) => {
  const it = holder();
  addMetadata(it, 'ns', { a: { deep: 1 }, b: 2 });
  addMetadata(it, 'ns', { a: { other: 1 } });
  addMetadata(it, 'constructor', { c: 3 });
  t.strictSame(Object.entries(it.dynamicMetadata ?? {}), [
    ['ns', { a: { other: 1 }, b: 2 }],
    ['constructor', { c: 3 }],
  ]);
  t.end();
});

t.test('structs are merged and lists joined, and the parts stay as they were', (t) => {
  const it = holder();
  const first = { s: 'x', l: [1], t: { x: 1, l: ['a'] }, n: 1 };
  const second = { s: 'y', l: [2], t: { y: 2, l: ['b'] }, n: [5] };
  mergeMetadata(it, 'ns', first);
  mergeMetadata(it, 'ns', second);
  t.strictSame(it.dynamicMetadata?.['ns'], { s: 'y', l: [1, 2], t: { x: 1, y: 2, l: ['a', 'b'] }, n: [5] });
  t.strictSame(first, { s: 'x', l: [1], t: { x: 1, l: ['a'] }, n: 1 });
  t.strictSame(second, { s: 'y', l: [2], t: { y: 2, l: ['b'] }, n: [5] });
  t.end();
});

t.test('names that all objects have are namespaces like others', (t) => {
  const it = holder();
  addMetadata(it, 'ns', { a: 1 });
  t.equal(it.dynamicMetadata?.['toString'], undefined);
  t.end();
});

t.test('what comes from the wire becomes text', (t) => {
  t.equal(metadataText('plain'), 'plain');
  t.equal(metadataText('\xc3\xbc'), 'ü');
  t.equal(metadataText('\xff'), '\ufffd');
  t.end();
});

t.test('requests see the state of their connection, and cannot hide it', (t) => {
  const connection = { filterState: new FilterState() };
  connection.filterState.set('theirs', 'c');
  const it: FilterStateHolder = { filterState: null, connection };
  t.equal(readFilterState(it, 'theirs'), 'c');
  t.equal(readFilterState(it, 'ours'), null);
  t.equal(writeFilterState(it, 'theirs', 'r'), false);
  t.equal(it.filterState, null, 'nothing was made for it');
  t.equal(writeFilterState(it, 'ours', 'r'), true);
  t.equal(readFilterState(it, 'theirs'), 'c');
  t.equal(readFilterState(it, 'ours'), 'r');
  t.end();
});

t.test('read-only state stays, and what may be changed does not become read-only', (t) => {
  const state = new FilterState();
  t.equal(state.set('fixed', '1', true), true);
  t.equal(state.set('fixed', '2', true), false);
  t.equal(state.set('fixed', '2'), false);
  t.equal(state.get('fixed'), '1');
  t.equal(state.set('open', '1'), true);
  t.equal(state.set('open', '2'), true);
  t.equal(state.set('open', '3', true), false);
  t.equal(state.get('open'), '2');
  t.end();
});
