// SPDX-License-Identifier: Apache-2.0
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { InvalidArgumentError, type Command } from 'commander';
import type { AuditProgress, AuditResult, CheckOptions, SkippedPart } from '../auditor/index.js';
import { EXIT, SevError } from '../errors.js';
import { counted } from '../report/plural.js';
import { privacyNotes, renderTable } from '../report/summary.js';
import { addCommand, addGroup, type Answer, type Runner } from './command.js';
import { EXIT_CODES } from './exit-codes.js';
import { homesFolder, withSession } from './homes.js';
import { staffLabel } from './organisation-option.js';
import { Progress } from './progress.js';
import type { Terminal } from './terminal.js';
import { addTrace } from './trace.js';

interface LedgerOptions {
  readonly org: string;
  readonly home?: string;
  readonly homes?: string;
}
interface VerifyOptions extends LedgerOptions {
  readonly file?: string;
  /** Places named with --store; false with --no-store. */
  readonly store?: readonly string[] | false;
  readonly task?: string;
  readonly genesis?: string;
}
interface HistoryOptions extends LedgerOptions {
  readonly task?: string;
}

function ledgerOptions(command: Command): void {
  command.option('--org <name>', 'organisation whose identity and gateway are used', 'regulator');
  command.option('--home <folder>', 'home of that organisation (default .sev/<organisation>)');
  command.option('--homes <folder>', 'folder of the homes, one named after each organisation');
}

export function auditCommands(program: Command, run: Runner): void {
  const group = addGroup(program, 'audit', 'check the ledger and the store, follow histories, export');
  addVerify(group, run);
  addHistory(group, run);
  addTrace(group, run);
  addExport(group, run);
}

function addVerify(group: Command, run: Runner): void {
  addCommand<VerifyOptions>(group, run, {
    usage: 'verify',
    summary: 'check everything from the blocks and the store, and name the first thing that does not hold',
    examples: [
      'sev audit verify',
      'sev audit verify --store http://127.0.0.1:8100 --json',
      'sev audit verify --task price-1 --store .sev/store/objects --store /mnt/other/objects',
      'sev audit verify --file ledger.sev --genesis 5f3c… --no-store',
    ],
    notes:
      "Checked are: the chain of blocks, the orderers' and clients' signatures, endorsements, validation codes, the\n" +
      "contracts' rules from the requests, statements, and with a store every model, update and aggregation.\n" +
      `The exit code is ${String(EXIT_CODES.refused.code)} where something does not hold.`,
    options: (command) => {
      command.option('--file <export>', 'check a file written by `sev audit export` instead of the running network');
      command.option(
        '--genesis <hash>',
        'hash of block 0, where the word of profile or export is not enough',
        genesisHash,
      );
      command.option(
        '--store <where>',
        'address or folder of a store, may be given several times (default .sev/store/objects)',
        severalPlaces,
      );
      command.option('--no-store', 'check the ledger only');
      command.option('--task <id>', 'look in the stores for the objects of this task only');
      ledgerOptions(command);
    },
    work: async ({ terminal }, options) => {
      const result = await verify(terminal, options);
      const { AUDIT_HINTS } = await import('../auditor/index.js');
      return verifyAnswer(result, result.firstFailure && AUDIT_HINTS[result.firstFailure.code]);
    },
  });
}

async function verify(terminal: Terminal, options: VerifyOptions): Promise<AuditResult> {
  if (options.file !== undefined) {
    await assertFile(options.file);
  }
  const { auditLedger } = await import('../run/audit-ledger.js');
  const store = await storeChoice(options);
  const onProgress = auditProgress(terminal);
  const genesis = options.genesis === undefined ? {} : { genesisHash: options.genesis };
  if (options.file === undefined) {
    return withSession({ ...options, label: staffLabel(options.org) }, ({ session }) =>
      auditLedger({ session, ...genesis, ...store, onProgress }),
    );
  }
  const { verifyExport } = await import('../auditor/index.js');
  const result = await verifyExport({ path: options.file, ...genesis, ...store, onProgress });
  if (options.genesis === undefined && result.height > 0) {
    terminal.warn("the export's own roots and genesis hash were trusted; compare them with what you know (--genesis)");
  }
  return result;
}

/** What of the stores is checked. A network without any task needs no store: the default one may be missing. */
async function storeChoice({
  store,
  task,
  homes,
}: VerifyOptions): Promise<Pick<CheckOptions, 'store' | 'storeTaskId'>> {
  if (store === false) {
    if (task !== undefined) {
      throw usage('--task says whose objects are looked for in the store; leave it or --no-store out');
    }
    return {};
  }
  const [{ openStoresToAudit, storeFolder }, { folderReader }] = await Promise.all([
    import('../run/audit-ledger.js'),
    import('../auditor/index.js'),
  ]);
  const opened = store === undefined ? folderReader(storeFolder(homesFolder(homes))) : await openStoresToAudit(store);
  return { store: opened, ...(task === undefined ? {} : { storeTaskId: task }) };
}

function severalPlaces(where: string, previous: readonly string[] | false | undefined): string[] {
  return [...(Array.isArray(previous) ? (previous as readonly string[]) : []), where];
}

async function assertFile(path: string): Promise<void> {
  if (!(await stat(path)).isFile()) {
    throw unusable(path, 'is not a file');
  }
}

/** Before the ledger is asked for anything. */
async function assertFolderOf(path: string): Promise<void> {
  const folder = dirname(path);
  if (!(await stat(folder)).isDirectory()) {
    throw unusable(folder, 'is not a folder');
  }
}

function unusable(path: string, what: string): SevError {
  return new SevError('FILE_UNUSABLE', `${path} ${what}`, {
    hint: 'Check the path and run the command again.',
    exitCode: EXIT.usage,
  });
}

/** Shows how far an audit is. */
export function auditProgress(terminal: Terminal): (progress: AuditProgress) => void {
  const blocks = new Progress({ terminal, label: 'audit: block', unit: 'blocks' });
  let rounds: Progress | undefined;
  return ({ stage, done, total }) => {
    if (stage === 'blocks') {
      blocks.update(done, total);
    } else {
      rounds ??= new Progress({ terminal, label: 'audit: round', unit: 'rounds' });
      rounds.update(done, total);
    }
  };
}

function genesisHash(text: string): string {
  if (!/^[0-9a-f]{64}$/i.test(text)) {
    throw new InvalidArgumentError('It must be 64 hexadecimal digits.');
  }
  return text.toLowerCase();
}

const NOT_CHECKED: Readonly<Record<SkippedPart, string>> = {
  store: 'not checked: store',
  'objects-of-other-tasks': 'not checked: objects of other tasks',
};

function verifyAnswer(result: AuditResult, hint: string | undefined): Answer {
  const counts = Object.entries(result.checked).map(([what, count]) => counted(count, what.replace(/s$/, '')));
  const skipped = result.skipped.map((part) => NOT_CHECKED[part]);
  const failure = result.firstFailure;
  const lines =
    failure === undefined
      ? ['audit ok']
      : [
          'audit FAILED',
          `${failure.code}: ${failure.where}`,
          `  ${failure.detail}`,
          ...(hint === undefined ? [] : [`→ ${hint}`]),
          '→ nothing after this was checked',
        ];
  return {
    data: {
      ...result,
      ...(failure === undefined ? {} : { firstFailure: { ...failure, hint } }),
      rounds: Object.fromEntries(result.rounds),
    },
    text: [...lines, counts.join(', '), ...skipped, `last block ${result.lastBlockHash}`].join('\n'),
    exitCode: result.ok ? EXIT_CODES.ok.code : EXIT_CODES.refused.code,
  };
}

function addHistory(group: Command, run: Runner): void {
  addCommand<HistoryOptions>(group, run, {
    usage: 'history <kind> <id>',
    summary: 'how a record came to be and changed: vehicle, task, round (task/round), model',
    examples: [
      'sev audit history vehicle v-AbCdEfGhIjKlMnOpQrStUv --task price-1',
      'sev audit history task price-1',
      'sev audit history round price-1/4',
      'sev audit history model 9a3e… --task price-1',
    ],
    options: (command) => {
      command.option('--task <id>', "task of a model, or for a vehicle's updates");
      ledgerOptions(command);
    },
    work: (_context, options, [kind = '', id = '']) =>
      withSession({ ...options, label: staffLabel(options.org) }, async ({ session }) => {
        const { auditHistory } = await import('../auditor/history.js');
        const history = await auditHistory(session, historyTarget(kind, id, options.task));
        const rows = history.map((entry) => [
          new Date(entry.timestampMs).toISOString(),
          entry.txId.slice(0, 16),
          entry.deleted ? 'deleted' : entry.what,
        ]);
        const table = renderTable(['time', 'transaction', 'what'], rows, new Set());
        return {
          data: history,
          text:
            history.length === 0
              ? 'nothing is recorded'
              : `${table}\n${privacyNotes(history.map(({ record }) => record))}`.trimEnd(),
        };
      }),
  });
}

function historyTarget(kind: string, id: string, taskId: string | undefined) {
  const withTask = taskId === undefined ? {} : { taskId };
  switch (kind) {
    case 'vehicle':
      return { kind, vehicleId: id, ...withTask } as const;
    case 'task':
      return { kind, taskId: id } as const;
    case 'round': {
      const match = /^(.+)\/(\d+)$/.exec(id);
      if (match?.[1] !== undefined) {
        return { kind, taskId: match[1], round: Number(match[2]) } as const;
      }
      throw usage('A round is named task/round, e.g. price-1/4');
    }
    case 'model':
      if (taskId === undefined) {
        throw usage('Name the task of the model with --task');
      }
      return { kind, taskId, modelHash: id } as const;
    default:
      throw usage(`There is no history of "${kind}"; known are vehicle, task, round, model`);
  }
}

function usage(message: string): SevError {
  return new SevError('USAGE', message, { exitCode: EXIT.usage });
}

function addExport(group: Command, run: Runner): void {
  addCommand<LedgerOptions>(group, run, {
    usage: 'export <file>',
    summary: 'write all blocks into one file that `sev audit verify --file` checks offline',
    examples: ['sev audit export ledger.sev', 'sev audit export ledger.sev --json'],
    options: ledgerOptions,
    work: async ({ terminal }, options, [file = '']) => {
      await assertFolderOf(file);
      return withSession({ ...options, label: staffLabel(options.org) }, async ({ session, profile }) => {
        const { exportLedger, manifestOf } = await import('../auditor/index.js');
        const height = await session.height();
        const progress = new Progress({ terminal, label: 'exported: block', unit: 'blocks', total: Number(height) });
        const blocks = session.blocks({ startBlock: 0n, endBlock: height - 1n });
        const summary = await exportLedger(blocks, manifestOf(profile), file, (done) => {
          progress.update(done);
        });
        const size = `${counted(summary.blocks, 'block')}, ${counted(summary.bytes, 'byte')}`;
        return { data: summary, text: `${size} written to ${file}\nSHA-256 ${summary.sha256}` };
      });
    },
  });
}
