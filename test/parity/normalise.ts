// Takes out of an observation what must vary from run to run, and nothing else.

import type { ObservedMessage } from './types.ts';

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const DATE = /\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT/g;
const LOOPBACK_PORT = /127\.0\.0\.1:(\d{1,5})/g;
/** Not a time that happens to be the number of a port. */
const BARE_PORT = /(?<!-ms: )\b(\d{4,5})\b/g;

/** What is left of a time-out when it is sent varies: milliseconds at a retry, hundreds of them on a busy machine. */
const LONG_TIMEOUT = /(x-envoy-expected-rq-timeout-ms: )(\d{4,})/gi;

export class Normaliser {
  private readonly names = new Map<number, string>();

  /** @param ports known ports by name */
  constructor(ports: Readonly<Record<string, number>>) {
    for (const [name, port] of Object.entries(ports)) this.names.set(port, name);
  }

  text(text: string): string {
    return text
      .replace(DATE, '<date>')
      .replace(UUID, '<uuid>')
      .replace(LONG_TIMEOUT, (_, name: string, ms: string) => `${name}${Math.ceil(Number(ms) / 1_000)}000`)
      .replace(LOOPBACK_PORT, (_, port: string) => `127.0.0.1:<${this.names.get(Number(port)) ?? 'port'}>`)
      .replace(BARE_PORT, (whole) => {
        const name = this.names.get(Number(whole));
        return name === undefined ? whole : `<${name}>`;
      });
  }

  message(message: ObservedMessage): ObservedMessage {
    return {
      line: this.text(message.line),
      headers: message.headers.map((header) => {
        const name = header.slice(0, header.indexOf(':')).toLowerCase();
        if (name === 'x-envoy-upstream-service-time') return `${header.slice(0, name.length)}: <ms>`;
        // A cookie of the proxy's own making is a hash of both ends of the connection.
        return this.text(name === 'set-cookie' ? header.replace(/"[0-9a-f]{10,16}"/, '"<hash>"') : header);
      }),
      body: this.text(message.body),
    };
  }

  /** A value of an access log record. */
  value(value: unknown): unknown {
    if (typeof value === 'string') return this.text(value);
    if (Array.isArray(value)) return value.map((item) => this.value(item));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.value(item)]));
  }
}
