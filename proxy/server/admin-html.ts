// The pages for people: the index of endpoints and the stats in a page. No scripts, nothing loaded from elsewhere.

import { ENDPOINTS, type Endpoint } from './admin-endpoints.ts';

const HEAD = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Outrigger admin</title>
<style>
body { font-family: sans-serif; margin: 1.5em; }
table { border-collapse: collapse; }
td, th { text-align: left; padding: 0.25em 0.75em; vertical-align: top; }
tr:nth-child(even) { background: #f2f2f2; }
pre { font-size: 0.85em; }
form { display: inline; }
</style>
</head>
<body>
`;
const FOOT = '</body>\n</html>\n';

/** `/`: every endpoint as a link, or as a button where it needs POST. */
export function renderIndex(): string {
  const rows = ENDPOINTS.filter(({ path }) => path !== '/').map(rowOf);
  return `${HEAD}<h1>Admin</h1>\n<table>\n<tr><th>Command</th><th>Description</th></tr>\n${rows.join('')}</table>\n${FOOT}`;
}

function rowOf(endpoint: Endpoint): string {
  // Relative, so that the page also works behind a prefix.
  const target = escapeHtml(endpoint.path.slice(1));
  const command = endpoint.mutates
    ? `<form action="${target}" method="post"><button>${target}</button></form>`
    : `<a href="${target}">${target}</a>`;
  const parameters = endpoint.parameters.map(
    ({ name, help }) => `<br><code>${escapeHtml(name)}</code>: ${escapeHtml(help)}`,
  );
  return `<tr><td>${command}</td><td>${escapeHtml(endpoint.help)}${parameters.join('')}</td></tr>\n`;
}

/** Stats text in a page with a filter box. */
export function* renderStatsHtml(pieces: Iterable<string>): Generator<string> {
  yield `${HEAD}<h1>Stats</h1>
<form action="stats" method="get"><input type="hidden" name="format" value="html">
<label>Filter <input name="filter"></label> <label><input type="checkbox" name="usedonly"> used only</label>
<button>Show</button></form>
<pre>
`;
  for (const piece of pieces) yield escapeHtml(piece);
  yield `</pre>\n${FOOT}`;
}

function escapeHtml(raw: string): string {
  return raw.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
