// Answers of our own: Envoy's shape, rewritten by `local_reply_config`, turned into gRPC where the client speaks it
// (Envoy: docs configuration/http/http_conn_man/local_reply).

import { HeaderMap } from '../codec/headers.ts';
import type { LocalReplyModel } from '../config/model/http.ts';
import type { BodyFormatModel } from '../config/model/route.ts';
import type { RuntimeKeys } from '../config/model/runtime.ts';
import { grpcMessage, grpcStatusOf } from '../filter/grpc-status.ts';
import { compileLogFilter } from '../observe/access-log-filter.ts';
import { compileFormat, type Formatter } from '../observe/format.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import type { Mutate } from '../route/mutations.ts';
import { compileMutations } from '../route/mutations.ts';
import type { RouteRules } from '../route/route.ts';
import type { ReplyHeaders } from '../router/downstream.ts';
import type { HttpStream } from './stream.ts';

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

/** Replies whose gRPC status does not follow from their HTTP status, by their details. */
const GRPC_STATUS_OF_DETAILS: ReadonlyMap<string, number> = new Map([['max_duration_timeout', 4]]);

/** Builds an answer; sets `info.status` and `info.localReplyBody` for mappers and formatters. */
export function buildLocalReply(stream: HttpStream, status: number, body: string, add: ReplyHeaders): LocalReply {
  const headers = new HeaderMap();
  const reply: LocalReply = { status, body, isJson: false, headers };
  const mutate = stream.route === null ? null : mutationsOf(stream.route, stream);
  stream.responseHeaders = headers;
  if (mutate !== null) mutate(headers, stream);
  if (add !== null) add(headers);
  stream.status = status;
  const custom = headers.get('content-type');
  const { localReply } = stream.manager;
  let contentType = custom ?? 'text/plain';
  if (localReply !== null) {
    stream.localReplyBody = body;
    const rewritten = localReply(stream, reply) || 'text/plain';
    contentType = typeAfter(headers.get('content-type'), custom, rewritten, reply.body !== body);
  }
  stream.localReplyBody = '';
  if (stream.isGrpc) return asGrpc(stream, reply);
  if (reply.body !== '') {
    headers.set('content-length', `${reply.body.length}`);
    headers.set('content-type', contentType);
    return reply;
  }
  headers.remove('content-type');
  headers.remove('content-length');
  return reply;
}

/** Answers of our own to requests that are routed are changed as their upstream's would be. */
function mutationsOf(route: RouteRules, stream: HttpStream): Mutate | null {
  if (route.kind !== 'route') return route.kind === 'non_forwarding' ? route.mutateLocalResponse : null;
  return stream.target === null ? route.mutateLocalResponse : stream.target.mutateResponse;
}

/** What a mapper's headers say holds; else a changed body has its format's type, and an unchanged one its own. */
function typeAfter(now: string | null, before: string | null, rewritten: string, changed: boolean): string {
  if (now !== null && now !== before) return now;
  return changed ? rewritten : (before ?? rewritten);
}

function asGrpc(stream: HttpStream, reply: LocalReply): LocalReply {
  const { headers } = reply;
  headers.remove('content-length');
  headers.set('content-type', 'application/grpc');
  const status = GRPC_STATUS_OF_DETAILS.get(stream.details) ?? grpcStatusOf(reply.status);
  headers.addIfAbsent('grpc-status', `${status}`);
  const text = reply.isJson && reply.body.endsWith('\n') ? reply.body.slice(0, -1) : reply.body;
  if (text !== '' && stream.method !== 'HEAD') headers.set('grpc-message', grpcMessage(text));
  return { status: 200, body: '', isJson: false, headers };
}

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
