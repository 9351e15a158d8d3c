// Answers of our own: Envoy's shape, rewritten by `local_reply_config`, turned into gRPC where the client speaks it.

import { HeaderMap } from '../codec/headers.ts';
import { grpcMessage, grpcStatusOf } from '../filter/grpc-status.ts';
import type { Mutate } from '../route/mutations.ts';
import type { RouteRules } from '../route/route.ts';
import type { ReplyHeaders } from '../router/downstream.ts';
import type { ManagedStream } from './managed-stream.ts';
import type { LocalReply } from './reply-rewrite.ts';

/** Replies whose gRPC status does not follow from their HTTP status, by their details. */
const GRPC_STATUS_OF_DETAILS: ReadonlyMap<string, number> = new Map([['max_duration_timeout', 4]]);

/** Builds an answer; sets `info.status` and `info.localReplyBody` for mappers and formatters. */
export function buildLocalReply(stream: ManagedStream, status: number, body: string, add: ReplyHeaders): LocalReply {
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
function mutationsOf(route: RouteRules, stream: ManagedStream): Mutate | null {
  if (route.kind !== 'route') return route.kind === 'non_forwarding' ? route.mutateLocalResponse : null;
  return stream.target === null ? route.mutateLocalResponse : stream.target.mutateResponse;
}

/** What a mapper's headers say holds; else a changed body has its format's type, and an unchanged one its own. */
function typeAfter(now: string | null, before: string | null, rewritten: string, changed: boolean): string {
  if (now !== null && now !== before) return now;
  return changed ? rewritten : (before ?? rewritten);
}

function asGrpc(stream: ManagedStream, reply: LocalReply): LocalReply {
  const { headers } = reply;
  headers.remove('content-length');
  headers.set('content-type', 'application/grpc');
  const status = GRPC_STATUS_OF_DETAILS.get(stream.details) ?? grpcStatusOf(reply.status);
  headers.addIfAbsent('grpc-status', `${status}`);
  const text = reply.isJson && reply.body.endsWith('\n') ? reply.body.slice(0, -1) : reply.body;
  if (text !== '' && stream.method !== 'HEAD') headers.set('grpc-message', grpcMessage(text));
  return { status: 200, body: '', isJson: false, headers };
}
