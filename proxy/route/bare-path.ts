// Where a path ends and its query begins.

/** Without query and fragment. */
export function barePath(path: string): string {
  let end = path.indexOf('?');
  const fragment = path.indexOf('#');
  if (fragment >= 0 && (end < 0 || fragment < end)) end = fragment;
  return end < 0 ? path : path.slice(0, end);
}
