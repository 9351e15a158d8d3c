// Runs one task in a configuration thread.

import { Worker } from 'node:worker_threads';
import { ConfigError } from '../util/error.ts';
import type { ConfigReply, ConfigRequest } from './messages.ts';
import { threadEntry } from './thread-entry.ts';

const ENTRY = threadEntry('config-thread');

/** The answer to a task. */
export type ReplyOf<T extends ConfigReply['type']> = Extract<ConfigReply, { readonly type: T }>;

/**
 * Starts a thread for one task and waits for its answer.
 * @throws ConfigError when the configuration is refused; Error when the thread fails
 */
export async function runConfigTask<T extends 'loaded' | 'dumped' | 'secrets'>(
  request: ConfigRequest,
  expected: T,
): Promise<ReplyOf<T>> {
  const { promise, resolve, reject } = Promise.withResolvers<ConfigReply>();
  const thread = new Worker(ENTRY, { workerData: request, name: 'config' });
  thread.once('message', resolve);
  thread.once('error', reject);
  thread.once('exit', () => reject(new Error('the configuration thread ended without an answer')));
  const reply = await promise;
  if (reply.type === 'failed') throw new ConfigError(reply.message);
  if (reply.type !== expected) throw new Error(`unexpected answer ${reply.type}`);
  return reply as ReplyOf<T>;
}
