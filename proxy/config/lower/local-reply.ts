// Lowers `LocalReplyConfig`: how answers made by the proxy itself are rewritten.

import { ConfigError } from '../../util/error.ts';
import type { LocalReplyModel } from '../model/http.ts';
import { list, type Msg, num, sub } from '../schema/message.ts';
import { lowerBodyFormat, lowerLogFilter } from './access-log.ts';
import { type LowerContext, readDataSource } from './common.ts';
import { lowerHeaderAdds } from './header-mutations.ts';

export function lowerLocalReply(message: Msg | null, ctx: LowerContext, path: string): LocalReplyModel {
  if (message === null) return { mappers: [], bodyFormat: null };
  const format = sub(message, 'bodyFormat');
  return {
    mappers: list(message, 'mappers').map((mapper, index) => lowerMapper(mapper, ctx, `${path}.mappers[${index}]`)),
    bodyFormat: format === null ? null : lowerBodyFormat(format, ctx, `${path}.body_format`),
  };
}

function lowerMapper(message: Msg, ctx: LowerContext, path: string): LocalReplyModel['mappers'][number] {
  const filter = sub(message, 'filter');
  if (filter === null) throw new ConfigError('filter is required', path);
  const body = sub(message, 'body');
  const format = sub(message, 'bodyFormatOverride');
  return {
    filter: lowerLogFilter(filter, `${path}.filter`),
    statusCode: num(message, 'statusCode'),
    body: body === null ? null : readDataSource(body, ctx, `${path}.body`).toString('latin1'),
    bodyFormat: format === null ? null : lowerBodyFormat(format, ctx, `${path}.body_format_override`),
    headersToAdd: lowerHeaderAdds(list(message, 'headersToAdd'), `${path}.headers_to_add`),
  };
}
