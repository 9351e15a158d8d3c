// The product page of Bookinfo as HTML.

export interface Details {
  readonly id: number;
  readonly author: string;
  readonly year: number;
  readonly type: string;
  readonly pages: number;
  readonly publisher: string;
  readonly language: string;
  readonly isbn: string;
}

export interface Review {
  readonly reviewer: string;
  readonly text: string;
  readonly rating?: { readonly stars?: number; readonly colour?: string; readonly error?: string };
}

export interface Page {
  readonly title: string;
  readonly user: string | null;
  /** `null` = details is not available. */
  readonly details: Details | null;
  /** `null` = reviews is not available. */
  readonly reviews: readonly Review[] | null;
  readonly version: string | null;
}

const STYLE = `
:root { color-scheme: light dark; --ink: light-dark(#1d2630, #e6e9ec); --paper: light-dark(#fbfaf7, #14181c);
  --line: light-dark(#ddd8cc, #2e363e); --accent: light-dark(#0b6e75, #5cc6cd); --soft: light-dark(#f1eee6, #1c2228); }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 17px/1.55 Georgia, 'Times New Roman', serif }
header, main, footer { max-width: 60rem; margin: auto; padding: 1rem 1.5rem }
header { display: flex; justify-content: space-between; align-items: baseline; gap: 1rem; border-bottom: 1px solid var(--line) }
header b { letter-spacing: .04em } a { color: var(--accent) }
h1 { font-size: 2.4rem; line-height: 1.1; margin: 1.5rem 0 .5rem } h2 { font-size: 1.15rem; margin: 0 0 .75rem }
.lead { max-width: 42rem; opacity: .85 }
.grid { display: grid; grid-template-columns: minmax(14rem, 1fr) 2fr; gap: 2.5rem; margin-top: 2rem }
@media (max-width: 44rem) { .grid { grid-template-columns: 1fr } }
dl { display: grid; grid-template-columns: auto 1fr; gap: .3rem 1rem; margin: 0 } dt { opacity: .65 } dd { margin: 0 }
blockquote { margin: 0 0 1rem; padding: 1rem 1.25rem; background: var(--soft); border-left: 3px solid var(--accent) }
cite { display: block; margin-top: .4rem; font-size: .9rem; opacity: .75 }
.stars { letter-spacing: .15em; font-size: 1.2rem } .red { color: #c8102e } .off { opacity: .25 }
.bad { color: #b3261e } footer { font-size: .85rem; opacity: .65 }
code { font: .85em ui-monospace, monospace; background: var(--soft); padding: .1em .35em }
`;

/** A complete HTML document. The words “served by reviews-vN” name the version that answered. */
export function renderPage(page: Page): string {
  const sign =
    page.user === null
      ? '<a href="/login?user=jason">Sign in as jason</a>'
      : `Signed in as <b>${page.user}</b> · <a href="/logout">sign out</a>`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${page.title} · Bookinfo</title><style>${STYLE}</style></head><body>
<header><b>Bookinfo</b><span>${sign}</span></header>
<main><h1>${page.title}</h1>
<p class="lead">One of Shakespeare’s early plays: two sets of identical twins, accidentally separated at birth, meet in
Ephesus, and nobody knows who is who. <a href="/productpage">Reload</a> to meet another version of the reviews.</p>
<div class="grid"><section><h2>Book details</h2>${renderDetails(page.details)}</section>
<section><h2>Reviews</h2>${renderReviews(page.reviews)}
<p>${page.version === null ? '' : `Served by <code>reviews-${page.version}</code>`}</p></section></div></main>
<footer>Every arrow between these services goes through Outrigger, a proxy in TypeScript that reads Envoy’s configuration.</footer>
</body></html>
`;
}

function renderDetails(details: Details | null): string {
  if (details === null) return '<p class="bad">Book details are not available right now.</p>';
  const rows: readonly (readonly [string, string | number])[] = [
    ['Author', details.author],
    ['Year', details.year],
    ['Type', details.type],
    ['Pages', details.pages],
    ['Publisher', details.publisher],
    ['Language', details.language],
    ['ISBN', details.isbn],
  ];
  return `<dl>${rows.map(([name, value]) => `<dt>${name}</dt><dd>${value}</dd>`).join('')}</dl>`;
}

function renderReviews(reviews: readonly Review[] | null): string {
  if (reviews === null) return '<p class="bad">Reviews are not available right now.</p>';
  return reviews
    .map(
      ({ reviewer, text, rating }) => `<blockquote>${text}<cite>${reviewer}</cite>${renderRating(rating)}</blockquote>`,
    )
    .join('');
}

function renderRating(rating: Review['rating']): string {
  if (rating === undefined) return '';
  if (rating.error !== undefined) return `<div class="bad">${rating.error}</div>`;
  const stars = rating.stars ?? 0;
  const lit = '★'.repeat(stars);
  const unlit = '★'.repeat(5 - stars);
  return `<div class="stars ${rating.colour ?? ''}">${lit}<span class="off">${unlit}</span></div>`;
}
