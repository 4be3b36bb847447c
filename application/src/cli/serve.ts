// SPDX-License-Identifier: Apache-2.0
import { inHome } from '../config/index.js';
import type { RunningService, ServiceLog } from '../services/index.js';
import type { CommandContext } from './command.js';

/** What every service says of itself in its help. */
export const SERVICE_NOTES =
  'Runs until it is ended (Ctrl-C, SIGTERM). With --json it prints one line when it is ready:\n' +
  '{"ready":true,"service":…,"url":…,"pid":…}; the log is JSON lines on stderr (level: SEV_LOG_LEVEL, default info).';

/** What `--attester org=url` and the like name. */
export function addressesOf(named: Readonly<Record<string, string>> = {}): { organisation: string; url: string }[] {
  return Object.entries(named).map(([organisation, url]) => ({ organisation, url }));
}

/** JSON lines on stderr. */
export async function newLog(service: string, organisation?: string) {
  const { pino } = await import('pino');
  const level = process.env['SEV_LOG_LEVEL'] ?? 'info';
  const base = organisation === undefined ? { service } : { service, organisation };
  return pino({ level, base }, pino.destination({ dest: 2, sync: true }));
}

/** Says that the service is ready, then lives until it ends by itself, is told to, or fails; or says why it has nothing to do. */
export async function serve(
  context: CommandContext,
  name: string,
  home: string,
  service: RunningService,
  log: ServiceLog,
): Promise<void> {
  if (service.idle !== undefined) {
    context.terminal.answer({ ready: false, service: name, reason: service.idle }, `${name}: ${service.idle}`);
    await service.close();
    return;
  }
  const signal = context.signal();
  const stop = (): void => {
    // A failure while closing also rejects `done`, which is what is reported.
    service.close().catch(() => undefined);
  };
  signal.addEventListener('abort', stop, { once: true });
  if (process.env['SEV_STOP_WITH_STDIN'] === '1') {
    // The program that started this one holds the other end: it closes when that one dies.
    process.stdin.once('end', stop).once('error', stop).resume();
  }
  const { writeJson, makePrivateDirectory } = await import('../store/files.js');
  const ready = {
    ready: true,
    service: name,
    ...(service.url === undefined ? {} : { url: service.url }),
    pid: process.pid,
  };
  await makePrivateDirectory(home);
  await writeJson(inHome.service(home), ready);
  const where = service.url === undefined ? '' : ` at ${service.url}`;
  context.terminal.answer(ready, `${name} is ready${where}; end it with Ctrl-C`);
  try {
    await service.done;
  } finally {
    process.stdin.pause();
    await service.close();
    log.info({}, 'ended');
  }
}
