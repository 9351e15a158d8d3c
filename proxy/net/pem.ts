// PEM (RFC 7468): the blocks of a text.

import { nodeCrypto } from '../util/builtin.ts';
import { type Certificate, certificateOf } from './certificate.ts';

/** DER of every block with this label, in order; other text and labels are passed over. */
export function pemBlocks(text: string, label: string): Buffer[] {
  const blocks: Buffer[] = [];
  const begin = `-----BEGIN ${label}-----`;
  const end = `-----END ${label}-----`;
  for (let at = text.indexOf(begin); at >= 0; ) {
    const until = text.indexOf(end, at);
    if (until < 0) break;
    blocks.push(Buffer.from(text.slice(at + begin.length, until), 'base64'));
    at = text.indexOf(begin, until);
  }
  return blocks;
}

/** The certificates of a bundle, each once. @throws when a block is no certificate */
export function bundleOf(pem: string): readonly Certificate[] {
  const seen = new Set<Certificate>();
  for (const label of ['CERTIFICATE', 'TRUSTED CERTIFICATE', 'X509 CERTIFICATE'])
    for (const der of pemBlocks(pem, label)) seen.add(certificateOf(new (nodeCrypto().X509Certificate)(der)));
  return [...seen];
}
