// Takes tags out of stat names: `cluster.reviews.upstream_rq_200` becomes `cluster.upstream_rq` with a cluster name and
// a response code.
//
// Every extractor sees the whole name; what they cut is removed together at the end. Those whose pattern begins with a
// fixed word run only for names with that word, after those without one, as in Envoy: this decides the tags' order.

import type { StatsConfigModel, StatsTagModel } from '../config/model/model.ts';
import { DEFAULT_TAGS, type DefaultTag } from './tags-default.ts';

/** What became of a name. */
export interface Tagged {
  /** The name without its tags. */
  readonly name: string;
  readonly tags: readonly Tag[];
}

export interface Tag {
  readonly name: string;
  readonly value: string;
}

/** Tags as Prometheus labels: `envoy_cluster_name="reviews",envoy_response_code="200"`. */
export function labelText(tags: readonly Tag[]): string {
  return tags.map((tag) => `${labelName(tag.name)}="${labelValue(tag.value)}"`).join(',');
}

function labelName(name: string): string {
  const clean = name.replace(/[^a-zA-Z0-9_]/g, '_');
  return /^\d/.test(clean) ? `_${clean}` : clean;
}

function labelValue(value: string): string {
  return value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));
}

interface Extractor {
  readonly name: string;
  /** First word of the names it applies to; empty = all. */
  readonly word: string;
  /** A name without this text cannot match; empty = always try. */
  readonly contains: string;
  /** Group 1 is cut; group 2, or else 1, is the value. `null` for a fixed value. */
  readonly regex: RegExp | null;
  readonly fixed: string;
  readonly except: string;
}

/** Finds the tags of names under one configuration. It keeps no cache: the registry asks once per stat. */
export class TagExtractor {
  readonly #anywhere: readonly Extractor[];
  readonly #byWord = new Map<string, Extractor[]>();

  /** @throws SyntaxError when a configured pattern is no regular expression; `lower` refuses those before */
  constructor(config: StatsConfigModel) {
    const extractors = config.useAllDefaultTags ? DEFAULT_TAGS.map(fromDefault) : [];
    for (const tag of config.tags) extractors.push(...fromConfig(tag));
    this.#anywhere = extractors.filter((extractor) => extractor.word === '');
    for (const extractor of extractors) {
      if (extractor.word === '') continue;
      const list = this.#byWord.get(extractor.word);
      if (list === undefined) this.#byWord.set(extractor.word, [extractor]);
      else list.push(extractor);
    }
  }

  extract(name: string): Tagged {
    const tags: Tag[] = [];
    const cuts: [start: number, end: number][] = [];
    for (const extractor of this.#anywhere) apply(extractor, name, tags, cuts);
    const dot = name.indexOf('.');
    const own = this.#byWord.get(dot < 0 ? name : name.slice(0, dot));
    if (own !== undefined) for (const extractor of own) apply(extractor, name, tags, cuts);
    return { name: withoutCuts(name, cuts), tags };
  }
}

function apply(extractor: Extractor, name: string, tags: Tag[], cuts: [number, number][]): void {
  if (extractor.regex === null) {
    tags.push({ name: extractor.name, value: extractor.fixed });
    return;
  }
  if (extractor.contains !== '' && !name.includes(extractor.contains)) return;
  const match = extractor.regex.exec(name);
  const cut = match?.indices?.[1];
  if (match === null || cut === undefined) return;
  const value = match[2] ?? match[1] ?? '';
  if (extractor.except !== '' && value === extractor.except) return;
  // The first extractor of a tag wins; a later one neither adds nor cuts.
  if (tags.some((tag) => tag.name === extractor.name)) return;
  tags.push({ name: extractor.name, value });
  cuts.push([cut[0], cut[1]]);
}

function withoutCuts(name: string, cuts: [number, number][]): string {
  if (cuts.length === 0) return name;
  cuts.sort((a, b) => a[0] - b[0]);
  let kept = '';
  let from = 0;
  for (const [start, end] of cuts) {
    if (start > from) kept += name.slice(from, start);
    from = Math.max(from, end);
  }
  return kept + name.slice(from);
}

function fromDefault(tag: DefaultTag): Extractor {
  const { name } = tag;
  if ('path' in tag) {
    const regex = pathRegex(tag.path);
    return { name, word: firstWord(regex), contains: '', regex: new RegExp(regex, 'd'), fixed: '', except: '' };
  }
  const regex = new RegExp(tag.pattern, 'd');
  return { name, word: firstWord(tag.pattern), contains: tag.contains, regex, fixed: '', except: tag.except };
}

/** A tag with an empty pattern is a built-in one by its name (there may be several of a name). */
function fromConfig(tag: StatsTagModel): Extractor[] {
  if (tag.rule.kind === 'fixed') {
    return [{ name: tag.name, word: '', contains: '', regex: null, fixed: tag.rule.value, except: '' }];
  }
  if (tag.rule.pattern === '') return DEFAULT_TAGS.filter((known) => known.name === tag.name).map(fromDefault);
  const source = toJsPattern(tag.rule.pattern);
  return [
    { name: tag.name, word: firstWord(source), contains: '', regex: new RegExp(source, 'd'), fixed: '', except: '' },
  ];
}

/** `vhost.*.route.$.**` as a regular expression. */
function pathRegex(path: string): string {
  const parts = path.split('.');
  const pieces = parts.map((part, index) => {
    const last = index === parts.length - 1;
    if (part === '$') return '(([^.]+)\\.)';
    if (part === '**') return last ? '.+' : '(?:.+\\.)?';
    return (part === '*' ? '[^.]+' : part) + (last ? '$' : '\\.');
  });
  return `^${pieces.join('')}`;
}

/** The word that a pattern anchored at the start requires, when a dot must follow it. */
function firstWord(pattern: string): string {
  return /^\^(\w+)(?:\\\.|\(\?=\\\.\)|\(\(?\\\.)/.exec(pattern)?.[1] ?? '';
}

/**
 * Envoy reads `stats_tags` patterns as ECMAScript with POSIX classes; JavaScript lacks only the latter.
 * Returns a pattern for `RegExp`.
 */
export function toJsPattern(pattern: string): string {
  return pattern.replace(/\[:(\w+):\]/g, (all, name: string) => POSIX_CLASSES.get(name) ?? all);
}

const POSIX_CLASSES: ReadonlyMap<string, string> = new Map([
  ['digit', '0-9'],
  ['alpha', 'a-zA-Z'],
  ['alnum', 'a-zA-Z0-9'],
  ['lower', 'a-z'],
  ['upper', 'A-Z'],
  ['space', '\\s'],
  ['xdigit', '0-9a-fA-F'],
  ['punct', '!-\\/:-@\\[-`{-~'],
  ['blank', ' \\t'],
  ['word', '\\w'],
]);
