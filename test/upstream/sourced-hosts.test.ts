// Hosts from the client's address: one per pair, never shared, forgotten without connections.

import t from 'tap';
import { HOST_CX_ACTIVE } from '../../proxy/observe/catalogue-cluster.ts';
import { Host } from '../../proxy/upstream/host.ts';
import { SourcedHosts } from '../../proxy/upstream/sourced-hosts.ts';
import { TimerWheel } from '../../proxy/util/timer-wheel.ts';
import { endpoint, FakeStats } from '../fixtures/upstream.ts';

/** A clock that is moved by hand; its timers fire when they are due. */
class HandClock {
  now = 0;
  due: { at: number; fn: () => void }[] = [];
  nowMs(): number {
    return this.now;
  }
  random(): number {
    return 0;
  }
  after(ms: number, fn: () => void): () => void {
    this.due.push({ at: this.now + ms, fn });
    return () => {};
  }
  advance(ms: number): void {
    const end = this.now + ms;
    while (this.now < end) {
      this.now += 100;
      const fired = this.due.filter((timer) => timer.at <= this.now);
      this.due = this.due.filter((timer) => timer.at > this.now);
      for (const { fn } of fired) fn();
    }
  }
}

t.test('one host per client', async (t) => {
  const clock = new HandClock();
  const dropped: string[] = [];
  const wheel = new TimerWheel(clock);
  const hosts = new SourcedHosts('c', null, wheel, (host) => dropped.push(host.targets[0]?.bind?.address ?? ''));
  const model = endpoint(80);
  const target = {
    address: model.address,
    hostname: '',
    bind: null,
    keepalive: null,
    bufferLimitBytes: 1,
    layer: null,
  };
  const host = new Host(model, [target], 'c', new FakeStats());
  const from = (ip: string, port = 0, mark = 0) => hosts.find(host, { ip, port, mark }) as Host;
  const first = from('10.0.0.1', 0, 1337);
  t.equal(from('10.0.0.1', 0, 1337), first);
  t.not(from('10.0.0.2'), first, 'another client');
  t.not(from('10.0.0.1', 5), first, 'another port');
  t.equal(first.address, host.address);
  t.match(first.targets[0]?.bind, { address: '10.0.0.1', port: 0, transparent: true, mark: 1337 });

  first.stats[HOST_CX_ACTIVE] = 1;
  clock.advance(31_000);
  t.same(dropped.sort(), ['10.0.0.1', '10.0.0.2']);
  t.equal(from('10.0.0.1', 0, 1337), first, 'a connection keeps it');
  first.stats[HOST_CX_ACTIVE] = 0;
  clock.advance(31_000);
  t.equal(dropped.length, 3);
  t.equal(clock.due.length, 0, 'nothing is left to do');
});
