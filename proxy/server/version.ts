// What this program says about itself where Envoy states its version.

import type { JsonObject, JsonValue } from '../config/model/common.ts';

/** This program's own version; the same as in package.json, which a test checks. */
export const OUTRIGGER_VERSION = '0.1.0';
/** The Envoy release whose behaviour this follows; tools that ask for features by version read it. */
export const ENVOY_VERSION = '1.40.0';

const REVISION = `outrigger-${OUTRIGGER_VERSION}`;
const TLS_LIBRARY = 'OpenSSL';

/** In Envoy's form: revision, version, tree status, build type, TLS library. */
export const VERSION_TEXT = `${REVISION}/${ENVOY_VERSION}/Clean/RELEASE/${TLS_LIBRARY}`;

/** An extension as the node announces it. */
export interface ExtensionInfo {
  readonly name: string;
  readonly category: string;
  readonly typeUrls: readonly string[];
}

/** The node of a bootstrap with what the program itself adds: user agent, version and extensions. */
export function decorateNode(node: JsonObject, extensions: readonly ExtensionInfo[]): JsonObject {
  const [major, minor, patch] = ENVOY_VERSION.split('.').map(Number) as [number, number, number];
  const { id, cluster, metadata, locality, ...rest } = node;
  const out: Record<string, JsonValue> = {};
  if (id !== undefined) out['id'] = id;
  if (cluster !== undefined) out['cluster'] = cluster;
  if (metadata !== undefined) out['metadata'] = metadata;
  if (locality !== undefined) out['locality'] = locality;
  out['user_agent_name'] = 'envoy';
  out['user_agent_build_version'] = {
    version: { major_number: major, minor_number: minor, ...(patch === 0 ? {} : { patch }) },
    metadata: {
      'build.type': 'RELEASE',
      'revision.sha': REVISION,
      'revision.status': 'Clean',
      'ssl.version': TLS_LIBRARY,
    },
  };
  if (extensions.length > 0) {
    out['extensions'] = extensions.map(({ name, category, typeUrls }) => ({
      name,
      category,
      ...(typeUrls.length === 0 ? {} : { type_urls: typeUrls }),
    }));
  }
  return { ...out, ...rest };
}
