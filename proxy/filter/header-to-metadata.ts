// Turns headers and cookies into dynamic metadata (Envoy: extensions.filters.http.header_to_metadata).

import type { HeaderMap } from '../codec/headers.ts';
import type { JsonValue } from '../config/model/common.ts';
import type { HeaderPairModel, HeaderRuleModel, HeaderToMetadataModel } from '../config/model/metadata-filter.ts';
import { compileHeaderRead, cookieValue } from '../match/head.ts';
import { compileReplaceAll } from '../match/regex.ts';
import { addMetadata } from '../observe/dynamic-metadata.ts';
import type { StatsStore } from '../observe/stats.ts';
import type { StreamInfo } from '../observe/stream-info.ts';
import { textOf } from '../util/latin1.ts';
import { CONTINUE, type FilterCall, type FilterRunControl, type HttpFilter, type Verdict } from './filter.ts';
import { protoValue } from './proto-value.ts';

/** Longer values are not taken, bytes. */
const VALUE_BYTES_MAX = 8191;

type Direction = 'request' | 'response';
/** Does what one direction's rules say. @param status of a response, 0 of a request */
type Rules = (info: StreamInfo, headers: HeaderMap, status: number) => void;

export function compileHeaderToMetadata(model: HeaderToMetadataModel, stats: StatsStore): HttpFilter | null {
  const counters = countersOf(model.statPrefix, stats);
  const onRequest = compileRules(model.requestRules, 'request', counters);
  const onResponse = compileRules(model.responseRules, 'response', counters);
  if (onRequest === null && onResponse === null) return null;
  const openResponse =
    onResponse === null ? () => null : (run: FilterRunControl) => new ResponseCall(run.stream, onResponse);
  return {
    open: (run: FilterRunControl) => {
      const { stream } = run;
      if (onRequest !== null) onRequest(stream, stream.requestHeaders as HeaderMap, 0);
      return openResponse(run);
    },
    openResponse,
  };
}

class ResponseCall implements FilterCall {
  private readonly info: StreamInfo;
  private readonly rules: Rules;

  constructor(info: StreamInfo, rules: Rules) {
    this.info = info;
    this.rules = rules;
  }

  onResponseHead(status: number, headers: HeaderMap): Verdict {
    this.rules(this.info, headers, status);
    return CONTINUE;
  }
}

// === Counters ===

type Count = (name: string) => void;

const COMMON_STATS = ['base64_decode_failed', 'header_value_too_long', 'regex_substitution_failed'];
const DIRECTION_STATS = ['header_not_found', 'metadata_added', 'rules_processed'];

/** Without a prefix Envoy counts nothing. */
function countersOf(statPrefix: string, stats: StatsStore): Count | null {
  if (statPrefix === '') return null;
  const names = [
    ...COMMON_STATS,
    ...DIRECTION_STATS.map((name) => `request_${name}`),
    ...DIRECTION_STATS.map((name) => `response_${name}`),
  ];
  const cells = new Map(names.map((name) => [name, stats.cell(`http_filter_name.${statPrefix}.${name}`, 'c')]));
  return (name) => {
    const cell = cells.get(name) as Float64Array;
    cell[0] = (cell[0] as number) + 1;
  };
}

// === Rules ===

interface Rule {
  readonly read: (info: StreamInfo, headers: HeaderMap, status: number) => string | null;
  /** Of the header; empty = stays. */
  readonly remove: string;
  readonly onPresent: Pair | null;
  readonly onMissing: Pair | null;
}

interface Pair {
  readonly namespace: string;
  readonly key: string;
  /** `undefined` = the text makes no value. */
  readonly convert: (text: string) => JsonValue | undefined;
}

function compileRules(models: readonly HeaderRuleModel[], direction: Direction, count: Count | null): Rules | null {
  if (models.length === 0) return null;
  const rules = models.map((model) => compileRule(model, count));
  const processed = `${direction}_rules_processed`;
  const notFound = `${direction}_header_not_found`;
  const added = `${direction}_metadata_added`;
  return (info, headers, status) => {
    for (const { read, remove, onPresent, onMissing } of rules) {
      const text = read(info, headers, status);
      if (text !== null && remove !== '') headers.remove(remove);
      if (count !== null) count(processed);
      const pair = text === null ? onMissing : onPresent;
      if (pair === null) continue;
      if (text === null && count !== null) count(notFound);
      const value = pair.convert(text ?? '');
      if (value === undefined) continue;
      addMetadata(info, pair.namespace, { [pair.key]: value });
      if (count !== null) count(added);
    }
  };
}

function compileRule(model: HeaderRuleModel, count: Count | null): Rule {
  const { header, cookie, remove, onPresent, onMissing } = model;
  return {
    read: cookie === '' ? compileRead(header) : cookieRead(cookie),
    remove: remove ? header : '',
    onPresent: onPresent === null ? null : compilePair(onPresent, count),
    onMissing: onMissing === null ? null : compilePair(onMissing, count),
  };
}

function compileRead(header: string): Rule['read'] {
  if (header === ':status') return (_info, _headers, status) => (status === 0 ? null : `${status}`);
  const read = compileHeaderRead(header);
  if (header.startsWith(':') || header === 'host')
    return (info, headers, status) => (status === 0 ? read(info, headers) : null);
  return read;
}

/** An empty cookie is none. */
function cookieRead(name: string): Rule['read'] {
  return (_info, headers) => cookieValue(headers, name) || null;
}

function compilePair(model: HeaderPairModel, count: Count | null): Pair {
  const { namespace, key, value, rewrite, type, base64 } = model;
  const replace = rewrite === null ? null : compileReplaceAll(rewrite.pattern, rewrite.substitution);
  const convert = (found: string): JsonValue | undefined => {
    let text = value === '' ? found : value;
    if (replace !== null) {
      text = replace(text);
      if (text === '' && found !== '') count?.('regex_substitution_failed');
    }
    if (text === '') return undefined;
    if (text.length > VALUE_BYTES_MAX) {
      count?.('header_value_too_long');
      return undefined;
    }
    if (base64) {
      text = decodeBase64(text);
      if (text === '') {
        count?.('base64_decode_failed');
        return undefined;
      }
    }
    return CONVERSIONS[type](text);
  };
  return { namespace, key, convert };
}

const CONVERSIONS: Readonly<Record<HeaderPairModel['type'], (text: string) => JsonValue | undefined>> = {
  string: textOf,
  number: numberOf,
  protobuf: (text) => protoValue(Buffer.from(text, 'latin1')),
};

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const HEXADECIMAL = /^([+-]?)(0x[0-9a-f]+)$/i;

/** As `absl::SimpleAtod`, but for the names of what is not finite. */
function numberOf(text: string): number | undefined {
  const bare = text.trim();
  if (DECIMAL.test(bare)) return Number(bare);
  const hex = HEXADECIMAL.exec(bare);
  if (hex === null) return undefined;
  return hex[1] === '-' ? -Number(hex[2]) : Number(hex[2]);
}

/** With or without padding; empty when the text is no base64. */
function decodeBase64(text: string): string {
  const bare = text.replace(/={1,2}$/, '');
  const bytes = Buffer.from(bare, 'base64');
  const again = bytes.toString('base64').replace(/=+$/, '');
  return again === bare ? bytes.toString('latin1') : '';
}
