// Our JSON decoder against protobuf-es's own: the same documents must give the same bytes. Documents are drawn from the
// descriptors, so that every kind of field of every message occurs.

import {
  createRegistry,
  type DescField,
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonObject,
  type JsonValue,
  ScalarType,
  toBinary,
} from '@bufbuild/protobuf';
import fc from 'fast-check';
import t from 'tap';
import { bootstrap } from '../../benchmarks/bootstrap.ts';
import { checkAnswers } from '../../proxy/config/answers.ts';
import { FIELDS } from '../../proxy/config/fields/fields.ts';
import { decodeJson } from '../../proxy/config/read/decode.ts';
import { messageToDumpJson } from '../../proxy/config/read/dump-json.ts';
import { validateMessage } from '../../proxy/config/read/validate.ts';
import { libraryRegistry } from '../../proxy/config/schema/protobuf-es.mts';

const RUNS = 1500;
const DEPTH_MAX = 4;
const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000_007);

const messages = [...libraryRegistry().allMessages()].filter((desc) => !desc.typeName.startsWith('google.protobuf.'));
const registry = createRegistry(...libraryRegistry().allMessages());

/** A small deterministic generator, so that one integer describes a whole document. */
class Draw {
  #state: number;
  constructor(start: number) {
    this.#state = start >>> 0 || 1;
  }
  below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % limit;
  }
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

function scalar(type: ScalarType | undefined, draw: Draw): JsonValue {
  switch (type) {
    case ScalarType.STRING:
      return draw.pick(['', 'a', 'é', '/x', 'long '.repeat(5)]);
    case ScalarType.BOOL:
      return draw.pick([true, false]);
    case ScalarType.BYTES:
      return draw.pick(['', 'aGk=', '_-8']);
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return draw.pick([0, 1.5, -2, '2.5', 'NaN', '-Infinity']);
    case ScalarType.UINT64:
    case ScalarType.INT64:
      return draw.pick([0, 7, '9007199254740993']);
    default:
      return draw.pick([0, 1, 65_535, '12', 2_147_483_647]);
  }
}

function value(field: DescField, draw: Draw, depth: number): JsonValue {
  if (field.message !== undefined) return document(field.message, draw, depth + 1);
  if (field.enum !== undefined) {
    const item = draw.pick(field.enum.values);
    return draw.pick([item.name, item.number]);
  }
  return scalar(field.scalar, draw);
}

const ROUTER = 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router';

function special(desc: DescMessage, draw: Draw): JsonValue | undefined {
  switch (desc.typeName) {
    case 'google.protobuf.Duration':
      return draw.pick(['0s', '1.5s', '-0.000000001s', '3600s', '0.25s']);
    case 'google.protobuf.Timestamp':
      return '2026-01-02T03:04:05.006Z';
    case 'google.protobuf.FieldMask':
      return 'a,b';
    case 'google.protobuf.Struct':
      return { a: [1, 'x', { b: false }] };
    case 'google.protobuf.Value':
      return draw.pick([1, 'x', true, [1], { a: 1 }]);
    case 'google.protobuf.ListValue':
      return [1, 'x'];
    case 'google.protobuf.Any':
      return draw.pick([
        { '@type': ROUTER, suppress_envoy_headers: true },
        { '@type': 'type.googleapis.com/google.protobuf.Duration', value: '1s' },
        {},
      ]);
    default:
      return desc.typeName.endsWith('Value') && desc.typeName.startsWith('google.protobuf.')
        ? scalar(desc.fields[0]?.scalar, draw)
        : undefined;
  }
}

function document(desc: DescMessage, draw: Draw, depth: number): JsonValue {
  const known = special(desc, draw);
  if (known !== undefined) return known;
  const json: JsonObject = {};
  const groups = new Set<string>();
  for (const field of desc.fields) {
    if (field.oneof !== undefined && groups.has(field.oneof.name)) continue;
    if (draw.below(depth === 0 ? 2 : 4) !== 0 || (depth >= DEPTH_MAX && field.message !== undefined)) continue;
    if (field.oneof !== undefined) groups.add(field.oneof.name);
    const name = draw.pick([field.name, field.jsonName]);
    if (field.fieldKind === 'list') json[name] = [value(field, draw, depth), value(field, draw, depth)];
    else if (field.fieldKind === 'map')
      json[name] = { [field.mapKey === ScalarType.STRING ? 'k' : '1']: value(field, draw, depth) };
    else json[name] = value(field, draw, depth);
  }
  return json;
}

t.test(`documents of every message type decode as protobuf-es decodes them (SEED=${seed})`, async (t) => {
  let compared = 0;
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 0x7fff_ffff }), (start) => {
      const draw = new Draw(start);
      const desc = draw.pick(messages);
      const json = document(desc, draw, 0);
      if (typeof json !== 'object') return;
      const ours = decodeJson(desc.typeName, json, { allowUnknown: false, warnings: [] });
      const theirs = fromJson(desc, json, { registry });
      const bytes = Buffer.from(toBinary(desc, ours)).toString('hex');
      if (bytes !== Buffer.from(toBinary(desc, theirs)).toString('hex')) {
        throw new Error(`${desc.typeName}: ${JSON.stringify(json)}`);
      }
      // From the wire and from JSON, one message has one dump, and the dump decodes to the same bytes.
      const dump = messageToDumpJson(ours);
      const fromWire = messageToDumpJson(fromBinary(desc, toBinary(desc, ours)));
      if (JSON.stringify(sorted(dump)) !== JSON.stringify(sorted(fromWire)))
        throw new Error(`dump of ${desc.typeName}`);
      compared++;
    }),
    { numRuns: RUNS, seed },
  );
  t.ok(compared > RUNS / 2, `${compared} documents`);
});

t.test(`what the decoder did not notice is not there (SEED=${seed})`, async (t) => {
  let clean = 0;
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 0x7fff_ffff }), (start) => {
      const draw = new Draw(start);
      const desc = draw.pick(messages);
      const json = document(desc, draw, DEPTH_MAX - draw.below(3));
      const findings = { invalid: false, unanswered: false };
      const message = decodeJson(desc.typeName, json, { allowUnknown: false, warnings: [], findings });
      const fail = (text: string) => {
        throw new Error(`${desc.typeName} ${JSON.stringify(json)}: ${text}`);
      };
      if (!findings.invalid) {
        const onDeprecated = (path: string, name: string) => fail(`${path} ${name} is deprecated`);
        validateMessage(message, '', { onDeprecated, onUnknown: (path) => fail(`unknown at ${path}`) });
      }
      if (!findings.unanswered && desc.typeName in FIELDS) {
        clean++;
        checkAnswers(message, '', { warn: fail, reject: (error) => fail(String(error)), skipTypes: new Set() });
      }
    }),
    { numRuns: RUNS * 4, seed },
  );
  t.ok(clean > RUNS / 50, `${clean} documents without a word`);
});

t.test('nothing is noticed in the file that starts are measured with', async (t) => {
  const options = { port: 1, adminPort: 2, originPort: 3, kind: 'http', accessLog: '/dev/null', mesh: true } as const;
  const findings = { invalid: false, unanswered: false };
  const json = bootstrap(options);
  decodeJson('envoy.config.bootstrap.v3.Bootstrap', json, { allowUnknown: false, warnings: [], findings });
  t.same(findings, { invalid: false, unanswered: false });
});

/** Struct members have no order on the wire. */
function sorted(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(sorted);
  if (typeof json !== 'object' || json === null) return json;
  return Object.fromEntries(
    Object.entries(json)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, sorted(item)]),
  );
}
