// Entry point of the configuration thread: one task, one answer, then it ends and gives its memory back.
// Protobuf and everything that knows it is loaded in this thread only.

import { parentPort, workerData } from 'node:worker_threads';
import { loadStaticModel, reloadTls, renderBootstrapDump } from '../config/load.ts';
import type { Model } from '../config/model/model.ts';
import { modelText } from '../config/model/text.ts';
import { secretsHash, type TlsContextModel, tlsContexts } from '../config/model/tls-contexts.ts';
import { certificateEnds } from '../net/tls-options.ts';
import { assignBreakerBases } from '../upstream/cluster-manager.ts';
import { assignOutlierCells } from '../upstream/outlier-cells.ts';
import { ConfigError } from '../util/error.ts';
import type { Options } from './args.ts';
import { renderConfigDump } from './config-dump.ts';
import { checkLogPaths } from './log-paths.ts';
import type { ConfigReply, ConfigRequest, TlsFiles } from './messages.ts';
import { decorateNode } from './version.ts';
import { quietWarnings } from './warnings.ts';

function run(request: ConfigRequest): ConfigReply {
  try {
    switch (request.task) {
      case 'load':
        return load(request.options);
      case 'dump':
        return dump(request);
      case 'secrets':
        return readSecrets(request);
    }
  } catch (error) {
    if (error instanceof ConfigError) return { type: 'failed', message: error.message };
    // The only RangeErrors there can be: a JSON text of more than 512 MiB, or what is kept by the million.
    if (error instanceof RangeError)
      return { type: 'failed', message: `the configuration is too large: ${error.message}` };
    throw error;
  }
}

function load(options: Options): ConfigReply {
  const { model, warnings, unsupportedFields, rawBootstrapJson, tlsFiles } = loadStaticModel(options);
  checkLogPaths(model);
  const numbered = { ...model, clusters: assignOutlierCells(assignBreakerBases(model.clusters, new Map())) };
  return {
    type: 'loaded',
    modelJson: modelText(numbered),
    controlJson: modelText(controlModel(numbered)),
    listenerTlsJson: JSON.stringify(tlsContexts({ listeners: model.listeners, clusters: [] })),
    warnings,
    unsupportedFields: unsupportedFields.length,
    bootstrapJson: rawBootstrapJson,
    tls: tlsFilesOf(tlsContexts(model), tlsFiles, {}),
  };
}

function readSecrets({ options, bootstrapJson, hashes }: Extract<ConfigRequest, { task: 'secrets' }>): ConfigReply {
  const { contexts, refusals, tlsFiles } = reloadTls(bootstrapJson, options);
  const tls = tlsFilesOf(contexts, tlsFiles, hashes);
  return { type: 'secrets', contexts: contexts.filter(({ id }) => tls.hashes[id] !== hashes[id]), tls, refusals };
}

/** @param before digests of contexts that may be missing now: what could not be read is still what it was */
function tlsFilesOf(
  contexts: readonly TlsContextModel[],
  files: readonly string[],
  before: Readonly<Record<string, string>>,
): TlsFiles {
  const hashes = Object.fromEntries(contexts.map((context) => [context.id, secretsHash(context)]));
  const ends = contexts.flatMap((context) => [...certificateEnds(context).values()]);
  return { files, hashes: { ...before, ...hashes }, firstEndSeconds: ends.length === 0 ? -1 : Math.min(...ends) };
}

/** What the main thread needs: listeners without what is behind them, and hosts where it resolves names or watches. */
function controlModel(model: Model): Model {
  return {
    ...model,
    clusters: model.clusters.map((cluster) =>
      cluster.outlier !== null || /_dns$/.test(cluster.discovery.kind) ? cluster : { ...cluster, localities: [] },
    ),
    listeners: model.listeners.map((listener) => ({ ...listener, filterChains: [], defaultFilterChain: null })),
  };
}

function dump(request: Extract<ConfigRequest, { task: 'dump' }>): ConfigReply {
  const bootstrap = renderBootstrapDump(request.bootstrapJson, request.options);
  const node = decorateNode((bootstrap['node'] ?? {}) as Record<string, never>, []);
  const {
    status,
    contentType,
    body: text,
  } = renderConfigDump(
    { bootstrap: { ...bootstrap, node }, loadedAt: request.loadedAt, clusters: request.clusters },
    request.query,
  );
  return { type: 'dumped', status, contentType, body: new TextEncoder().encode(text) };
}

quietWarnings(() => {});
const reply = run(workerData as ConfigRequest);
parentPort?.postMessage(reply, reply.type === 'dumped' ? [reply.body.buffer as ArrayBuffer] : []);
