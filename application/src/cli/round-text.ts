// SPDX-License-Identifier: Apache-2.0
import { componentsOf, type RoundRecord, type SecureRound, type Task, type UpdateRecord } from '@sev/chaincode/api';
import { WEIGHT_REASONS } from '@sev/fl';
import { heRoundLines } from '../homomorphic/lines.js';
import { judgedLines, lossText, type JudgedRound, type VehicleInRound } from '../report/judged-round.js';
import { counted } from '../report/plural.js';
import { PRIVACY_NOTE, renderTable } from '../report/summary.js';

/** What a scored round made of validators and vehicles. */
export interface Judgement {
  readonly round?: JudgedRound | undefined;
  readonly vehicles: readonly VehicleInRound[];
}

/** A round for people: what came of it, who could see what, and its recorded updates. */
export function roundText(
  task: Task,
  record: RoundRecord,
  updates: readonly UpdateRecord[],
  judgement: Judgement = { vehicles: [] },
): string {
  const excluded = new Map(record.proposal?.excluded.map((e) => [e.vehicleId, e.reason]));
  const judged = new Map(judgement.vehicles.map((vehicle) => [vehicle.vehicleId, vehicle]));
  const isJudged = judged.size > 0;
  const rows = updates.map((u) => [
    u.vehicleId,
    u.updateHash.slice(0, 16),
    String(u.weightClass),
    new Date(u.recordedAtMs).toISOString(),
    ...(isJudged ? weightCells(judged.get(u.vehicleId)) : [excluded.get(u.vehicleId) ?? '']),
  ]);
  const found = isJudged ? ['weight', 'reason', 'suspicion', 'contribution'] : ['excluded'];
  return [
    `round ${record.taskId}/${String(record.round)}, attempt ${String(record.attempt)}: ${record.state}`,
    PRIVACY_NOTE[record.privacy],
    `base   ${record.baseModelHash}`,
    `model  ${record.proposal?.modelHash ?? 'not yet'}`,
    `attested by ${record.attestations?.map((a) => a.mspId).join(', ') ?? 'nobody yet'}`,
    '',
    'who could see what',
    ...visibilityRows(task, record).map(([who, what]) => `  ${who.padEnd(WHO_WIDTH)} ${what}`),
    ...courseLines(record),
    ...validationLines(record, judgement.round),
    ...heRoundLines(record),
    '',
    renderTable(
      ['vehicle', 'update', 'class', 'recorded', ...found],
      rows,
      new Set([2, ...(isJudged ? [4, 6, 7] : [])]),
    ),
    ...reasonLines(judgement.vehicles),
  ].join('\n');
}

/** Of a vehicle that is not in the cohort nothing is known. */
function weightCells(judged: VehicleInRound | undefined): string[] {
  if (judged === undefined) {
    return ['', 'not in the cohort', '', ''];
  }
  const { weight, reason = '', suspicionMilli, contributionMicro } = judged;
  const suspicion = suspicionMilli === undefined ? '' : (suspicionMilli / 1e3).toFixed(2);
  return [
    String(weight),
    reason,
    suspicion,
    contributionMicro === undefined ? '' : (contributionMicro / 1e6).toFixed(4),
  ];
}

/** What the reasons in the table mean. */
function reasonLines(vehicles: readonly VehicleInRound[]): string[] {
  const met = new Set(vehicles.flatMap(({ reason }) => (reason === undefined ? [] : [reason])));
  return [...met].sort().map((reason) => `${reason}: ${REASON_TEXT[reason]}`);
}

const REASON_TEXT = {
  ...WEIGHT_REASONS,
  EVENED: 'Too few have its weight, so that it would stand apart; it has the next that enough have, or 0.',
} satisfies Record<NonNullable<VehicleInRound['reason']>, string>;

const WHO_WIDTH = 24;

/** What came of a sum: it is opened at the end only, and in an attempt that was aborted perhaps not at all. */
function sumOf({ state, round, attempt, secure, he }: RoundRecord, sum: string): string {
  if (state === 'aggregated' || state === 'finalised') {
    return sum;
  }
  const shown = (secure ?? he)?.shownAttempts ?? [];
  const mayBeShown = shown.some((one) => one.round === round && one.attempt === attempt);
  if (state === 'aborted') {
    return mayBeShown ? `perhaps ${sum}` : 'no sum';
  }
  return `in the end ${sum}`;
}

/** Who could see what of the vehicles' updates, in plain words. */
function visibilityRows(task: Task, record: RoundRecord): [who: string, what: string][] {
  const { he } = task;
  const { secure } = record;
  const vehicle: [string, string] = ['the vehicle', 'its own data, which never left it, and its own update'];
  const ledger: [string, string] = [
    'members of the channel',
    'who took part and when, weight classes, hashes, the model',
  ];
  if (he !== undefined) {
    return [
      vehicle,
      [`${he.keyHolder} (key)`, `${sumOf(record, 'the masked sum, once')}; no ciphertext of a single update`],
      [`${he.summer} (sum)`, 'the ciphertext of each update, and no key to open it'],
      [`${he.maskHolder} (masks)`, 'the mask of each update, which says nothing of it'],
      ['organisations', sumOf(record, 'one sum over the cohort')],
      ['store', 'public keys, ciphertexts of the sum, both openings once shown, the model'],
      ['in league', `a ${he.summer} that lied and ${he.maskHolder} together: single updates`],
      ledger,
    ];
  }
  if (secure === undefined || task.secure === undefined) {
    return [
      vehicle,
      ['store, coordinator', 'every update, in the clear'],
      ['attesters', 'every update, in the clear: they compute the model from them again'],
      ledger,
    ];
  }
  const { drawn = [] } = secure;
  const [who, what] = ledger;
  const asked =
    drawn.length === 0 ? '' : `, and the base's loss on the rows of ${counted(drawn.length, 'drawn vehicle')}`;
  return [
    vehicle,
    ...holderRows(task.secure, secure),
    ...organisationRows(task, record, secure),
    [who, `${what}${asked}`],
  ];
}

function holderRows(terms: NonNullable<Task['secure']>, { opening, disputes }: SecureRound): [string, string][] {
  const { aggregators, threshold } = terms;
  const holders = componentsOf(aggregators.length, threshold);
  const rows = opening.aggregators.map(({ mspId }): [string, string] => {
    const lacking = holders.flatMap((by, part) => (by.includes(aggregators.indexOf(mspId)) ? [] : [String(part)]));
    const own = holders.length - lacking.length;
    const which = `${lacking.length === 1 ? 'part' : 'parts'} ${lacking.join(', ')}`;
    return [mspId, `${String(own)} of ${String(holders.length)} parts of each update: random without ${which}`];
  });
  const { arbiter } = opening;
  const shown = [...new Set(disputes.map(({ component }) => component))].sort((a, b) => a - b);
  return arbiter === undefined
    ? rows
    : [
        ...rows,
        [
          `${arbiter.mspId} (arbiter)`,
          shown.length === 0
            ? 'no part of any update'
            : `part ${shown.join(', ')} of each update of this round, to judge; never all ${String(holders.length)}`,
        ],
      ];
}

function organisationRows({ secure: terms }: Task, record: RoundRecord, secure: SecureRound): [string, string][] {
  const opened =
    terms === undefined || terms.projections === 0
      ? 'of a single update nothing'
      : `${String(terms.projections)} random projections of each update${terms.validation === undefined ? '' : ' and its product with one direction'} (${String(secure.openedProjections)} in this task so far)`;
  const sum = terms?.dp === undefined ? 'one weighted sum over the cohort' : 'one sum over the cohort, with noise';
  return [
    ['organisations', `${opened}, the weights, ${sumOf(record, sum)}`],
    ['store', 'encrypted parts, sums of parts, the model'],
  ];
}

/** What validators said of the base model, and what was found of them and of the vehicles. */
function validationLines({ secure }: RoundRecord, judged: JudgedRound | undefined): string[] {
  const { opening, validated, drawn = [], drawnLosses, references } = secure ?? {};
  if (opening?.validations === undefined || validated === undefined) {
    return [];
  }
  const said = opening.validations.map(({ mspId, lossMicro }) => `${mspId} ${lossText(lossMicro)}`);
  const median = drawnLosses === undefined ? '' : `; median ${lossText(drawnLosses.medianLossMicro)}`;
  return [
    `loss of the base model by validators: ${said.join(', ')}; median ${lossText(validated.medianLossMicro)}`,
    ...(drawn.length === 0
      ? []
      : [`the same by ${counted(drawn.length, 'drawn vehicle')}: ${String(drawnLosses?.heard ?? 0)} gave it${median}`]),
    ...(references === undefined ? [] : [`directions that made the reference: ${references.join(', ')}`]),
    ...(judged === undefined ? [] : judgedLines(judged)),
  ];
}

/** What happened on the way of a round in a secure mode. */
function courseLines({ secure, privacy }: RoundRecord): string[] {
  if (secure === undefined) {
    return [];
  }
  const { opening, holders, contradicted = [], faulty, accused, silent = [], unverified, disputes } = secure;
  const all = opening.aggregators.map(({ mspId }) => mspId);
  const away = holders === undefined ? [] : all.filter((mspId) => !holders.includes(mspId));
  const named = [...new Set([...contradicted, ...faulty, ...accused])].sort();
  return [
    ...(away.length === 0 ? [] : [`not there any more when the cohort was fixed: ${away.join(', ')}`]),
    ...(named.length === 0 ? [] : [`said what was not so: ${named.join(', ')}`]),
    ...disputes.map(
      ({ component, phase, faulty: found }) =>
        `part ${String(component)} was shown to the arbiter (${phase}): ${found === undefined ? 'no verdict yet' : found.length === 0 ? 'nobody was wrong' : `${found.join(', ')} was wrong`}`,
    ),
    ...(silent.length === 0 ? [] : [`given up waiting for the verdict of ${silent.join(', ')}`]),
    ...(unverified === undefined
      ? []
      : unverified.length === 0
        ? ['every part of the sum was answered for by two aggregators that agree, or by the arbiter']
        : [
            `parts ${unverified.join(', ')} rest on the word of one aggregator: no model before the arbiter has audited them`,
          ]),
    ...(privacy === 'dp' ? [`charged: ${String(secure.chargedMicroRho)} millionths of ρ in this task so far`] : []),
  ];
}
