// SPDX-License-Identifier: Apache-2.0
import type { Command } from 'commander';
import { EXIT, SevError } from '../errors.js';
import type { Evidence } from '../incidents/evidence.js';
import type { DisputedUpdates } from '../incidents/disputed-updates.js';
import { addCommand, type CommandContext, type Runner } from './command.js';
import type { OpenedSession } from './homes.js';
import { correctionText, evidenceText } from './incident-text.js';
import {
  asStaff,
  organisationOptions,
  serviceOptions,
  withServices,
  type ServiceChoice,
} from './organisation-option.js';
import { pair } from './values.js';

interface CorrectOptions extends ServiceChoice {
  readonly attester?: Readonly<Record<string, string>>;
  readonly rollback?: boolean;
}

type Opened = OpenedSession & { readonly label: string };

const SERVICES_NOTE =
  'Store and aggregators are those that are named, else those that run on this machine, else those whose homes lie here,\n' +
  'which then run while this takes.';

/** Opens what the votes allow, as this organisation sees it. */
async function gather(
  { terminal }: CommandContext,
  opened: Opened,
  { homes, store: storeUrl, aggregator = {} }: ServiceChoice,
  incidentId: string,
): Promise<{ readonly evidence: Evidence; readonly updates: DisputedUpdates }> {
  const [{ DisputedUpdates: Updates }, { gatherEvidence }] = await Promise.all([
    import('../incidents/disputed-updates.js'),
    import('../incidents/evidence.js'),
  ]);
  const { session, wallet, label } = opened;
  const note = (text: string): void => {
    terminal.note(text);
  };
  return withServices(opened, homes, note, async (services) => {
    const { terms } = await Updates.of(incidentId, session, []);
    const store = await services.store(storeUrl);
    const aggregators = await services.aggregators(terms.aggregators, aggregator, await wallet.get(label));
    const updates = await Updates.of(incidentId, session, aggregators);
    return { updates, evidence: await gatherEvidence(updates, (hash) => store.get(hash)) };
  });
}

export function addEvidence(group: Command, run: Runner): void {
  addCommand<ServiceChoice>(group, run, {
    usage: 'evidence <incident>',
    summary: 'open what the votes allow of the disputed updates, check it, and say what it speaks for',
    examples: [
      'sev incident evidence incident-1f0c9a7e4b21 --org city',
      'sev incident evidence incident-1f0c9a7e4b21 --store http://127.0.0.1:8100 --aggregator grid=https://127.0.0.1:8301 …',
    ],
    notes:
      'Projections count where the aggregators that hold a component agree; updates where they fit the commitments that the\n' +
      'vehicle signed. The findings are kept in the home of the organisation, for its owner only; their hash is what votes\n' +
      `name. ${SERVICES_NOTE}`,
    options: (command) => {
      organisationOptions(command);
      serviceOptions(command);
    },
    work: (context, choice, [id = '']) =>
      asStaff(choice, async (opened) => {
        const [{ evidence, updates }, { assess }, { writeFindings }] = await Promise.all([
          gather(context, opened, choice, id),
          import('../incidents/assessment.js'),
          import('../incidents/findings-file.js'),
        ]);
        const path = await writeFindings(opened.home, evidence.findings);
        const { clipMilli } = updates.terms;
        const assessment = assess(evidence.findings, { clipMilli, hasReference: evidence.hasReference });
        return { data: { ...evidence, assessment, path }, text: evidenceText(evidence, assessment, path) };
      }),
  });
}

/**
 * Computes the findings of an incident again, and compares them with those that the organisation has looked at.
 *
 * @param named hash that was given; else that of the findings in the home.
 * @returns the hash to vote for.
 * @throws SevError FINDINGS_MISSING, FINDINGS_DIFFER.
 */
export async function verifiedFindings(
  context: CommandContext,
  opened: Opened,
  choice: ServiceChoice,
  incidentId: string,
  named: string | undefined,
): Promise<string> {
  const [{ readFindings }, { findingsHash }, { insistOnSameFindings }] = await Promise.all([
    import('../incidents/findings-file.js'),
    import('../incidents/findings.js'),
    import('../incidents/evidence.js'),
  ]);
  const kept = named === undefined ? await readFindings(opened.home, incidentId) : undefined;
  const expected = named ?? (kept && findingsHash(kept));
  if (expected === undefined) {
    throw new SevError('FINDINGS_MISSING', `${opened.session.mspId} has not looked at what was opened`, {
      hint: `Run \`sev incident evidence ${incidentId}\` for this organisation first.`,
      exitCode: EXIT.usage,
    });
  }
  const { evidence } = await gather(context, opened, choice, incidentId);
  insistOnSameFindings(evidence, expected);
  return evidence.hash;
}

export function addCorrect(group: Command, run: Runner): void {
  addCommand<CorrectOptions>(group, run, {
    usage: 'correct <incident>',
    summary: "after `confirm`: take the culprit's part out of the model, or go back before it; the better one is kept",
    examples: [
      'sev incident correct incident-1f0c9a7e4b21',
      'sev incident correct incident-1f0c9a7e4b21 --attester maker=http://127.0.0.1:8201 --attester city=… --attester regulator=…',
    ],
    notes:
      'Rollback: the model before the disputed rounds. Candidates: the rounds since, without what the culprit had reported in the\n' +
      "last of them. Each organisation's attester computes all itself and measures them on its own validation data; the contract\n" +
      'takes medians of the rollback and the best candidate, and the next round starts from the model that it keeps. No vehicle\n' +
      'trains again.\n' +
      `${SERVICES_NOTE} So do attesters whose validation data lie in their homes.`,
    options: (command) => {
      command.option('--attester <org=url>', 'attester that measures; may be repeated', pair);
      command.option('--rollback', 'no candidate: for where the disputed updates can no longer be opened');
      organisationOptions(command);
      serviceOptions(command);
    },
    work: async ({ terminal }, options, [id = '']) =>
      asStaff(options, async (opened) => {
        const [{ correctAfter }, { DisputedUpdates: Updates }] = await Promise.all([
          import('../incidents/correct.js'),
          import('../incidents/disputed-updates.js'),
        ]);
        const { session, wallet, label } = opened;
        const { homes, store: storeUrl, aggregator = {}, attester = {}, rollback: rollbackOnly = false } = options;
        const note = (text: string): void => {
          terminal.note(text);
        };
        const corrected = await withServices(opened, homes, note, async (services) => {
          const { terms, task } = await Updates.of(id, session, []);
          const store = await services.store(storeUrl);
          const aggregators = await services.aggregators(terms.aggregators, aggregator, await wallet.get(label));
          const where = { mspIds: terms.aggregators, named: aggregator };
          const measurers = await services.measurers(task.taskId, attester, where);
          return correctAfter({ incidentId: id, session, store, aggregators, measurers, rollbackOnly });
        });
        const { corrections, candidate, ...rest } = corrected;
        const data = {
          ...rest,
          candidate: withoutBytes(candidate),
          corrections: { ...corrections, rollback: withoutBytes(corrections.rollback) },
        };
        return { data, text: correctionText(corrected) };
      }),
  });
}

function withoutBytes<T extends { readonly bytes: Uint8Array }>({ bytes: _bytes, ...model }: T): Omit<T, 'bytes'> {
  return model;
}
