// Random answers of the proxy itself, and what it does about answers that it does not like.

import { makeFormat } from './fuzz-headers.ts';
import { HEADER_NAMES, type Json, type Maker } from './fuzz-maker.ts';

const STATUSES = [200, 301, 400, 404, 418, 426, 500, 503] as const;
const FLAGS = ['NR', 'NC', 'DPE', 'UH'] as const;

/** `local_reply_config`. */
export function makeLocalReplies(maker: Maker): Json {
  return {
    ...maker.list('mappers', 3, () => makeMapper(maker)),
    ...maker.maybe(30, () => ({ body_format: makeBody(maker) })),
  };
}

function makeMapper(maker: Maker): Json {
  return {
    filter: makeFilter(maker),
    ...maker.maybe(50, () => ({ status_code: maker.pick(STATUSES) })),
    ...maker.maybe(40, () => ({ body: { inline_string: maker.pick(['mapped', '%RESPONSE_CODE%', 'é', '']) } })),
    ...maker.maybe(40, () => ({ body_format_override: makeBody(maker) })),
    ...maker.list('headers_to_add', 2, () => ({
      header: { key: maker.pick([...HEADER_NAMES, 'content-type', 'server']), value: makeFormat(maker) },
      append_action: maker.pick(['APPEND_IF_EXISTS_OR_ADD', 'OVERWRITE_IF_EXISTS_OR_ADD', 'ADD_IF_ABSENT']),
    })),
  };
}

function makeFilter(maker: Maker): Json {
  switch (maker.dice.below(4)) {
    case 0: {
      const value = { default_value: maker.pick(STATUSES), runtime_key: 'none' };
      return { status_code_filter: { comparison: { op: maker.pick(['EQ', 'GE', 'LE', 'NE']), value } } };
    }
    case 1: {
      const name = maker.pick(HEADER_NAMES);
      return { header_filter: { header: { name, present_match: maker.chance(70) } } };
    }
    case 2:
      return { response_flag_filter: maker.chance(30) ? {} : { flags: [maker.pick(FLAGS)] } };
    default:
      return { and_filter: { filters: [{ not_health_check_filter: {} }, { header_filter: { header: ANY_HOST } }] } };
  }
}

const ANY_HOST = { name: ':authority', string_match: { contains: 'a' } };

function makeBody(maker: Maker): Json {
  const content = maker.maybe(25, () => ({ content_type: 'text/html; x=y' }));
  if (maker.chance(60)) {
    const inline_string = `${maker.pick(['', 'b: '])}%LOCAL_REPLY_BODY%${makeFormat(maker)}\n`;
    return { text_format_source: { inline_string }, ...content };
  }
  const json = { body: '%LOCAL_REPLY_BODY%', code: '%RESPONSE_CODE%', more: { text: makeFormat(maker) } };
  return { json_format: json, ...content };
}

/** Parts of a `RouteAction`: what is tried again, and followed. Nothing waits longer than a few milliseconds. */
export function makeSecondTries(maker: Maker): Json {
  return {
    ...maker.maybe(12, () => ({ retry_policy: makeRetries(maker) })),
    ...maker.maybe(10, () => ({ internal_redirect_policy: makeRedirects(maker) })),
  };
}

function makeRetries(maker: Maker): Json {
  return {
    retry_on: maker.pick(['5xx', 'gateway-error', 'retriable-4xx', 'retriable-status-codes', 'retriable-headers', '']),
    retry_back_off: { base_interval: '0.001s', max_interval: '0.002s' },
    ...maker.maybe(60, () => ({ num_retries: maker.dice.below(4) })),
    ...maker.maybe(50, () => ({ retriable_status_codes: [maker.pick([404, 503, 201])] })),
    ...maker.maybe(50, () => ({ retriable_headers: [{ name: maker.pick(['x-a', 'x-d']), present_match: true }] })),
    ...maker.maybe(25, () => ({
      retriable_request_headers: [{ name: maker.pick(HEADER_NAMES), present_match: maker.chance(60) }],
    })),
  };
}

function makeRedirects(maker: Maker): Json {
  return {
    ...maker.maybe(50, () => ({ max_internal_redirects: maker.dice.below(3) })),
    ...maker.maybe(40, () => ({ redirect_response_codes: [maker.pick([302, 307])] })),
    ...maker.maybe(50, () => ({ allow_cross_scheme_redirect: maker.chance(80) })),
    ...maker.maybe(25, () => ({ response_headers_to_copy: ['x-a', 'set-cookie'] })),
  };
}
