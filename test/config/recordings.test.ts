// A recorded mesh: every set field of its bootstraps and resources has an answer, nothing is unknown, and `lower` takes
// whatever the field tables do not refuse.

import { readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { checkAnswers } from '../../proxy/config/answers.ts';
import { lowerBootstrap } from '../../proxy/config/lower/bootstrap.ts';
import { lowerCluster } from '../../proxy/config/lower/cluster.ts';
import { LowerContext } from '../../proxy/config/lower/common.ts';
import { lowerListener } from '../../proxy/config/lower/listener.ts';
import { lowerRouteConfig } from '../../proxy/config/lower/route.ts';
import type { Msg } from '../../proxy/config/schema/message.ts';
import { typeNameOf } from '../../proxy/config/schema/registry.ts';
import { ConfigError } from '../../proxy/util/error.ts';
import { decode } from '../fixtures/lower.ts';

const FOLDER = new URL('../golden/recordings/', import.meta.url);
const GOLDEN = new URL('unsupported.txt', FOLDER);

interface Resource {
  readonly '@type': string;
}

const resources: readonly Resource[] = JSON.parse(readFileSync(new URL('resources.json', FOLDER), 'utf8'));
const index: { readonly [recording: string]: readonly number[] } = JSON.parse(
  readFileSync(new URL('index.json', FOLDER), 'utf8'),
);

type Lower = (message: Msg, ctx: LowerContext, path: string) => unknown;

const LOWER: ReadonlyMap<string, Lower> = new Map<string, Lower>([
  ['envoy.config.bootstrap.v3.Bootstrap', (message, ctx) => lowerBootstrap(message, ctx)],
  ['envoy.config.cluster.v3.Cluster', lowerCluster],
  ['envoy.config.listener.v3.Listener', lowerListener],
  ['envoy.config.route.v3.RouteConfiguration', lowerRouteConfig],
]);

interface Found {
  /** `warn Listener.listener_filters[*]: text`. */
  readonly lines: readonly string[];
  readonly rejectedPaths: readonly string[];
}

function answersOf(message: Msg): Found {
  const lines = new Set<string>();
  const rejectedPaths: string[] = [];
  const short = message.$typeName.replace(/^.*\./, '');
  const add = (how: string, text: string): void => {
    lines.add(`${how} ${text.replaceAll(/\[\d+\]/g, '[*]')}`);
  };
  checkAnswers(message, short, {
    warn: (path, text) => add('warn', `${path}: ${text}`),
    reject: (error) => {
      rejectedPaths.push(error.where.slice(short.length + 1));
      add('reject', error.message);
    },
    skipTypes: new Set(),
  });
  return { lines: [...lines], rejectedPaths };
}

/** Refusals of `lower` that no refused field explains. */
function unexplained(message: Msg, rejectedPaths: readonly string[]): readonly string[] {
  const lower = LOWER.get(message.$typeName);
  if (lower === undefined) return [];
  const ctx = new LowerContext({ collectRefusals: true });
  const refusals: ConfigError[] = [];
  try {
    lower(message, ctx, '');
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    refusals.push(error);
  }
  refusals.push(...(ctx.refusals ?? []));
  const explained = (where: string): boolean =>
    rejectedPaths.some((path) => isWithin(path, where) || isWithin(where, path));
  return refusals.filter((error) => !explained(error.where.replace(/^\./, ''))).map((error) => error.message);
}

/** Whether a field path is another one or leads below it. */
function isWithin(path: string, above: string): boolean {
  return path === above || path.startsWith(`${above}.`) || path.startsWith(`${above}[`);
}

t.test('every set field is answered, and lower agrees with the answers', async (t) => {
  const found = resources.map((resource) => {
    const { '@type': typeUrl, ...json } = resource;
    const message = decode(typeNameOf(typeUrl), json);
    const answers = answersOf(message);
    t.same(unexplained(message, answers.rejectedPaths), [], (json as { name?: string }).name ?? typeUrl);
    return answers.lines;
  });
  const text = Object.entries(index)
    .map(([recording, which]) => {
      const lines = new Set(which.flatMap((at) => found[at] ?? []));
      return `# ${recording}\n${[...lines].sort().join('\n')}\n`;
    })
    .join('\n');
  if (process.env['UPDATE_GOLDEN'] !== undefined) writeFileSync(GOLDEN, text);
  t.equal(text, readFileSync(GOLDEN, 'utf8'), 'unsupported.txt; UPDATE_GOLDEN=1 writes it anew');
});
