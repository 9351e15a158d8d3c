// Endpoints of a cluster (Envoy: config.endpoint.v3.ClusterLoadAssignment).

import { ConfigError } from '../../util/error.ts';
import type { DiscoveryModel, EndpointModel, LocalityModel } from '../model/cluster.ts';
import type { AddressModel } from '../model/common.ts';
import { list, type Msg, messageMap, num, oneofCase, str, sub } from '../schema/message.ts';
import { lowerAddress, lowerMetadata, requireIp } from './common.ts';

const HEALTH = ['unknown', 'healthy', 'unhealthy', 'draining', 'timeout', 'degraded'] as const;

/**
 * @param discovery decides whether an endpoint may be a host name
 * @param path of the load assignment
 */
export function lowerLocalities(assignment: Msg | null, discovery: DiscoveryModel, path: string): LocalityModel[] {
  if (assignment === null) return [];
  const byName = messageMap(assignment, 'namedEndpoints');
  return list(assignment, 'endpoints').map((group, i) => {
    const where = `${path}.endpoints[${i}]`;
    const locality = sub(group, 'locality');
    return {
      region: locality === null ? '' : str(locality, 'region'),
      zone: locality === null ? '' : str(locality, 'zone'),
      subZone: locality === null ? '' : str(locality, 'subZone'),
      priority: num(group, 'priority'),
      weight: num(group, 'loadBalancingWeight'),
      endpoints: list(group, 'lbEndpoints').map((item, j) =>
        lowerEndpoint(item, discovery, byName, `${where}.lb_endpoints[${j}]`),
      ),
    };
  });
}

function lowerEndpoint(
  message: Msg,
  discovery: DiscoveryModel,
  byName: { readonly [name: string]: Msg },
  path: string,
): EndpointModel {
  const name = oneofCase<string>(message, 'hostIdentifier', 'endpointName');
  const endpoint = name === null ? oneofCase(message, 'hostIdentifier', 'endpoint') : (byName[name] ?? null);
  const addressMessage = endpoint === null ? null : sub(endpoint, 'address');
  if (endpoint === null || addressMessage === null)
    throw new ConfigError('Address must be set', `${path}.endpoint.address`);
  const address = lowerAddress(addressMessage, `${path}.endpoint.address`);
  const resolves = discovery.kind === 'strict_dns' || discovery.kind === 'logical_dns';
  if (!resolves) requireIp(address, `${path}.endpoint.address.socket_address.address`);
  const configured = str(endpoint, 'hostname');
  return {
    address,
    additionalAddresses: list(endpoint, 'additionalAddresses').flatMap((item, i) => additionalAddress(item, path, i)),
    hostname: configured === '' && resolves && address.kind === 'socket' ? address.address : configured,
    health: HEALTH[num(message, 'healthStatus')] ?? 'unknown',
    weight: num(message, 'loadBalancingWeight', 1),
    metadata: lowerMetadata(sub(message, 'metadata')),
  };
}

function additionalAddress(message: Msg, path: string, index: number): AddressModel[] {
  const where = `${path}.endpoint.additional_addresses[${index}].address`;
  const inner = sub(message, 'address');
  if (inner === null) return [];
  const address = lowerAddress(inner, where);
  requireIp(address, where);
  return [address];
}
