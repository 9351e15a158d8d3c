// The event log of outlier detection: one `data.cluster.v3.OutlierDetectionEvent` a line, as proto JSON.

import { AccessLogFiles } from '../observe/access-log-file.ts';
import { logger } from '../observe/log.ts';
import type { StatsStore } from '../observe/stats.ts';
import type { OutlierEvent } from '../upstream/outlier-detector.ts';
import { SYSTEM_RUNTIME } from '../util/runtime.ts';
import type { Options } from './args.ts';

/** What may be said of a host that is taken out of service, or used less. */
type EventType = NonNullable<OutlierEvent['type']>;

const TYPES: { readonly [type in EventType]: string } = {
  consecutive_5xx: 'CONSECUTIVE_5XX',
  consecutive_gateway_failure: 'CONSECUTIVE_GATEWAY_FAILURE',
  consecutive_local_origin_failure: 'CONSECUTIVE_LOCAL_ORIGIN_FAILURE',
  success_rate: 'SUCCESS_RATE',
  local_origin_success_rate: 'SUCCESS_RATE_LOCAL_ORIGIN',
  failure_percentage: 'FAILURE_PERCENTAGE',
  local_origin_failure_percentage: 'FAILURE_PERCENTAGE_LOCAL_ORIGIN',
  degraded: 'DEGRADED',
};

/** See the head of this file. */
export class OutlierLog {
  private readonly files: AccessLogFiles;
  private readonly path: string;

  constructor(path: string, options: Options, stats: StatsStore) {
    this.path = path;
    this.files = new AccessLogFiles({
      flushIntervalMs: options.fileFlushIntervalMs,
      flushBytes: options.fileFlushMinSizeKb * 1024,
      stats,
      runtime: SYSTEM_RUNTIME,
      warn: (message) => logger('file').warning(message),
    });
  }

  write(event: OutlierEvent): void {
    this.files.open(this.path).write(`${eventJson(event, new Date())}\n`);
  }

  reopen(): void {
    this.files.reopen();
  }

  close(): Promise<void> {
    return this.files.close();
  }
}

/** One line, without its end. */
export function eventJson(event: OutlierEvent, now: Date): string {
  const { type, msSinceLastAction } = event;
  return JSON.stringify({
    // Of a host that comes back Envoy does not say the type: it is the first one.
    type: TYPES[type ?? 'consecutive_5xx'],
    timestamp: now.toISOString().replace('.000Z', 'Z'),
    ...(msSinceLastAction < 0 ? {} : { secs_since_last_action: `${Math.floor(msSinceLastAction / 1000)}` }),
    cluster_name: event.clusterName,
    upstream_url: event.address,
    action: event.action,
    num_ejections: event.ejections,
    enforced: event.enforced,
    ...(type === null ? {} : details(event, type)),
  });
}

function details(event: OutlierEvent, type: EventType): object {
  const host_success_rate = Math.trunc(event.hostSuccessRate);
  switch (type) {
    case 'success_rate':
    case 'local_origin_success_rate':
      return {
        eject_success_rate_event: {
          host_success_rate,
          cluster_average_success_rate: Math.trunc(event.clusterSuccessRate),
          cluster_success_rate_ejection_threshold: Math.trunc(event.threshold),
        },
      };
    case 'failure_percentage':
    case 'local_origin_failure_percentage':
      return { eject_failure_percentage_event: { host_success_rate } };
    default:
      return { eject_consecutive_event: {} };
  }
}
