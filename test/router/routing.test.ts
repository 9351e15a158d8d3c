// Route tables against what Envoy 1.40 did with the same configuration and requests (`test/corpus/routing.json`):
// virtual hosts, matchers, rewrites, redirects, clusters and header mutations.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { HeaderMap } from '../../proxy/codec/headers.ts';
import { H1_OPTIONS, type RequestHead } from '../../proxy/codec/http1.ts';
import { RequestDecoder } from '../../proxy/codec/http1-request.ts';
import { LowerContext } from '../../proxy/config/lower/common.ts';
import { lowerRouteConfig } from '../../proxy/config/lower/route.ts';
import { type ConnectionInfo, StreamInfo } from '../../proxy/observe/stream-info.ts';
import { applyRequestChanges, rewriteToHost } from '../../proxy/route/rewrite.ts';
import type { CompiledRoute, RouteTable } from '../../proxy/route/route.ts';
import { compileRouteTable } from '../../proxy/route/route-table.ts';
import type { Cluster, ClusterManager, ClusterRef } from '../../proxy/upstream/upstream.ts';
import { lowered } from '../fixtures/lower.ts';
import { FakeStats } from '../fixtures/upstream.ts';

interface Outcome {
  status: number;
  location?: string;
  cluster?: string;
  path?: string;
  host?: string;
  /** Headers the upstream saw, those that these scenarios are about. */
  request?: string[];
  response?: string[];
}
interface RecordedRequest {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly headers: { readonly [name: string]: string | readonly string[] };
  readonly want: Outcome;
}
interface Scenario {
  readonly name: string;
  readonly config: object;
  readonly requests: readonly RecordedRequest[];
}

const SHOWN = /^(x-t-|x-envoy-original|x-forwarded-host|user-agent|accept|via|cookie)/;
const HOST_NAME = 'up.host';
const known = (name: string): ClusterRef => ({ name, current: /^c[1-5]$/.test(name) ? ({} as Cluster) : null });
const clusters: ClusterManager = {
  ref: known,
  find: known,
};
const connection = { tls: null } as unknown as ConnectionInfo;

function decodeHead(request: RecordedRequest): RequestHead {
  let text = `${request.method} ${request.path} HTTP/1.1\r\nHost: ${request.host}\r\n`;
  for (const [name, value] of Object.entries(request.headers))
    for (const one of typeof value === 'string' ? [value] : value) text += `${name}: ${one}\r\n`;
  let decoded: RequestHead | null = null;
  const decoder = new RequestDecoder(H1_OPTIONS, {
    onRequestHead(head) {
      decoded = head;
    },
    onRequestData() {},
    onRequestTrailers() {},
  });
  const error = decoder.feed(Buffer.from(`${text}\r\n`, 'latin1'));
  if (error !== null || decoded === null) throw new Error(`${error?.message}: ${text}`);
  return decoded;
}

function shown(headers: HeaderMap, pattern: RegExp): string[] | undefined {
  const list = headers.names.map((name, i) => `${name}: ${headers.values[i]}`).filter((line) => pattern.test(line));
  return list.length === 0 ? undefined : list;
}

function outcomeOf(table: RouteTable, request: RecordedRequest): Outcome {
  const { method, path, authority, headers } = decodeHead(request);
  headers.addIfAbsent('x-forwarded-proto', 'http');
  const info = new StreamInfo(connection, 0, 0);
  Object.assign(info, {
    method,
    path,
    authority,
    authorityIsEmpty: authority === '',
    requestHeaders: headers,
    protocol: 'HTTP/1.1',
  });
  info.scheme = headers.get('x-forwarded-proto') as string;
  info.internal = headers.get('x-forwarded-for')?.startsWith('10.') ?? false;
  if (table.needsTls(info, headers)) return { status: 301, location: `https://${authority}${path}` };
  const route = table.match(info, headers, 0);
  return route === null ? { status: 404 } : runRoute(route, info, headers);
}

function runRoute(found: CompiledRoute, info: StreamInfo, headers: HeaderMap): Outcome {
  const route = found.rules;
  const reply = new HeaderMap();
  const out: Outcome = { status: 0 };
  if (route.kind !== 'route') {
    const { redirect, directResponse, directLocation } = route;
    if (redirect !== null) {
      redirect.rewrite?.(info, headers, true);
      Object.assign(out, { status: redirect.status, location: redirect.location(info) });
    } else if (directResponse !== null) {
      // A gRPC client gets its own answers as 200 with the real one in trailers: the manager's work.
      const grpc = headers.get('content-type')?.startsWith('application/grpc') ?? false;
      out.status = grpc ? 200 : directResponse.status;
      if (directLocation !== null) out.location = directLocation(info);
    }
    route.mutateLocalResponse?.(reply, info);
  } else {
    const target = found.target ?? route.pickTarget?.(info, headers, 0) ?? null;
    if (target === null || target.cluster.current === null) return { status: route.clusterNotFoundCode };
    applyRequestChanges(route, target, info, headers, true);
    if (route.autoHostRewrite) rewriteToHost(route, info, headers, HOST_NAME, true);
    Object.assign(out, { status: 200, cluster: target.cluster.name, path: info.path, host: info.authority });
    out.request = shown(headers, SHOWN) as string[];
    reply.add('x-r-up', 'u');
    reply.add('x-r-o', 'up');
    target.mutateResponse?.(reply, info);
  }
  out.response = shown(reply, /^x-r-/) as string[];
  return out;
}

const scenarios = JSON.parse(
  readFileSync(new URL('../corpus/routing.json', import.meta.url), 'utf8'),
) as readonly Scenario[];

for (const { name, config, requests } of scenarios)
  t.test(name, (t) => {
    const model = lowered(
      lowerRouteConfig,
      'envoy.config.route.v3.RouteConfiguration',
      { name: 'r', ...config },
      new LowerContext(),
    );
    const table = compileRouteTable(model, {
      clusters,
      stats: new FakeStats(),
      runtimeKeys: {},
    });
    for (const request of requests) {
      const got = JSON.parse(JSON.stringify(outcomeOf(table, request))) as Outcome;
      t.same(got, request.want, `${request.method} ${request.host}${request.path} ${JSON.stringify(request.headers)}`);
    }
    t.end();
  });
