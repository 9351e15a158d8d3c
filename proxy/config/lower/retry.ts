// Lowers what a route says about trying again (Envoy: config.route.v3.{RetryPolicy,HedgePolicy}, extensions.retry).

import { ConfigError } from '../../util/error.ts';
import { missingImplementation } from '../fields/extensions.ts';
import type { HostPredicateModel, RetryPolicyModel } from '../model/route.ts';
import { unpackAny } from '../read/any.ts';
import { bool, list, type Msg, num, numbers, oneofCase, str, sub } from '../schema/message.ts';
import { asciiLower, lowerMetadata, wireString } from './common.ts';
import { wholeMs } from './duration.ts';
import { lowerHeaderMatch } from './header-match.ts';

/** The largest back-off is so many times the first, unless it is given. */
const BACK_OFF_MAX_FACTOR = 10;
/** The longest wait that an upstream may ask for, ms. */
const RESET_MS_MAX_DEFAULT = 300_000;

const PREVIOUS_HOSTS = 'envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate';
const OMIT_CANARY_HOSTS = 'envoy.extensions.retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate';
const OMIT_HOST_METADATA = 'envoy.extensions.retry.host.omit_host_metadata.v3.OmitHostMetadataConfig';
const PREVIOUS_PRIORITIES = 'envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig';

/** Everything that `retry_on` may name; Envoy skips what it does not know. */
const RETRY_CONDITIONS: ReadonlySet<string> = new Set([
  '5xx',
  'gateway-error',
  'connect-failure',
  'envoy-ratelimited',
  'retriable-4xx',
  'refused-stream',
  'retriable-status-codes',
  'retriable-headers',
  'reset',
  'reset-before-request',
  'http3-post-connect-failure',
  'cancelled',
  'deadline-exceeded',
  'resource-exhausted',
  'internal',
  'unavailable',
]);

/** `config.route.v3.RetryPolicy`. */
export function lowerRetryPolicy(message: Msg, path: string): RetryPolicyModel {
  const backOff = lowerBackOff(sub(message, 'retryBackOff'), `${path}.retry_back_off`);
  const limited = sub(message, 'rateLimitedRetryBackOff');
  return {
    retryOn: lowerRetryOn(str(message, 'retryOn')),
    numRetries: num(message, 'numRetries', 1),
    perTryTimeoutMs: wholeMs(message, 'perTryTimeout', 0, path),
    perTryIdleTimeoutMs: wholeMs(message, 'perTryIdleTimeout', 0, path),
    retriableStatusCodes: numbers(message, 'retriableStatusCodes'),
    retriableHeaders: list(message, 'retriableHeaders').map((header, index) =>
      lowerHeaderMatch(header, `${path}.retriable_headers[${index}]`),
    ),
    retriableRequestHeaders: list(message, 'retriableRequestHeaders').map((header, index) =>
      lowerHeaderMatch(header, `${path}.retriable_request_headers[${index}]`),
    ),
    backOffBaseMs: backOff.baseMs,
    backOffMaxMs: backOff.maxMs,
    resetHeaders:
      limited === null
        ? []
        : list(limited, 'resetHeaders').map((header) => ({
            name: asciiLower(wireString(str(header, 'name'))),
            format: num(header, 'format') === UNIX_TIMESTAMP ? 'unix_timestamp' : 'seconds',
          })),
    resetMaxMs:
      limited === null
        ? RESET_MS_MAX_DEFAULT
        : wholeMs(limited, 'maxInterval', RESET_MS_MAX_DEFAULT, `${path}.rate_limited_retry_back_off`),
    hostSelectionRetryMaxAttempts: Math.max(1, num(message, 'hostSelectionRetryMaxAttempts')),
    hostPredicates: list(message, 'retryHostPredicate').map((predicate, index) =>
      lowerHostPredicate(predicate, `${path}.retry_host_predicate[${index}]`),
    ),
    refreshCluster: bool(message, 'refreshClusterOnRetry'),
    previousPriorities: lowerRetryPriority(sub(message, 'retryPriority'), `${path}.retry_priority`),
  };
}

/** `RetryPolicy.ResetHeaderFormat`. */
const UNIX_TIMESTAMP = 1;

/** The conditions of a comma-separated list, in its order, each once. */
export function lowerRetryOn(text: string): readonly string[] {
  const known = text
    .split(',')
    .map((token) => token.trim())
    .filter((token) => RETRY_CONDITIONS.has(token));
  return [...new Set(known)];
}

function lowerBackOff(message: Msg | null, path: string): { readonly baseMs: number; readonly maxMs: number } {
  if (message === null) return { baseMs: -1, maxMs: -1 };
  const baseMs = Math.max(1, wholeMs(message, 'baseInterval', 1, path));
  const maxMs = Math.max(1, wholeMs(message, 'maxInterval', baseMs * BACK_OFF_MAX_FACTOR, path));
  if (maxMs < baseMs) {
    throw new ConfigError('retry_policy.max_interval must greater than or equal to the base_interval', path);
  }
  return { baseMs, maxMs };
}

/** `config.route.v3.HedgePolicy`: Envoy hedges at the time-out of a try, and in no other case. */
export function lowerHedge(message: Msg): boolean {
  return bool(message, 'hedgeOnPerTryTimeout');
}

function lowerHostPredicate(message: Msg, path: string): HostPredicateModel {
  const any = oneofCase(message, 'configType', 'typedConfig');
  const config = any === null ? null : unpackAny(any, `${path}.typed_config`).message;
  switch (config?.$typeName) {
    case PREVIOUS_HOSTS:
      return { kind: 'previous_hosts' };
    case OMIT_CANARY_HOSTS:
      return { kind: 'omit_canary_hosts' };
    case OMIT_HOST_METADATA:
      // Only the balancer's namespace is looked at.
      return { kind: 'omit_metadata', labels: lowerMetadata(sub(config, 'metadataMatch'))['envoy.lb'] ?? {} };
    default:
      throw missingImplementation(str(message, 'name'), config?.$typeName ?? '', path);
  }
}

/** @returns how many attempts come before priorities are left out; 0 = none ever is */
function lowerRetryPriority(message: Msg | null, path: string): number {
  if (message === null) return 0;
  const any = oneofCase(message, 'configType', 'typedConfig');
  const config = any === null ? null : unpackAny(any, `${path}.typed_config`).message;
  if (config?.$typeName !== PREVIOUS_PRIORITIES)
    throw missingImplementation(str(message, 'name'), config?.$typeName ?? '', path);
  return num(config, 'updateFrequency');
}
