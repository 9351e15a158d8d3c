// Random UUIDs and keys without `node:crypto`, whose loading costs each thread 10 ms and 3 MB at start.

import { openSync, readSync } from 'node:fs';

/** The kernel's generator, from which `node:crypto` is seeded too. */
const SOURCE = '/dev/urandom';
const UUID_BYTES = 16;
const UUID_DIGITS = 2 * UUID_BYTES;
/** UUIDs made per read of the source. */
const BATCH = 256;

let digits = '';
let offset = 0;
let source = -1;

/**
 * A version-4 UUID of 122 random bits (RFC 9562, section 5.4).
 * @throws Error when the system has no `/dev/urandom`
 */
export function randomUuid(): string {
  if (offset === digits.length) refill();
  const at = offset;
  offset += UUID_DIGITS;
  return `${digits.slice(at, at + 8)}-${digits.slice(at + 8, at + 12)}-${digits.slice(at + 12, at + 16)}-${digits.slice(at + 16, at + 20)}-${digits.slice(at + 20, at + UUID_DIGITS)}`;
}

/** Random bytes fit for keys. Each thread keeps one descriptor for good. */
export function randomBuffer(length: number): Buffer {
  if (source < 0) source = openSync(SOURCE, 'r');
  const bytes = Buffer.alloc(length);
  for (let filled = 0; filled < bytes.length; ) filled += readSync(source, bytes, filled, bytes.length - filled, null);
  return bytes;
}

function refill(): void {
  const bytes = randomBuffer(UUID_BYTES * BATCH);
  for (let at = 0; at < bytes.length; at += UUID_BYTES) {
    bytes[at + 6] = ((bytes[at + 6] as number) & 0x0f) | 0x40;
    bytes[at + 8] = ((bytes[at + 8] as number) & 0x3f) | 0x80;
  }
  digits = bytes.toString('hex');
  offset = 0;
}
