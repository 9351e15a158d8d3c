// URI templates as Envoy reads them (extensions.path.{match,rewrite}.uri_template.v3): `/users/{id}/**` becomes a regular
// expression with one group per variable, and a rewrite becomes literals and numbers of those groups.
//
// A segment is a glob (`*`, `**`), a literal, or a variable `{name}` or `{name=pattern}` with literals around it. Text
// behind a glob ends the template. What Envoy does oddly is kept: a `*` within a literal is not escaped and so repeats
// the character before it, and a template whose expression is none (`/a**`) matches nothing.

/** A template ready to be matched. */
export interface UriTemplate {
  /** A regular expression for the whole path. */
  readonly pattern: string;
  /** Names of the groups of `pattern`, in order. */
  readonly variables: readonly string[];
}

/** A refusal in Envoy's words, without the name of the field. */
export class TemplateError extends Error {}

const VARIABLES_MAX = 5;
const VARIABLE_NAME_MAX = 16;

// The characters of a path segment (RFC 3986), with `=` and `*`.
const SEGMENT_CHARS = "A-Za-z0-9_.~%!$&'()+,;:@=*-";
const LITERAL = new RegExp(`^[${SEGMENT_CHARS}]+$`);
const REWRITE_LITERAL = new RegExp(`^[${SEGMENT_CHARS}/]+$`);
const VARIABLE_NAME = /^[A-Za-z][A-Za-z0-9_]*$/;
const TEMPLATE = /^\/[\x21-\x7e]*$/;

const PATH_GLOB = `[${SEGMENT_CHARS}]+`;
const TEXT_GLOB = `[${SEGMENT_CHARS}/]*`;

/** @throws TemplateError */
export function parseUriTemplate(template: string): UriTemplate {
  if (!TEMPLATE.test(template)) throw new TemplateError(`Invalid pattern: ${quote(template)}`);
  const reader = new TemplateReader(template.slice(1));
  reader.read();
  return { pattern: `/${reader.segments.join('/')}`, variables: reader.variables() };
}

/** One pass over a template behind its first slash. */
class TemplateReader {
  readonly segments: string[];
  private rest: string;
  private readonly names: string[];
  /** Globs in order; an implicit one is that of a variable without pattern. */
  private readonly globs: ('path' | 'text' | 'implicit')[];

  constructor(text: string) {
    this.segments = [];
    this.rest = text;
    this.names = [];
    this.globs = [];
  }

  read(): void {
    while (this.rest !== '') {
      this.segments.push(this.rest.startsWith('*') ? this.readGlob() : this.readSegment());
      if (this.rest === '/') {
        this.segments.push('');
        return;
      }
      this.rest = this.rest.slice(1);
    }
  }

  /** Names of the variables, checked after everything else has been read. */
  variables(): readonly string[] {
    const seen = new Set<string>();
    for (const name of this.names) {
      if (seen.size >= VARIABLES_MAX) throw new TemplateError(`Exceeded variable count limit (${VARIABLES_MAX})`);
      if (name.length > VARIABLE_NAME_MAX) {
        throw new TemplateError(
          `Invalid variable name length (length of ${quote(name)} should be at least 1 and no more than ${VARIABLE_NAME_MAX})`,
        );
      }
      if (seen.has(name)) throw new TemplateError(`Repeated variable name: ${quote(name)}`);
      seen.add(name);
    }
    const text = this.globs.indexOf('text');
    const behind = text < 0 ? undefined : this.globs[text + 1];
    if (behind === 'implicit') throw new TemplateError('Implicit variable path glob after text glob.');
    if (behind !== undefined) throw new TemplateError('Glob after text glob.');
    return this.names;
  }

  /** `*` or `**`, and a literal that ends the template. */
  private readGlob(): string {
    const glob = this.takeGlob();
    if (this.rest === '' || this.rest.startsWith('/')) return glob;
    const literal = literalOf(this.takeSegment(), 'literal');
    if (this.rest !== '') throw new TemplateError('Prefix match not supported.');
    return glob + literal;
  }

  private takeGlob(): string {
    const isText = this.rest.startsWith('**');
    this.rest = this.rest.slice(isText ? 2 : 1);
    this.globs.push(isText ? 'text' : 'path');
    return isText ? TEXT_GLOB : PATH_GLOB;
  }

  private takeSegment(): string {
    const slash = this.rest.indexOf('/');
    const segment = slash < 0 ? this.rest : this.rest.slice(0, slash);
    this.rest = this.rest.slice(segment.length);
    return segment;
  }

  /** A literal, or a variable with a literal before and behind it. */
  private readSegment(): string {
    const before = this.rest;
    const segment = this.takeSegment();
    const open = segment.indexOf('{');
    if (open !== 0 && !(open > 0 && segment.includes('}'))) return literalOf(segment, 'literal');
    const close = before.indexOf('}', open);
    if (close < 0) throw new TemplateError(`Unmatched variable bracket in mixed pattern: ${quote(before)}`);
    const prefix = open === 0 ? '' : literalOf(before.slice(0, open), 'prefix literal');
    this.rest = before.slice(close + 1);
    const suffix = this.rest === '' || this.rest.startsWith('/') ? '' : literalOf(this.takeSegment(), 'suffix literal');
    return prefix + this.variable(before.slice(open + 1, close)) + suffix;
  }

  /** @param text what stands between the brackets */
  private variable(text: string): string {
    const equals = text.indexOf('=');
    const name = equals < 0 ? text : text.slice(0, equals);
    if (!VARIABLE_NAME.test(name)) throw new TemplateError(`Invalid variable name: ${quote(name)}`);
    this.names.push(name);
    if (equals >= 0) return `(${this.variablePattern(text.slice(equals + 1))})`;
    this.globs.push('implicit');
    return `(${PATH_GLOB})`;
  }

  private variablePattern(text: string): string {
    if (text === '') throw new TemplateError('Empty variable match');
    const behind = this.rest;
    const parts: string[] = [];
    this.rest = text;
    while (this.rest !== '') {
      parts.push(this.rest.startsWith('*') ? this.takeGlob() : literalOf(this.takeSegment(), 'literal'));
      if (this.rest === '') break;
      if (this.rest === '/' || !this.rest.startsWith('/'))
        throw new TemplateError(`Invalid variable match: ${quote(this.rest)}`);
      this.rest = this.rest.slice(1);
    }
    this.rest = behind;
    return parts.join('/');
  }
}

/** A literal as a regular expression; see the head of the file for `*`. */
function literalOf(text: string, what: 'literal' | 'prefix literal' | 'suffix literal'): string {
  if (!LITERAL.test(text)) throw new TemplateError(`Invalid ${what}: ${quote(text)}`);
  return text.replace(/[$().+]/g, '\\$&');
}

function quote(text: string): string {
  return `"${text}"`;
}

/** A literal, or the name of a variable. */
export type RewritePart = { readonly literal: string } | { readonly variable: string };

/** The parts of a rewrite in order; `null` = it is none. */
export function parseUriRewrite(rewrite: string): readonly RewritePart[] | null {
  if (!rewrite.startsWith('/') || rewrite.includes('//')) return null;
  const parts: RewritePart[] = [];
  for (let rest = rewrite; rest !== ''; ) {
    const open = rest.indexOf('{');
    const literal = open < 0 ? rest : rest.slice(0, open);
    if (literal !== '') {
      if (!REWRITE_LITERAL.test(literal)) return null;
      parts.push({ literal });
    }
    if (open < 0) break;
    const close = rest.indexOf('}', open);
    if (close < 0) return null;
    const variable = rest.slice(open + 1, close);
    if (!VARIABLE_NAME.test(variable)) return null;
    parts.push({ variable });
    rest = rest.slice(close + 1);
  }
  return parts;
}
