// Makes `proxy/config/schema/schema.binpb` from a full descriptor set of the Envoy and Istio APIs:
//   node scripts/trim-schema.ts FULL.binpb proxy/config/schema/schema.binpb
// Kept: every message that a configuration can hold or name, the validation rules, and the few annotations that change
// what is accepted or shown. Dropped: gRPC services, comments, code-generator options, and files only they need.

import { readFileSync, writeFileSync } from 'node:fs';
import { create, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  EnumOptionsSchema,
  EnumValueOptionsSchema,
  type FieldDescriptorProto,
  FieldOptionsSchema,
  type FileDescriptorProto,
  FileDescriptorSetSchema,
  MessageOptionsSchema,
  OneofOptionsSchema,
} from '@bufbuild/protobuf/wkt';

/** File name prefixes whose messages may occur in a configuration. */
const ROOTS = [
  'envoy/',
  'contrib/',
  'google/protobuf/',
  'udpa/type/',
  'udpa/annotations/sensitive',
  'validate/',
  'xds/',
  'networking/',
  'security/',
  'telemetry/',
  'extensions/',
  'mesh/',
  'type/',
  'analysis/',
  'dns/',
  'meta/',
  'workloadapi/',
];

/** Extension numbers of options that matter at run time. */
const KEPT_OPTIONS = new Set([
  1071, // validate.rules, validate.required, validate.disabled
  1072, // validate.ignored
  76_569_463, // udpa.annotations.sensitive: redacted in dumps
  189_503_207, // envoy.annotations.disallowed_by_default
  70_100_853, // envoy.annotations.disallowed_by_default_enum
]);

function keepOptions<T extends Message>(from: T | undefined, to: T): T | undefined {
  const kept = from?.$unknown?.filter((field) => KEPT_OPTIONS.has(field.no)) ?? [];
  if (kept.length === 0 && Object.keys(to).length <= 1) return undefined;
  if (kept.length > 0) to.$unknown = kept;
  return to;
}

function trimField(field: FieldDescriptorProto): void {
  const old = field.options;
  const fresh = create(FieldOptionsSchema);
  if (old?.deprecated) fresh.deprecated = true;
  if (old?.packed !== undefined && Object.hasOwn(old, 'packed')) fresh.packed = old.packed;
  const kept = keepOptions(old, fresh);
  if (kept === undefined) delete field.options;
  else field.options = kept;
}

function trimEnum(item: EnumDescriptorProto): void {
  const fresh = create(EnumOptionsSchema);
  if (item.options?.allowAlias) fresh.allowAlias = true;
  const kept = keepOptions(item.options, fresh);
  if (kept === undefined) delete item.options;
  else item.options = kept;
  for (const value of item.value) {
    const valueOptions = create(EnumValueOptionsSchema);
    if (value.options?.deprecated) valueOptions.deprecated = true;
    const keptValue = keepOptions(value.options, valueOptions);
    if (keptValue === undefined) delete value.options;
    else value.options = keptValue;
  }
}

function trimMessage(message: DescriptorProto): void {
  const fresh = create(MessageOptionsSchema);
  if (message.options?.mapEntry) fresh.mapEntry = true;
  const kept = keepOptions(message.options, fresh);
  if (kept === undefined) delete message.options;
  else message.options = kept;
  message.reservedName = [];
  message.reservedRange = [];
  for (const field of message.field) trimField(field);
  for (const group of message.oneofDecl) {
    const keptOneof = keepOptions(group.options, create(OneofOptionsSchema));
    if (keptOneof === undefined) delete group.options;
    else group.options = keptOneof;
  }
  for (const item of message.enumType) trimEnum(item);
  for (const nested of message.nestedType) trimMessage(nested);
}

function trimFile(file: FileDescriptorProto): void {
  file.service = [];
  delete file.options;
  delete file.sourceCodeInfo;
  for (const message of file.messageType) trimMessage(message);
  for (const item of file.enumType) trimEnum(item);
}

/** Full names of the types that a file's fields and extensions refer to. */
function referenced(file: FileDescriptorProto): Set<string> {
  const names = new Set<string>();
  const take = (field: FieldDescriptorProto) => {
    if (field.typeName !== '') names.add(field.typeName);
    if (field.extendee !== '') names.add(field.extendee);
  };
  const walk = (message: DescriptorProto) => {
    message.field.forEach(take);
    message.extension.forEach(take);
    message.nestedType.forEach(walk);
  };
  file.extension.forEach(take);
  file.messageType.forEach(walk);
  return names;
}

function definedIn(file: FileDescriptorProto): string[] {
  const names: string[] = [];
  const walk = (prefix: string, message: DescriptorProto) => {
    const name = `${prefix}.${message.name}`;
    names.push(name);
    for (const item of message.enumType) names.push(`${name}.${item.name}`);
    for (const nested of message.nestedType) walk(name, nested);
  };
  const prefix = file.package === '' ? '' : `.${file.package}`;
  for (const message of file.messageType) walk(prefix, message);
  for (const item of file.enumType) names.push(`${prefix}.${item.name}`);
  return names;
}

function main(from: string, to: string): void {
  const set = fromBinary(FileDescriptorSetSchema, readFileSync(from));
  const before = set.file.length;
  set.file.forEach(trimFile);

  const fileOf = new Map<string, FileDescriptorProto>();
  for (const file of set.file) for (const name of definedIn(file)) fileOf.set(name, file);
  const kept = new Set<FileDescriptorProto>();
  const visit = (file: FileDescriptorProto) => {
    if (kept.has(file)) return;
    kept.add(file);
    const needs = new Set<string>();
    for (const name of referenced(file)) {
      const target = fileOf.get(name);
      if (target === undefined) throw new Error(`${file.name}: ${name} is not in the set`);
      visit(target);
      if (target !== file) needs.add(target.name);
    }
    file.dependency = [...needs];
    file.publicDependency = [];
    file.weakDependency = [];
  };
  for (const file of set.file) {
    const holdsTypes = file.messageType.length + file.enumType.length + file.extension.length > 0;
    if (holdsTypes && ROOTS.some((root) => file.name.startsWith(root))) visit(file);
  }
  set.file = set.file.filter((file) => kept.has(file));
  const bytes = toBinary(FileDescriptorSetSchema, set);
  writeFileSync(to, bytes);
  process.stdout.write(`${before} files → ${set.file.length}, ${bytes.length} bytes\n`);
}

const [from, to] = process.argv.slice(2);
if (from === undefined || to === undefined) {
  process.stderr.write('usage: node scripts/trim-schema.ts FULL.binpb OUT.binpb\n');
  process.exit(2);
}
main(from, to);
