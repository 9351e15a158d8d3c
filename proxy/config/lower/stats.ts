// `config.metrics.v3.StatsConfig`: which stats are kept, which parts of their names become tags, histogram buckets.

import { DEFAULT_TAGS } from '../../observe/tags-default.ts';
import { ConfigError } from '../../util/error.ts';
import type { StatsConfigModel, StatsTagModel } from '../model/model.ts';
import { bool, list, type Msg, numbers, oneof, str, sub } from '../schema/message.ts';
import { lowerStringMatch } from './common.ts';

const DEFAULTS: StatsConfigModel = {
  useAllDefaultTags: true,
  tags: [],
  matcher: { kind: 'all' },
  histogramBuckets: [],
};

export function lowerStatsConfig(message: Msg | null, path: string): StatsConfigModel {
  if (message === null) return DEFAULTS;
  const useAllDefaultTags = bool(message, 'useAllDefaultTags', true);
  const tags: StatsTagModel[] = [];
  for (const [i, item] of list(message, 'statsTags').entries()) {
    tags.push(...lowerTag(item, useAllDefaultTags, `${path}.stats_tags[${i}]`));
  }
  return {
    useAllDefaultTags,
    tags,
    matcher: lowerMatcher(sub(message, 'statsMatcher'), `${path}.stats_matcher`),
    histogramBuckets: list(message, 'histogramBucketSettings').map((item, i) => {
      const match = sub(item, 'match');
      const where = `${path}.histogram_bucket_settings[${i}].match`;
      if (match === null) throw new ConfigError('value is required', where);
      return { match: lowerStringMatch(match, where), buckets: [...numbers(item, 'buckets')].sort((a, b) => a - b) };
    }),
  };
}

/** A tag of its own; a name alone asks for Envoy's default tag of that name. */
function lowerTag(message: Msg, useAllDefaultTags: boolean, path: string): StatsTagModel[] {
  const name = str(message, 'tagName');
  const value = oneof(message, 'tagValue');
  if (value?.case === 'fixedValue') return [{ name, rule: { kind: 'fixed', value: value.value as string } }];
  if (value?.case === 'regex' && value.value !== '') {
    const pattern = value.value as string;
    checkTagPattern(pattern, `${path}.regex`);
    return [{ name, rule: { kind: 'regex', pattern } }];
  }
  if (!DEFAULT_TAGS.some((tag) => tag.name === name)) {
    throw new ConfigError(`No regex specified for tag specifier and no default regex for name: '${name}'`, path);
  }
  // Several default tags may share a name, and some except a value: an empty pattern stands for all of them.
  return useAllDefaultTags ? [] : [{ name, rule: { kind: 'regex', pattern: '' } }];
}

/** Tag patterns are ECMAScript with POSIX classes, not RE2: lookahead is allowed. */
function checkTagPattern(pattern: string, path: string): void {
  try {
    new RegExp(pattern.replace(/\[:(?:alpha|alnum|digit|space|upper|lower|punct|xdigit|word):\]/g, '\\w'));
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^.*?: (?=[^:]+$)/, '') : String(error);
    throw new ConfigError(`Invalid regex '${pattern}': ${reason}`, path);
  }
}

function lowerMatcher(message: Msg | null, path: string): StatsConfigModel['matcher'] {
  const rule = message === null ? null : oneof(message, 'statsMatcher');
  if (rule === null) return { kind: 'all' };
  if (rule.case === 'rejectAll') return rule.value === true ? { kind: 'none' } : { kind: 'all' };
  const isInclusion = rule.case === 'inclusionList';
  const where = `${path}.${isInclusion ? 'inclusion_list' : 'exclusion_list'}`;
  const patterns = list(rule.value as Msg, 'patterns').map((item, i) =>
    lowerStringMatch(item, `${where}.patterns[${i}]`),
  );
  return { kind: isInclusion ? 'include' : 'exclude', patterns };
}
