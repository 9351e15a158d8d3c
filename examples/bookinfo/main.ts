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
  if (!/^\d+$/.test(values['port-base']) || base < 1 || base + PORT_SPAN - 1 > PORT_MAX)
    throw new UserError(`--port-base ${values['port-base']} is not a port from 1 to ${PORT_MAX - PORT_SPAN + 1}`);
  return { check: values.check, base, binary: values.proxy ?? null };
}

function whatToTry(ports: PortMap): string[] {
  const url = `http://localhost:${ports.gateway}`;
  return [
    `Bookinfo is up: ${url}/productpage`,
    '  # ask several times: v1 has no stars, v2 black ones, v3 red ones',
    `  curl -s ${url}/api/v1/products/0/reviews`,
    '  # jason always meets the same version',
    `  curl -s -b user=jason ${url}/productpage | grep -o 'reviews-v.'`,
    '  # the gateway normalises the path',
    `  curl -si --path-as-is ${url}//api/./v1/products`,
    '  # ratings fails 1 request in 10 and nobody sees it: how often its caller tried again',
    `  curl -s 'localhost:${ports.admin.reviews}/stats?filter=ratings.upstream_rq_retry$'`,
    `  # the admin page of the gateway; those of the sidecars are on ${ports.admin.productpage} to ${ports.admin.ratings}`,
    `  curl -s localhost:${ports.admin.gateway}/clusters`,
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
    // Not `once`: on Ctrl-C the terminal and npm both tell us, and the second must not end us before the proxies.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve(null));
  });
  console.log('Starting a gateway, four sidecars and six services …');
  const services = await startServices(ports);
  try {
    const mesh = await startMesh(options.base, ports, options.binary, interrupted);
    if (mesh === null) return stopped(options);
    try {
      if (options.check) return (await checked(ports, interrupted)) ?? stopped(options);
      return await live(ports, mesh.pids, Promise.race([interrupted, mesh.broken]));
    } finally {
      await mesh.stop();
    }
  } finally {
    services.close();
  }
}

/** Told to stop before the end: nothing to complain about, but a check that was not finished did not pass. */
function stopped(options: Options): number {
  console.log('Stopped.');
  return options.check ? 1 : 0;
}

async function checked(ports: PortMap, interrupted: Promise<null>): Promise<number | null> {
  let over = false;
  const print = (line: string): void => {
    if (!over) console.log(line);
  };
  const failures = await Promise.race([interrupted, check(ports, print)]);
  over = true;
  if (failures === null) return null;
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
