// `local_reply_config`: what an operator makes of answers of our own
// (Envoy: docs configuration/http/http_conn_man/local_reply).

import type { HeaderMap } from '../codec/headers.ts';
import type { LocalReplyModel } from '../config/model/http.ts';
import type { BodyFormatModel } from '../config/model/route.ts';
import type { RuntimeKeys } from '../config/model/runtime.ts';
import { compileLogFilter } from '../observe/access-log-filter.ts';
import { compileFormat, type Formatter } from '../observe/format.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import { compileMutations } from '../route/mutations.ts';

/** A finished answer; `body` is a latin1 image. */
export interface LocalReply {
  status: number;
  body: string;
  /** The format says so. As in Envoy its last line end stays out of a gRPC message then. */
  isJson: boolean;
  readonly headers: HeaderMap;
}

/** Changes status, body and content type of an answer before it is framed. */
export type ReplyRewrite = (info: StreamInfo, reply: LocalReply) => string;

/**
 * Compiles `local_reply_config`; `null` when it changes nothing.
 * @param runtime what filters of mappers are overridden by
 */
export function compileLocalReply(model: LocalReplyModel, runtime: RuntimeKeys): ReplyRewrite | null {
  if (model.mappers.length === 0 && model.bodyFormat === null) return null;
  const mappers = model.mappers.map((mapper) => ({
    holds: compileLogFilter(mapper.filter, runtime),
    status: mapper.statusCode,
    body: mapper.body,
    format: mapper.bodyFormat === null ? null : compileBody(mapper.bodyFormat),
    mutate: compileMutations(mapper.headersToAdd, []),
  }));
  const fallback = model.bodyFormat === null ? null : compileBody(model.bodyFormat);
  return (info, reply) => {
    for (const mapper of mappers) {
      if (!mapper.holds(info)) continue;
      if (mapper.body !== null) {
        reply.body = mapper.body;
        info.localReplyBody = mapper.body;
      }
      if (mapper.mutate !== null) mapper.mutate(reply.headers, info);
      if (mapper.status !== 0) {
        reply.status = mapper.status;
        info.status = mapper.status;
      }
      if (mapper.format !== null) return mapper.format(info, reply);
      break;
    }
    return fallback === null ? '' : fallback(info, reply);
  };
}

const JSON_TYPE = 'application/json';

function compileBody(model: BodyFormatModel): ReplyRewrite {
  const format: Formatter = compileFormat(model.format);
  const isJson = model.format.kind === 'json';
  const contentType = model.contentType !== '' ? model.contentType : isJson ? JSON_TYPE : 'text/plain';
  return (info, reply) => {
    reply.body = format(info);
    reply.isJson = contentType === JSON_TYPE;
    return contentType;
  };
}
