// Entry point of a worker thread: receives the model, then runs a `ProxyWorker` until told to stop.

import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { modelOf } from '../config/model/text.ts';
import { configureLog, logger, setLogFormat } from '../observe/log.ts';
import { WorkerStats } from '../observe/stats-store.ts';
import { compose } from './compose.ts';
import { giveMemoryBackWhenIdle } from './memory.ts';
import type { FromWorker, StartMessage, ToWorker, WorkerInit } from './messages.ts';
import { quietWarnings } from './warnings.ts';
import { ProxyWorker } from './worker.ts';

function main(port: MessagePort, init: WorkerInit): void {
  configureLog(init.log);
  quietWarnings((text) => logger('misc').warning(text));
  const post = (message: FromWorker): void => port.postMessage(message);
  let worker: ProxyWorker | null = null;
  port.on('message', (message: ToWorker) => {
    if (message.type === 'start') worker = start(init, message, post);
    else worker?.handle(message);
  });
}

function start(init: WorkerInit, message: StartMessage, post: (message: FromWorker) => void): ProxyWorker {
  const model = modelOf(message.modelJson);
  if (model.logFormat !== null) setLogFormat(model.logFormat.format);
  const stats = new WorkerStats((announcement) => post({ type: 'stats', announcement }));
  const parts = compose(init, model, message, stats, post);
  const worker = new ProxyWorker(init, model, message.counts, parts, post);
  stats.flush();
  giveMemoryBackWhenIdle(() => worker.isIdle && parts.isComplete());
  post({ type: 'started' });
  return worker;
}

if (parentPort !== null) main(parentPort, workerData as WorkerInit);
