// `npm start`: Bookinfo on this machine. Six small programs, a gateway and four sidecars, all on the loopback.

import { parseArgs } from 'node:util';
import { check } from './check.ts';
import { startMesh } from './mesh.ts';
import { findTaken, PORT_BASE_DEFAULT, PORT_SPAN, type PortMap, portMap } from './ports.ts';
import { startServices } from './services.ts';
import { showStatus } from './status.ts';

const USAGE = `Usage: npm start -- [options]

  --check          send traffic over the whole graph, check every answer, exit 0 or 1
  --port-base N    first of ${PORT_SPAN} ports (default ${PORT_BASE_DEFAULT})
  --proxy PATH     run another Envoy-compatible binary instead of Outrigger
  --help
`;
const PORT_MAX = 65_535;

interface Options {
  readonly check: boolean;
  readonly base: number;
  readonly binary: string | null;
}

/** Wrong usage, or something outside that the user can put right: told in one sentence, exit code 2. */
class UserError extends Error {}

function parse(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      check: { type: 'boolean', default: false },
      'port-base': { type: 'string', default: String(PORT_BASE_DEFAULT) },
      proxy: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  const base = Number(values['port-base']);
  if (!Number.isInteger(base) || base < 1 || base + PORT_SPAN > PORT_MAX)
    throw new UserError(`--port-base ${values['port-base']} is not a port from 1 to ${PORT_MAX - PORT_SPAN}`);
  return { check: values.check, base, binary: values.proxy ?? null };
}

function whatToTry(ports: PortMap): string[] {
  const url = `http://localhost:${ports.gateway}`;
  return [
    `Bookinfo is up:  ${url}/productpage`,
    '',
    'Try',
    `  curl -s ${url}/api/v1/products/0/reviews          several times: v1 has no stars, v2 black, v3 red ones`,
    `  curl -s -b user=jason ${url}/productpage          jason always meets reviews-v2`,
    `  curl -si ${url}//api/./v1/products                the path is normalised at the gateway`,
    `  curl -s 'localhost:${ports.admin.reviews}/stats?filter=ratings.upstream_rq_retry'   ratings fails 1 in 10, nobody sees it`,
    `  curl -s localhost:${ports.admin.gateway}/clusters        the gateway's admin page; the others follow on ${ports.admin.productpage}–${ports.admin.ratings}`,
  ];
}

async function main(options: Options): Promise<number> {
  const ports = portMap(options.base);
  const taken = await findTaken(ports);
  if (taken !== null) {
    const other = options.base === PORT_BASE_DEFAULT ? 19_080 : PORT_BASE_DEFAULT;
    throw new UserError(
      `port ${taken[1]}, for ${taken[0]}, is taken: stop what listens there, or use other ports: npm start -- --port-base ${other}`,
    );
  }
  const interrupted = new Promise<null>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve(null));
  });
  const services = await startServices(ports);
  try {
    const mesh = await startMesh(options.base, ports, options.binary);
    try {
      if (options.check) return await checked(ports);
      return await live(ports, mesh.pids, Promise.race([interrupted, mesh.broken]));
    } finally {
      await mesh.stop();
    }
  } finally {
    services.close();
  }
}

async function checked(ports: PortMap): Promise<number> {
  const failures = await check(ports, (line) => console.log(line));
  console.log(failures === 0 ? 'Bookinfo works.' : `${failures} checks failed.`);
  return failures === 0 ? 0 : 1;
}

async function live(
  ports: PortMap,
  pids: Parameters<typeof showStatus>[1],
  end: Promise<string | null>,
): Promise<number> {
  const head = whatToTry(ports);
  let stop = (): void => undefined;
  if (process.stdout.isTTY) stop = showStatus(ports, pids, head, (text) => process.stdout.write(text));
  else console.log([...head, '', 'Ctrl-C stops everything.'].join('\n'));
  const why = await end;
  stop();
  if (why === null) return 0;
  console.error(`bookinfo: ${why}`);
  return 1;
}

try {
  const options = parse(process.argv.slice(2));
  if (options === null) console.log(USAGE);
  else process.exitCode = await main(options);
} catch (error) {
  const badFlag = (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS') === true;
  console.error(`bookinfo: ${(error as Error).message}${badFlag ? '; see npm start -- --help' : ''}`);
  process.exitCode = badFlag || error instanceof UserError ? 2 : 1;
}
