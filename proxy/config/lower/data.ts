// `core.v3.DataSource` of TLS: read at once, and remembered with its place.

import { join } from 'node:path';
import { ConfigError } from '../../util/error.ts';
import type { DataModel } from '../model/tls.ts';
import { type Msg, oneof, str, sub } from '../schema/message.ts';
import type { LowerContext } from './common.ts';

export const NO_DATA: DataModel = { base64: '', path: '' };

/** As Envoy reads parts of certificates: what is not there is empty, and refused where it is needed. */
export function readOptionalData(message: Msg | null, ctx: LowerContext, path: string): DataModel {
  if (message === null) return NO_DATA;
  try {
    return readSource(message, ctx, path);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const source = oneof(message, 'specifier');
    return { base64: '', path: source?.case === 'filename' ? (source.value as string) : '' };
  }
}

/** @throws ConfigError when it cannot be read or is empty */
export function readData(message: Msg, ctx: LowerContext, path: string): DataModel {
  const source = oneof(message, 'specifier');
  const data = readSource(message, ctx, path);
  if (data.base64 !== '') return data;
  throw new ConfigError(
    source?.case === 'filename' ? `file ${data.path} is empty` : 'DataSource cannot be empty',
    path,
  );
}

/** A field that may be missing. */
export function readDataField(message: Msg, field: string, ctx: LowerContext, path: string): DataModel | null {
  const source = sub(message, field);
  return source === null ? null : readData(source, ctx, path);
}

/** Also when it is empty. @throws ConfigError when it cannot be read */
export function readSource(message: Msg, ctx: LowerContext, path: string): DataModel {
  const source = oneof(message, 'specifier');
  switch (source?.case) {
    case 'filename': {
      const file = source.value as string;
      ctx.tlsFiles.add(file);
      try {
        return { base64: ctx.readFile(file, path).toString('base64'), path: file };
      } catch (error) {
        // Envoy's words for a path that is not there
        if (error instanceof ConfigError && error.message.endsWith('ENOENT'))
          throw new ConfigError(`Invalid path: ${file}`, path);
        throw error;
      }
    }
    case 'inlineBytes':
      return { base64: Buffer.from(source.value as Uint8Array).toString('base64'), path: '' };
    case 'inlineString':
      return { base64: Buffer.from(source.value as string, 'utf8').toString('base64'), path: '' };
    case 'environmentVariable': {
      const value = process.env[source.value as string];
      if (value === undefined) throw new ConfigError(`Environment variable doesn't exist: ${source.value}`, path);
      return { base64: Buffer.from(value, 'utf8').toString('base64'), path: '' };
    }
    default:
      throw new ConfigError('Unexpected DataSource::specifier_case(): 0', path);
  }
}

/** `watched_directory`, on a message that has one. */
export function watchedDirectory(message: Msg, ctx: LowerContext): string {
  const directory = sub(message, 'watchedDirectory');
  if (directory === null) return '';
  const path = str(directory, 'path');
  ctx.tlsFiles.add(join(path, '.'));
  return path;
}
