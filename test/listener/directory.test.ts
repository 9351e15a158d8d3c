// Which listener gets a redirected connection.

import t from 'tap';
import type { AddressModel } from '../../proxy/config/model/common.ts';
import { ListenerDirectory } from '../../proxy/listener/directory.ts';
import { joinHostPort } from '../../proxy/util/ip.ts';

const socket = (address: string, port: number, ipv4Compat = false): AddressModel => ({
  kind: 'socket',
  protocol: 'tcp',
  address,
  port,
  ipv4Compat,
});

t.test('exact address, then any address of the family, then nobody', async (t) => {
  const directory = new ListenerDirectory<string>();
  directory.add(socket('0.0.0.0', 80), 'any v4');
  directory.add(socket('10.0.0.1', 80), 'exact v4');
  directory.add(socket('::', 80), 'any v6');
  directory.add(socket('FD00::0:1', 80), 'exact v6');
  directory.add(socket('::', 81, true), 'dual');
  directory.add(socket('0.0.0.0', 82), 'v4 alone');
  directory.add(socket('::', 82, true), 'dual beside v4');
  directory.add(socket('::ffff:10.0.0.3', 83), 'mapped');
  directory.add(socket('127.0.0.1', 0), 'nowhere');
  directory.add({ kind: 'pipe', path: '/run/x', mode: 0 }, 'nowhere');
  const find = (ip: string, port: number): string | null => directory.find(joinHostPort(ip, port), ip, port);
  t.equal(find('10.0.0.1', 80), 'exact v4');
  t.equal(find('10.0.0.2', 80), 'any v4');
  t.equal(find('10.0.0.2', 81), 'dual');
  t.equal(find('10.0.0.2', 82), 'v4 alone');
  t.equal(find('fd00::9', 82), 'dual beside v4');
  t.equal(find('10.0.0.3', 83), 'mapped');
  t.equal(find('10.0.0.1', 84), null);
  t.equal(find('fd00::1', 80), 'exact v6');
  t.equal(find('fd00::2', 80), 'any v6');
  t.equal(find('127.0.0.1', 0), null);
  directory.remove('exact v4');
  t.equal(find('10.0.0.1', 80), 'any v4', 'a stopped listener gets nothing');
});
