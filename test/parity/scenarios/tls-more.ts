// More of TLS towards clients: roots that are not named, several ticket keys, handshakes that take too long.

import { downstreamTls, file, pair } from '../../fixtures/tls.ts';
import { bootstrap, fileLog, get, http, routes } from '../config.ts';
import type { ClientTls, Group, Ports, Scenario } from '../types.ts';

const SERVER = { tls_certificates: [pair('server')] };
const HIDING = { ...SERVER, validation_context: { trusted_ca: file('ca.pem'), suppress_client_ca_list: true } };
const keys = (...letters: string[]): object => ({
  session_ticket_keys: { keys: letters.map((letter) => ({ inline_string: letter.repeat(80) })) },
});

const LISTENERS: Readonly<Record<string, readonly [common: object, context?: object, chain?: object]>> = {
  hiding: [HIDING, { require_client_certificate: true }],
  hidingoptional: [HIDING, { require_client_certificate: false }],
  keys: [SERVER, keys('a', 'b', 'c')],
  late: [SERVER, {}, { transport_socket_connect_timeout: '0.2s' }],
};

function listener(ports: Ports, logPath: string, name: string): object {
  const [common, context = {}, chain = {}] = LISTENERS[name] as [object, object?, object?];
  const all = routes([{ match: { prefix: '/' }, direct_response: { status: 200 } }]);
  const made = http(ports, logPath, name, all) as { filter_chains: object[] };
  const transport_socket = downstreamTls(common, context);
  return {
    ...made,
    stat_prefix: name,
    // Connections that never come to a request have records of the listener.
    access_log: [
      fileLog(
        logPath,
        { of: 'listener', why: '%DOWNSTREAM_TRANSPORT_FAILURE_REASON%' },
        { duration_filter: { comparison: { op: 'GE', value: { default_value: 0, runtime_key: 'none' } } } },
      ),
    ],
    filter_chains: [{ ...made.filter_chains[0], transport_socket, ...chain }],
  };
}

function asks(where: string, name: string, tls: ClientTls): Scenario {
  return { name: `${where}: ${name}`, listener: where, tls, client: [get('/')] };
}
/** On TLS 1.2 the client learns of it during the handshake; Envoy sends an alert, this proxy just closes. */
const refused = (where: string, name: string, certificate?: string): Scenario => ({
  ...asks(where, name, { version: 'TLSv1.2', ...(certificate === undefined ? {} : { certificate }) }),
  client: [{ close: 'full' }],
  answers: 0,
});
const silent = (name: string, bytes: string): Scenario => ({
  name: `late: ${name}`,
  listener: 'late',
  client: [bytes, { waitMs: 400 }],
  answers: 0,
});

export const tlsMore: Group = {
  name: 'tls-more',
  listeners: Object.keys(LISTENERS),
  upstreams: [],
  bootstrap: (ports, log) =>
    bootstrap(
      ports,
      Object.keys(LISTENERS).map((name) => listener(ports, log, name)),
      [],
    ),
  stats: /^listener\.[a-z]+\.(ssl\.(?!certificate)|downstream_cx_transport_socket_connect_timeout$)/,
  scenarios: [
    ...['TLSv1.2', 'TLSv1.3'].flatMap((version) =>
      ['hiding', 'hidingoptional'].map((where) =>
        asks(where, version, { certificate: 'client', version: version as 'TLSv1.3' }),
      ),
    ),
    asks('hidingoptional', 'no certificate', {}),
    refused('hiding', 'no certificate'),
    refused('hiding', 'a foreign one', 'client-foreign'),
    refused('hiding', 'an expired one', 'client-expired'),
    refused('hidingoptional', 'a foreign one', 'client-foreign'),
    asks('keys', 'TLS 1.2', { version: 'TLSv1.2' }),
    asks('keys', 'TLS 1.3', {}),
    asks('late', 'in time', {}),
    silent('not a byte', ''),
    silent('half a hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'),
  ],
};
