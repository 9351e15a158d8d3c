// The table of filter-chain choices, played with real connections: a PROXY header names both ends, a ClientHello the server
// and the protocols. Chains have no filters, so each connection ends at once; the listener's log tells the chain.

import { isIPv4 } from 'node:net';
import type { CidrModel } from '../../../proxy/config/model/common.ts';
import { BLOCKS, type Block, HOME, type Input, type Match } from '../../fixtures/chain-table.ts';
import * as hello from '../../fixtures/hello.ts';
import { address, bootstrap } from '../config.ts';
import type { Group, Scenario } from '../types.ts';
import { proxyProtocol, tlsInspector } from './detection.ts';

const LOG_TYPE = 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog';

// === Configuration ===

const ranges = (list: readonly CidrModel[] | undefined): object[] | undefined =>
  list?.map((range) => ({ address_prefix: range.address, prefix_len: range.prefixLength }));

function matchJson(match: Match): object {
  return {
    destination_port: match.destinationPort ?? undefined,
    prefix_ranges: ranges(match.prefixRanges),
    server_names: match.serverNames,
    transport_protocol: match.transportProtocol,
    application_protocols: match.applicationProtocols,
    direct_source_prefix_ranges: ranges(match.directSourcePrefixRanges),
    source_type: match.sourceType?.toUpperCase(),
    source_prefix_ranges: ranges(match.sourcePrefixRanges),
    source_ports: match.sourcePorts,
  };
}

// === Which cases can be played ===

/** Stand in for an end that a case does not care for, when the other one is an IPv6 address. */
const SOME_CLIENT_V6 = '2001:db8:9999::7';
const SOME_SERVER_V6 = '2001:db8:8888::1';

interface Ends {
  readonly source: string;
  readonly destination: string;
}

/** Both ends in one family, as a PROXY header wants them; `null` = it cannot say this. */
function endsOf(input: Input): Ends | null {
  let { localIp: destination, remoteIp: source } = { ...HOME, ...input };
  if (input.remoteIp === undefined && !isIPv4(destination)) source = SOME_CLIENT_V6;
  if (input.localIp === undefined && !isIPv4(source)) destination = SOME_SERVER_V6;
  const sayable = isUnicast(source) && isUnicast(destination) && isIPv4(source) === isIPv4(destination);
  return sayable ? { source, destination } : null;
}

function isUnicast(ip: string): boolean {
  if (ip === '' || ip.startsWith('::ffff:') || ip === '255.255.255.255' || ip === '0.0.0.0') return false;
  const first = Number.parseInt(ip, 10);
  return !isIPv4(ip) || first < 224 || first > 239;
}

function isPlayable(block: Block, input: Input): boolean {
  const direct = input.directRemoteIp ?? '127.0.0.1';
  const asks = (field: keyof Match): boolean => Object.values(block.chains).some((match) => field in match);
  if (endsOf(input) === null || (asks('directSourcePrefixRanges') && !direct.startsWith('127.'))) return false;
  const protocol = input.transportProtocol ?? 'raw_buffer';
  if (protocol !== 'tls' && protocol !== 'raw_buffer') return false;
  // Names and protocols come in a hello, which makes it TLS.
  return protocol === 'tls' || !asks('transportProtocol') || !saysHello({ ...input, transportProtocol: 'raw_buffer' });
}

function saysHello(input: Input): boolean {
  const { serverName = '', applicationProtocols = [], transportProtocol } = input;
  return transportProtocol === 'tls' || serverName !== '' || applicationProtocols.length > 0;
}

function bytesOf(input: Input): string {
  const { source, destination } = endsOf(input) as Ends;
  const { localPort, remotePort, serverName, applicationProtocols } = { ...HOME, ...input };
  const family = isIPv4(source) ? 'TCP4' : 'TCP6';
  const header = `PROXY ${family} ${source} ${destination} ${remotePort} ${localPort}\r\n`;
  if (!saysHello(input)) return `${header}no hello`;
  const extensions = [
    ...(serverName === '' ? [] : [hello.sni(serverName)]),
    ...(applicationProtocols.length === 0 ? [] : [hello.alpn(...applicationProtocols)]),
  ];
  return header + hello.hello({ extensions }).toString('latin1');
}

// === The group ===

/** Of the case at an index of a block. */
export const scenarioName = (block: Block, at: number): string => `${block.about}: ${at}`;

const PLAYED = BLOCKS.filter(({ chains, fallback }) => Object.keys(chains).length > 0 || fallback === true);
const idOf = (index: number): string => `block ${index}`;

export const chainMatch: Group = {
  name: 'chain-match',
  listeners: PLAYED.map((_, index) => idOf(index)),
  upstreams: [],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      PLAYED.map((block, index) => ({
        name: idOf(index),
        address: address(ports[idOf(index)]),
        access_log: [
          {
            name: 'log',
            typed_config: {
              '@type': LOG_TYPE,
              path: log,
              log_format: {
                json_format: {
                  client: '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%',
                  chain: '%FILTER_CHAIN_NAME%',
                  flags: '%RESPONSE_FLAGS%',
                },
              },
            },
          },
        ],
        listener_filters: [proxyProtocol(), tlsInspector()],
        filter_chains: Object.entries(block.chains).map(([name, match]) => ({
          name,
          filter_chain_match: matchJson(match),
        })),
        ...(block.fallback === true ? { default_filter_chain: { name: 'default' } } : {}),
      })),
      [],
    ),
  scenarios: PLAYED.flatMap((block, index) =>
    block.cases.flatMap(([input], at): Scenario[] =>
      isPlayable(block, input)
        ? [
            {
              name: scenarioName(block, at),
              listener: idOf(index),
              from: input.directRemoteIp?.startsWith('127.') === true ? input.directRemoteIp : '127.0.0.1',
              client: [bytesOf(input)],
              answers: 0,
            },
          ]
        : [],
    ),
  ),
};
