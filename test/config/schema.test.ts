// Our reading of the descriptor set against protobuf-es's: names, kinds, defaults, options and validation rules of every
// field of every message.

import { readFileSync } from 'node:fs';
import {
  create,
  createFileRegistry,
  type DescField,
  type DescMessage,
  fromBinary,
  getOption,
  hasOption,
  toBinary,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import t from 'tap';
import { creatorOf } from '../../proxy/config/schema/create-message.ts';
import { WireReader } from '../../proxy/config/schema/descriptor-set.ts';
import type { Msg } from '../../proxy/config/schema/message.ts';
import { loadRegistry, messageDesc } from '../../proxy/config/schema/registry.ts';
import {
  DISALLOWED,
  DISALLOWED_VALUE,
  type EnumType,
  type FieldType,
  type MessageType,
} from '../../proxy/config/schema/schema.ts';
import { readWireMessage } from '../../proxy/config/schema/wire-message.ts';

const set = fromBinary(
  FileDescriptorSetSchema,
  readFileSync(new URL('../../proxy/config/schema/schema.binpb', import.meta.url)),
);
const library = createFileRegistry(set);
const theirs = new Map<string, DescMessage>();
for (const type of library) if (type.kind === 'message') theirs.set(type.typeName, type);

const RULES = library.getExtension('validate.rules');
const SENSITIVE = library.getExtension('udpa.annotations.sensitive');
const DISALLOWED_FIELD = library.getExtension('envoy.annotations.disallowed_by_default');
const DISALLOWED_ENUM = library.getExtension('envoy.annotations.disallowed_by_default_enum');
const RULES_NUMBER = 1071;
const SENSITIVE_NUMBER = 76_569_463;

type Options = Parameters<typeof hasOption>[0];
const flag = (desc: Options, extension: typeof RULES): boolean =>
  extension !== undefined && hasOption(desc, extension) && (getOption(desc, extension) as unknown) === true;

function seen(field: DescField): object {
  return {
    name: field.name,
    number: field.number,
    localName: field.localName,
    jsonName: field.jsonName,
    fieldKind: field.fieldKind,
    scalar: field.scalar ?? 0,
    mapKey: field.fieldKind === 'map' ? field.mapKey : 0,
    message: field.message?.typeName ?? '',
    enumeration: field.enum?.values.map((value) => [value.name, value.number, value.deprecated]) ?? [],
    disallowedValues: field.enum?.values.map((value) => flag(value, DISALLOWED_ENUM)) ?? [],
    oneof: field.oneof?.localName ?? '',
    deprecated: field.deprecated,
    sensitive: flag(field, SENSITIVE),
    disallowed: flag(field, DISALLOWED_FIELD),
    hasRules: RULES !== undefined && hasOption(field, RULES),
  };
}

function ours(field: FieldType): object {
  const enumeration: EnumType | undefined = field.enum;
  return {
    name: field.name,
    number: field.number,
    localName: field.localName,
    jsonName: field.jsonName,
    fieldKind: field.fieldKind,
    scalar: field.scalar ?? 0,
    mapKey: field.mapKey,
    message: field.message?.typeName ?? '',
    enumeration: enumeration?.values.map((value) => [value.name, value.number, value.deprecated]) ?? [],
    disallowedValues: enumeration?.values.map((value) => value.options.flag(DISALLOWED_VALUE)) ?? [],
    oneof: field.oneof?.localName ?? '',
    deprecated: field.deprecated,
    sensitive: field.options.flag(SENSITIVE_NUMBER),
    disallowed: field.options.flag(DISALLOWED),
    hasRules: field.options.block(RULES_NUMBER) !== null,
  };
}

t.test('every message has the fields that the library reads', async (t) => {
  const own = new Map([...loadRegistry().allMessages()].map((type) => [type.typeName, type]));
  t.same([...own.keys()].sort(), [...theirs.keys()].sort(), 'the same messages');
  const different: string[] = [];
  for (const [typeName, desc] of theirs) {
    const type = own.get(typeName) as MessageType;
    const a = { fields: type.fields.map(ours), members: type.members.map((member) => member.localName) };
    const b = { fields: desc.fields.map(seen), members: desc.members.map((member) => member.localName) };
    if (JSON.stringify(a) !== JSON.stringify(b)) different.push(`${typeName}: ${JSON.stringify([a, b])}`);
  }
  t.same(different, []);
});

t.test('an empty message reads as one of the library', async (t) => {
  const different: string[] = [];
  for (const [typeName, desc] of theirs) {
    const own = creatorOf(messageDesc(typeName))() as unknown as Record<string, unknown>;
    const known = create(desc) as unknown as Record<string, unknown>;
    for (const member of desc.members) {
      const [a, b] = [own[member.localName], known[member.localName]];
      const same = typeof a === 'object' ? JSON.stringify(a) === JSON.stringify(b) : a === b;
      if (!same) different.push(`${typeName}.${member.localName}: ${String(a)} for ${String(b)}`);
    }
    if (Object.keys(own).length > 0) different.push(`${typeName} is not empty`);
    const canBeEmpty = !typeName.startsWith('google.protobuf.'); // proto2 has required fields
    if (canBeEmpty && toBinary(desc, own as unknown as Msg).length > 0) different.push(`${typeName} on the wire`);
  }
  t.same(different, []);
});

t.test('validation rules are read as the library reads them', async (t) => {
  const type = messageDesc('validate.FieldRules');
  const desc = theirs.get('validate.FieldRules') as DescMessage;
  let compared = 0;
  for (const [typeName, message] of theirs) {
    for (const field of message.fields) {
      if (RULES === undefined || !hasOption(field, RULES)) continue;
      const bytes = Buffer.from(toBinary(desc, getOption(field, RULES) as unknown as Msg));
      const own = toBinary(desc, readWireMessage(type, bytes));
      if (!bytes.equals(own)) t.fail(`${typeName}.${field.name}`);
      compared++;
    }
  }
  t.ok(compared > 1000, `${compared} rules`);
});

t.test('numbers on the wire', async (t) => {
  const rules = theirs.get('validate.FieldRules') as DescMessage;
  const values = [
    ['int64', { gte: -5n, in: [-1n, 9_007_199_254_740_993n] }],
    ['sint64', { gte: -5n, lt: 1n << 40n }],
    ['sint32', { gte: -5, in: [-70, 3] }],
    ['uint64', { lte: (1n << 64n) - 1n }],
    ['fixed32', { lte: 0xffff_ffff }],
    ['sfixed32', { gte: -1 }],
    ['fixed64', { lte: 1n << 63n }],
    ['sfixed64', { gte: -1n }],
    ['float', { gte: -1.5, lt: Number.POSITIVE_INFINITY }],
    ['double', { gte: 1e-300, in: [Number.NaN, 0.1] }],
  ] as const;
  for (const [kind, value] of values) {
    const field = rules.fields.find((candidate) => candidate.localName === kind)?.message as DescMessage;
    const inner = create(field, value as Record<string, unknown>);
    const message = create(rules, { type: { case: kind, value: inner } });
    const bytes = Buffer.from(toBinary(rules, message));
    const own = readWireMessage(messageDesc('validate.FieldRules'), bytes);
    t.same(Buffer.from(toBinary(rules, own)).toString('hex'), bytes.toString('hex'), kind);
  }
  t.throws(() => new WireReader(Buffer.from([0x0a, 5, 1])).next() && new WireReader(Buffer.from([5, 1])).block(), {
    message: 'schema.binpb is cut off',
  });
});
