// Errors that users meet: what, where, and what to do. Data-plane failures are values, not these.

/** A configuration that cannot be used; ends the start with exit code 2, or becomes a NACK. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  /** Field path (`static_resources.listeners[0].name`) or `file:line:column`; empty when neither is known. */
  readonly where: string;
  /** The message without the place. */
  readonly reason: string;
  constructor(message: string, where = '') {
    super(where === '' ? message : `${where}: ${message}`);
    this.where = where;
    this.reason = message;
  }
}

/** Command-line misuse; exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

let strict = false;
let bugCount = 0;

/** Makes `bug` throw; test fixtures switch this on. */
export function setStrict(on: boolean): void {
  strict = on;
}

/** An impossible state that a proxy must survive: counted and logged once per name in production, thrown in tests. */
export function bug(name: string, detail: string): void {
  bugCount++;
  if (strict) throw new Error(`bug ${name}: ${detail}`);
  if (!reported.has(name)) {
    reported.add(name);
    process.stderr.write(`[critical][outrigger] envoy bug failure: ${name}: ${detail}\n`);
  }
}
const reported = new Set<string>();

/** How many impossible states were met in this thread. */
export function bugsSeen(): number {
  return bugCount;
}
