// Every field has an answer: the tables of all message families in one.

import type { FieldTable } from './answer.ts';
import { BOOTSTRAP_FIELDS } from './bootstrap.ts';
import { CLUSTER_FIELDS } from './cluster.ts';
import { CORE_FIELDS } from './core.ts';
import { HCM_FIELDS } from './hcm.ts';
import { HTTP_FILTER_FIELDS } from './http-filter.ts';
import { LISTENER_FIELDS } from './listener.ts';
import { LISTENER_FILTER_FIELDS } from './listener-filter.ts';
import { MATCHER_FIELDS } from './matcher.ts';
import { ROUTE_FIELDS } from './route.ts';
import { TLS_FIELDS } from './tls.ts';

/** Family → its messages, in the order of the documentation. */
export const FIELD_FAMILIES: readonly { readonly name: string; readonly table: FieldTable }[] = [
  { name: 'Bootstrap', table: BOOTSTRAP_FIELDS },
  { name: 'Listeners, TCP proxy and access logs', table: LISTENER_FIELDS },
  { name: 'Listener filters', table: LISTENER_FILTER_FIELDS },
  { name: 'HTTP connection manager and HTTP filters', table: { ...HCM_FIELDS, ...HTTP_FILTER_FIELDS } },
  { name: 'Routes', table: ROUTE_FIELDS },
  { name: 'Generic matchers', table: MATCHER_FIELDS },
  { name: 'Clusters', table: CLUSTER_FIELDS },
  { name: 'TLS', table: TLS_FIELDS },
  { name: 'Common messages', table: CORE_FIELDS },
];

export const FIELDS: FieldTable = Object.assign({}, ...FIELD_FAMILIES.map((family) => family.table));
