// Built-in modules that a thread loads only when it needs them: a start without TLS needs neither (measured for each
// thread: `node:tls` 20 ms and 2 MB, `node:crypto` 5 ms). `test/util/builtin.test.ts` keeps them from being imported.

export const nodeCrypto = (): typeof import('node:crypto') => process.getBuiltinModule('node:crypto');
export const nodeTls = (): typeof import('node:tls') => process.getBuiltinModule('node:tls');
