// What the parity scenarios reach: every honoured field is set by some bootstrap, and every response-code detail and flag
// that we can produce stands in some recording of Envoy. What cannot be there is named here, with what tests it instead.

import { readdirSync, readFileSync } from 'node:fs';
import { isFieldSet } from '@bufbuild/protobuf';
import t from 'tap';
import * as codecErrors from '../proxy/codec/http1-error.ts';
import { childOf } from '../proxy/config/answers.ts';
import { FIELDS } from '../proxy/config/fields/fields.ts';
import { unpackAny } from '../proxy/config/read/any.ts';
import { type Msg, str } from '../proxy/config/schema/message.ts';
import { libraryRegistry } from '../proxy/config/schema/protobuf-es.mts';
import { messageDesc } from '../proxy/config/schema/registry.ts';
import type { FieldType } from '../proxy/config/schema/schema.ts';
import * as allFlags from '../proxy/observe/flags.ts';
import { decode } from './fixtures/lower.ts';
import {
  DETAILS_ELSEWHERE,
  FIELDS_ELSEWHERE,
  FLAGS_ELSEWHERE,
  FLAGS_OF_NOBODY,
  NO_DETAILS,
} from './parity/elsewhere.ts';
import { readGolden } from './parity/golden.ts';
import { GROUPS } from './parity/groups.ts';
import type { Group, Ports } from './parity/types.ts';

const proxyDir = new URL('../proxy/', import.meta.url);

t.test('every honoured field is set in a scenario', async (t) => {
  const seen = new Set<string>();
  for (const group of GROUPS) collect(bootstrapOf(group), seen);
  const honoured = Object.entries(FIELDS).flatMap(([typeName, answers]) =>
    Object.entries(answers).flatMap(([field, { kind }]) => (kind === 'honoured' ? [`${typeName}.${field}`] : [])),
  );
  compare(t, honoured, (name) => seen.has(name), FIELDS_ELSEWHERE);
});

t.test('every response-code detail occurs in a recording', async (t) => {
  const recorded = GROUPS.map((group) => JSON.stringify(readGolden(group.name)?.scenarios)).join('');
  const fromCodec = Object.values(codecErrors).flatMap((error) => (typeof error === 'object' ? [error.details] : []));
  const details = new Set([...fromCodec, ...detailsInSources()]);
  compare(
    t,
    [...details],
    (name) => recorded.includes(`"${name}"`) || recorded.includes(`:${name}"`),
    DETAILS_ELSEWHERE,
  );
});

t.test('every response flag occurs in a recording', async (t) => {
  const recorded = new Set<string>();
  for (const group of GROUPS)
    for (const { log } of Object.values(readGolden(group.name)?.scenarios ?? {}))
      for (const { flags } of log) for (const flag of String(flags).split(',')) recorded.add(flag);
  const flags = new Set<string>();
  for (const text of sources(['http', 'route', 'router', 'filter', 'listener']))
    for (const [, flag = ''] of text.matchAll(/\bFLAG_([A-Z]+)\b/g)) flags.add(flag);
  compare(t, [...flags], (flag) => recorded.has(flag), FLAGS_ELSEWHERE);
  const known = Object.keys(allFlags).flatMap((name) => (name.startsWith('FLAG_') ? [name.slice(5)] : []));
  compare(t, known, (flag) => flags.has(flag), FLAGS_OF_NOBODY);
});

t.test('no route hides behind an earlier prefix', async (t) => {
  for (const group of GROUPS) {
    const hidden = new Set<string>();
    findHidden(bootstrapJson(group), hidden);
    t.strictSame([...hidden], [], group.name);
  }
});

interface RouteJson {
  readonly match?: { readonly prefix?: string; readonly path?: string; readonly path_separated_prefix?: string };
}

/** Adds what a route matches where an earlier one, which asks for nothing but a prefix, takes all its requests. */
function findHidden(json: unknown, hidden: Set<string>): void {
  if (typeof json !== 'object' || json === null) return;
  const { routes } = json as { routes?: unknown };
  const plain: string[] = [];
  for (const { match = {} } of Array.isArray(routes) ? (routes as RouteJson[]) : []) {
    const path = match.prefix ?? match.path ?? match.path_separated_prefix;
    if (path !== undefined && plain.some((prefix) => path.startsWith(prefix))) hidden.add(path);
    if (match.prefix !== undefined && Object.keys(match).length === 1) plain.push(match.prefix);
  }
  for (const child of Object.values(json)) findHidden(child, hidden);
}

/** Fails for names that are neither reached nor excused, and for excuses that are no longer needed. */
function compare(
  t: Tap,
  names: readonly string[],
  isReached: (name: string) => boolean,
  elsewhere: Readonly<Record<string, readonly string[]>>,
): void {
  const excused = Object.values(elsewhere).flat();
  const missing = names.filter((name) => !isReached(name));
  t.same(missing.filter((name) => !excused.includes(name)).sort(), [], 'reached by a scenario or excused');
  t.same(excused.filter((name) => !missing.includes(name)).sort(), [], 'excused without need');
  t.comment(`${names.length - missing.length} of ${names.length} reached`);
}
type Tap = Pick<typeof t, 'same' | 'comment'>;

function bootstrapOf(group: Group): Msg {
  return decode('envoy.config.bootstrap.v3.Bootstrap', bootstrapJson(group));
}

function bootstrapJson(group: Group): unknown {
  // Any port will do: nothing is bound.
  const ports = new Proxy<Ports>({}, { get: () => 1 });
  return JSON.parse(JSON.stringify(group.bootstrap(ports, '/dev/null')));
}

/** Adds `type.field` for all that is set in a message and below; a plain field counts when it is not its default. */
function collect(message: Msg, seen: Set<string>): void {
  const desc = messageDesc(message.$typeName);
  const known = libraryRegistry().getMessage(message.$typeName)?.fields ?? [];
  for (const [i, field] of desc.fields.entries()) {
    if (!isFieldSet(message, known[i] as (typeof known)[number])) continue;
    seen.add(`${desc.typeName}.${field.name}`);
    for (const child of childrenOf(message, field)) collect(child, seen);
  }
}

function childrenOf(message: Msg, field: FieldType): readonly Msg[] {
  const kind = childOf(field);
  if (kind === 'none') return [];
  const members = message as unknown as Record<string, unknown>;
  const value = field.oneof === undefined ? members[field.localName] : (members[field.oneof.localName] as Set1).value;
  const list = (
    field.fieldKind === 'list' ? value : field.fieldKind === 'map' ? Object.values(value as object) : [value]
  ) as Msg[];
  if (kind !== 'any') return list;
  return list.filter((any) => str(any, 'typeUrl') !== '').map((any) => unpackAny(any, field.name).message);
}
type Set1 = { readonly value: unknown };

/** Texts in the code of the data path that look like details and are no values of the configuration or of a seam. */
function detailsInSources(): string[] {
  const others = sources(['config', 'upstream']).join('');
  const found = sources(['http', 'route', 'router', 'listener']).flatMap(
    (text) => text.match(/'[a-z]+(_[a-z]+)+'/g) ?? [],
  );
  return found
    .filter((literal) => !others.includes(literal))
    .map((literal) => literal.slice(1, -1))
    .filter((name) => !NO_DETAILS.includes(name));
}

function sources(folders: readonly string[]): string[] {
  return folders.flatMap((folder) => {
    const dir = new URL(`${folder}/`, proxyDir);
    const names = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
    return names.map((name) => readFileSync(new URL(name, dir), 'utf8'));
  });
}
