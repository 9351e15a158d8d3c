// Lowers hash policies (Envoy: config.route.v3.RouteAction.HashPolicy).

import { ConfigError } from '../../util/error.ts';
import type { HashPolicyModel } from '../model/hash.ts';
import { bool, has, list, type Msg, oneof, str, sub, toMs } from '../schema/message.ts';
import { asciiLower, wireString } from './common.ts';
import { lowerRegexRewrite } from './route-reply.ts';

/** @param policies of a `hash_policy` field, which is at `path` */
export function lowerHashPolicies(policies: readonly Msg[], path: string): readonly HashPolicyModel[] {
  const models: HashPolicyModel[] = [];
  for (const [index, policy] of policies.entries()) {
    const model = lowerHashPolicy(policy, `${path}[${index}]`);
    if (model !== null) models.push(model);
  }
  return models;
}

/** @returns `null` = it asks for nothing */
function lowerHashPolicy(message: Msg, path: string): HashPolicyModel | null {
  const specifier = oneof(message, 'policySpecifier');
  if (specifier === null) throw new ConfigError('policy_specifier is required', path);
  const value = specifier.value as Msg;
  const terminal = bool(message, 'terminal');
  switch (specifier.case) {
    case 'header': {
      const rewrite = sub(value, 'regexRewrite');
      return {
        terminal,
        kind: 'header',
        name: asciiLower(wireString(str(value, 'headerName'))),
        rewrite: rewrite === null ? null : lowerRegexRewrite(rewrite, `${path}.header.regex_rewrite`),
      };
    }
    case 'cookie':
      return {
        terminal,
        kind: 'cookie',
        name: wireString(str(value, 'name')),
        ttlSeconds: has(value, 'ttl') ? Math.max(0, Math.floor(toMs(sub(value, 'ttl') as Msg) / 1000)) : -1,
        path: wireString(str(value, 'path')),
        attributes: list(value, 'attributes').map((attribute) => ({
          name: wireString(str(attribute, 'name')),
          value: wireString(str(attribute, 'value')),
        })),
      };
    case 'connectionProperties':
      return bool(value, 'sourceIp') ? { terminal, kind: 'source_ip' } : null;
    case 'queryParameter':
      return { terminal, kind: 'query_parameter', name: wireString(str(value, 'name')) };
    default:
      return { terminal, kind: 'filter_state', key: str(value, 'key') };
  }
}

/** `type.v3.HashPolicy`, of TCP connections. */
export function lowerTcpHashPolicies(policies: readonly Msg[], path: string): readonly HashPolicyModel[] {
  return policies.map((policy, index) => {
    const specifier = oneof(policy, 'policySpecifier');
    if (specifier === null) throw new ConfigError('policy_specifier is required', `${path}[${index}]`);
    if (specifier.case === 'sourceIp') return { terminal: false, kind: 'source_ip' };
    return { terminal: false, kind: 'filter_state', key: str(specifier.value as Msg, 'key') };
  });
}
