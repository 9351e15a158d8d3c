// Who listens where. The YAML files hold the ports for base 9080; another base moves all of them together.

import { createServer } from 'node:net';

export const PORT_BASE_DEFAULT = 9_080;
/** Ports from the base up that the example may use. */
export const PORT_SPAN = 25;

export type ProxyName = 'gateway' | 'productpage' | 'details' | 'reviews' | 'ratings';
export const PROXIES: readonly ProxyName[] = ['gateway', 'productpage', 'details', 'reviews', 'ratings'];

export interface PortMap {
  readonly gateway: number;
  /** Inbound listeners of the sidecars. */
  readonly inbound: Readonly<
    Record<'productpage' | 'details' | 'reviews-v1' | 'reviews-v2' | 'reviews-v3' | 'ratings', number>
  >;
  /** Outbound listeners of the sidecars whose program asks others. */
  readonly outbound: Readonly<Record<'productpage' | 'reviews', number>>;
  /** The programs themselves. */
  readonly apps: PortMap['inbound'];
  readonly admin: Readonly<Record<ProxyName, number>>;
}

/** All ports for a base. */
export function portMap(base: number): PortMap {
  return {
    gateway: base,
    inbound: {
      productpage: base + 1,
      details: base + 3,
      'reviews-v1': base + 4,
      'reviews-v2': base + 5,
      'reviews-v3': base + 6,
      ratings: base + 8,
    },
    outbound: { productpage: base + 2, reviews: base + 7 },
    apps: {
      productpage: base + 10,
      details: base + 11,
      'reviews-v1': base + 12,
      'reviews-v2': base + 13,
      'reviews-v3': base + 14,
      ratings: base + 15,
    },
    admin: { gateway: base + 20, productpage: base + 21, details: base + 22, reviews: base + 23, ratings: base + 24 },
  };
}

/** A bootstrap text with every `port_value` of the default range moved to another base. */
export function movePorts(yaml: string, base: number): string {
  return yaml.replace(/port_value: (\d+)/g, (whole, text: string) => {
    const offset = Number(text) - PORT_BASE_DEFAULT;
    return offset >= 0 && offset < PORT_SPAN ? `port_value: ${base + offset}` : whole;
  });
}

/** Every port with a name for it. */
export function namedPorts(ports: PortMap): [string, number][] {
  const named: [string, number][] = [['the gateway', ports.gateway]];
  for (const [name, port] of Object.entries(ports.inbound)) named.push([`the sidecar of ${name}`, port]);
  for (const [name, port] of Object.entries(ports.outbound)) named.push([`the sidecar of ${name} (outbound)`, port]);
  for (const [name, port] of Object.entries(ports.apps)) named.push([`the program ${name}`, port]);
  for (const [name, port] of Object.entries(ports.admin)) named.push([`the admin page of ${name}`, port]);
  return named;
}

/** The first port that something else already listens on, or `null`. */
export async function findTaken(ports: PortMap): Promise<[string, number] | null> {
  for (const [name, port] of namedPorts(ports)) if (!(await isFree(port))) return [name, port];
  return null;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
