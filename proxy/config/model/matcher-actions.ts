// Walks over generic matchers.

import type { MatcherModel } from './matcher.ts';
import type { RouteModel, VirtualHostModel } from './route.ts';

/** Every action that a matcher can lead to. */
export function actionsOf<A>({ choice, onNoMatch }: MatcherModel<A>): readonly A[] {
  const leads = choice.kind === 'none' ? [] : choice.entries.map((entry) => entry.onMatch);
  return [...leads, ...(onNoMatch === null ? [] : [onNoMatch])].flatMap((lead) =>
    lead.kind === 'action' ? [lead.action] : actionsOf(lead.matcher),
  );
}

/** Every route of a virtual host, wherever it stands. */
export function routesOf({ routes, matcher }: VirtualHostModel): readonly RouteModel[] {
  return matcher === null ? routes : actionsOf(matcher).flat();
}
