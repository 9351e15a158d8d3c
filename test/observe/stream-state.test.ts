// Dynamic metadata and filter state: who may write over what, and what requests see of their connection.

import t from 'tap';
import { addMetadata, type DynamicMetadata, mergeMetadata } from '../../proxy/observe/dynamic-metadata.ts';
import {
  FilterState,
  type FilterStateHolder,
  readFilterState,
  readSharedFilterState,
  writeFilterState,
} from '../../proxy/observe/filter-state.ts';
import { jsonOfTree } from '../../proxy/observe/json-text.ts';
import { latin1Image, textOf } from '../../proxy/util/latin1.ts';

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
  t.equal(textOf('plain'), 'plain');
  t.equal(textOf('\xc3\xbc'), 'ü');
  for (const bytes of ['plain', '\xc3\xbc', '\xff', 'a\xc3\xbc\xffb', '\xed\xa0\x80', '\xf0\x9f\x98\x80\xff'])
    t.equal(latin1Image(textOf(bytes)), bytes, 'and back');
  t.equal(jsonOfTree({ [textOf('\xff')]: textOf('"\xff\xc3\xbc') }), '{"\\u00ff":"\\u0022\\u00ff\\u00c3\\u00bc"}');
  t.end();
});

t.test('requests see the state of their connection, and cannot hide it', (t) => {
  const connection = { filterState: new FilterState() };
  connection.filterState.set('theirs', 'c');
  const it: FilterStateHolder = { filterState: null, connection };
  t.equal(readFilterState(it, 'theirs'), 'c');
  t.equal(readFilterState(it, 'ours'), null);
  writeFilterState(it, 'theirs', 'r');
  t.equal(it.filterState, null, 'nothing was made for it');
  writeFilterState(it, 'ours', 'r');
  t.equal(readFilterState(it, 'theirs'), 'c');
  t.equal(readFilterState(it, 'ours'), 'r');
  t.end();
});

t.test('what is shared with the upstream connection', (t) => {
  const connection = { filterState: new FilterState() };
  connection.filterState.set('theirs', 'c', 'once');
  const it: FilterStateHolder = { filterState: null, connection };
  writeFilterState(it, 'ours', '1', 'transitive');
  writeFilterState(it, 'kept', '1');
  t.equal(readSharedFilterState(it, 'theirs'), 'c');
  t.equal(readSharedFilterState(it, 'ours'), '1');
  t.equal(readSharedFilterState(it, 'kept'), null);
  t.equal(readSharedFilterState(it, 'none'), null);
  writeFilterState(it, 'ours', '2');
  t.equal(readSharedFilterState(it, 'ours'), null, 'the last one decides');
  t.end();
});
