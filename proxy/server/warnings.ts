// Node's own process warnings, in our log instead of on standard error.

/** Experimental parts that this program uses knowingly; their warnings tell a user nothing. */
const EXPECTED = /FFI/;

/** Replaces Node's default printing of warnings in this thread. */
export function quietWarnings(log: (text: string) => void): void {
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    if (warning.name === 'ExperimentalWarning' && EXPECTED.test(warning.message)) return;
    log(`${warning.name}: ${warning.message}`);
  });
}
