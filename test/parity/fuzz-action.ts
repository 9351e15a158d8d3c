// Random actions of routes.

import { makeFilterOverrides, makeFormat, makeHeaderMutations } from './fuzz-headers.ts';
import { type Json, type Maker, VALUES } from './fuzz-maker.ts';
import type { MadeMatch } from './fuzz-match.ts';
import { makeSecondTries } from './fuzz-replies.ts';

const REWRITE_TYPE = 'type.googleapis.com/envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig';
export const CLUSTERS = ['a', 'b', 'named'] as const;

/** Pattern and substitution of a `RegexMatchAndSubstitute` over paths. */
const SUBSTITUTIONS: readonly (readonly [regex: string, substitution: string])[] = [
  ['^/a', '/z'],
  ['/', '//'],
  ['^/([^/]+)/([^/]+)', '/\\2/\\1'],
  ['a', ''],
  ['[0-9]+', '<\\0>'],
  ['^/(.*)$', '\\1'],
  ['b*', 'X'],
  ['(?i)A', 'é'],
  ['$', '/end'],
  ['\\.b', '\\\\'],
];

export function makeAction(maker: Maker, made: MadeMatch): Json {
  const dice = maker.dice.below(100);
  if (dice < 66) return { route: makeRouteAction(maker, made) };
  if (dice < 82) return { redirect: makeRedirect(maker, made) };
  if (dice < 98) return { direct_response: makeDirectResponse(maker) };
  return { non_forwarding_action: {} };
}

function makeRouteAction(maker: Maker, made: MadeMatch): Json {
  return {
    ...makeTarget(maker),
    ...makePathRewrite(maker, made),
    ...makeHostRewrite(maker),
    ...makeSecondTries(maker),
    ...maker.maybe(15, () => ({ append_x_forwarded_host: true })),
    ...maker.maybe(15, () => ({ timeout: maker.pick(['0s', '7s', '3.5s']) })),
    ...maker.maybe(15, () => ({
      cluster_not_found_response_code: maker.pick(['NOT_FOUND', 'INTERNAL_SERVER_ERROR', 'SERVICE_UNAVAILABLE']),
    })),
  };
}

function makeTarget(maker: Maker): Json {
  const dice = maker.dice.below(100);
  if (dice < 60) return { cluster: maker.pick(CLUSTERS) };
  if (dice < 75) {
    const cluster_header = maker.pick(['x-cluster', 'x-a', ':authority']);
    if (cluster_header !== ':authority')
      for (const cluster of [...CLUSTERS, 'nobody', '']) maker.hints.headers.push(`${cluster_header}: ${cluster}`);
    return { cluster_header };
  }
  // Either one cluster has all the weight, or a header of every request decides.
  const byHeader = maker.chance(70);
  const clusters = [...CLUSTERS].slice(0, 1 + maker.dice.below(CLUSTERS.length));
  const loaded = maker.dice.below(clusters.length);
  if (byHeader) maker.hints.picks = true;
  const weights = clusters.map((_, i) =>
    byHeader ? maker.pick([0, 1, 9, 10, 50]) + (i === loaded ? 1 : 0) : i === loaded ? 10 : 0,
  );
  return {
    weighted_clusters: {
      clusters: clusters.map((name, i) => ({
        name,
        weight: weights[i],
        ...makeHeaderMutations(maker),
        ...maker.maybe(15, () => ({ host_rewrite_literal: 'weighted.test' })),
        ...makeFilterOverrides(maker, 12),
      })),
      ...(byHeader
        ? { header_name: 'x-pick' }
        : maker.maybe(30, () => ({ header_name: maker.pick(['x-a', ':path']) }))),
    },
  };
}

function makePathRewrite(maker: Maker, made: MadeMatch): Json {
  if (made.kind === 'template' && maker.chance(50)) {
    const variables = made.variables.map((name) => `{${name}}`).toReversed();
    const typed_config = { '@type': REWRITE_TYPE, path_template_rewrite: `/t/${variables.join('/')}` };
    return { path_rewrite_policy: { name: 'rewrite', typed_config } };
  }
  if (maker.chance(55)) return {};
  switch (maker.dice.below(made.kind === 'template' || made.kind === 'connect' ? 2 : 3)) {
    case 0:
      return { regex_rewrite: makeSubstitution(maker) };
    case 1:
      return { path_rewrite: `/f${maker.chance(50) ? '/' : ''}${maker.pick(['%REQ(x-a)%', '%REQ(:PATH)%', 'x?y=1'])}` };
    default:
      return { prefix_rewrite: maker.pick(['/', '/p', '/p/', '/p/q?r=1', 'nope']) };
  }
}

function makeSubstitution(maker: Maker): Json {
  const [regex, substitution] = maker.pick(SUBSTITUTIONS);
  return { pattern: { regex }, substitution };
}

function makeHostRewrite(maker: Maker): Json {
  if (maker.chance(65)) return {};
  switch (maker.dice.below(5)) {
    case 0:
      return { host_rewrite_literal: maker.pick(['literal.test', 'UPPER.test:81']) };
    case 1:
      return { auto_host_rewrite: maker.chance(80) };
    case 2:
      return { host_rewrite_header: maker.pick(['x-a', 'x-host']) };
    case 3:
      return { host_rewrite_path_regex: makeSubstitution(maker) };
    default:
      return { host_rewrite: `h.${maker.pick(['%REQ(x-a)%', '%REQ(:AUTHORITY)%', 'test'])}` };
  }
}

function makeRedirect(maker: Maker, made: MadeMatch): Json {
  const scheme = maker.maybe(50, () =>
    maker.chance(50) ? { https_redirect: maker.chance(80) } : { scheme_redirect: maker.pick(['ftp', 'HTTPS', 'http']) },
  );
  const path = maker.maybe(70, () => {
    switch (maker.dice.below(made.kind === 'template' ? 3 : 4)) {
      case 0:
        return { path_redirect: maker.pick(['/landed', '/landed?own=1', '/l#f', '/']) };
      case 1:
        return { regex_rewrite: makeSubstitution(maker) };
      case 2:
        return { path_rewrite: `/f/${makeFormat(maker)}` };
      default:
        return { prefix_rewrite: maker.pick(['/moved', '/', '/m?x=1']) };
    }
  });
  return {
    ...scheme,
    ...path,
    ...maker.maybe(45, () => ({ host_redirect: maker.pick(['to.test', 'To.Test:81', '[::2]']) })),
    ...maker.maybe(35, () => ({ port_redirect: maker.pick([80, 443, 8443]) })),
    ...maker.maybe(50, () => ({
      response_code: maker.pick([
        'FOUND',
        'SEE_OTHER',
        'TEMPORARY_REDIRECT',
        'PERMANENT_REDIRECT',
        'MOVED_PERMANENTLY',
      ]),
    })),
    ...maker.maybe(35, () => ({ strip_query: maker.chance(80) })),
  };
}

function makeDirectResponse(maker: Maker): Json {
  const status = maker.pick([200, 200, 201, 204, 205, 301, 304, 403, 404, 418, 500, 503, 599]);
  return {
    status,
    ...maker.maybe(65, () => ({ body: { inline_string: maker.pick([...VALUES, 'long '.repeat(50)]) } })),
  };
}
