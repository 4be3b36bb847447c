// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import type { ModelTrace, TracedContributor } from '../auditor/trace/trace-model.js';
import { modelTraceText } from './trace-text.js';

function contributor(vehicleId: string, change: Partial<TracedContributor> = {}): TracedContributor {
  return {
    ...{ vehicleId, enrolledBy: 'MakerMSP', enrolledAtMs: 0, makerKeyId: 'maker-1', maker: 'MakerMSP' },
    ...{ status: 'active', statusReason: '', keyRotations: 0, rounds: [1, 2], shareMilli: 500, suspicionMilli: 9_000 },
    ...{ contributionMicro: 0, reasons: {}, incidents: [] },
    ...change,
  };
}

function traceOf(
  contributors: readonly TracedContributor[],
  corrections: readonly Pick<ModelTrace['corrections'][number], 'afterRound' | 'incidentId' | 'kept'>[] = [],
): ModelTrace {
  const round = {
    ...{
      round: 2,
      attempt: 1,
      modelHash: 'b'.repeat(64),
      baseModelHash: 'a'.repeat(64),
      cohort: 2,
      openedBy: 'GridMSP',
    },
    ...{ aggregators: [], validators: [], departed: [], attestedBy: ['GridMSP'], finalisedAtMs: 0 },
  };
  return {
    ...{ kind: 'model', taskId: 'price-1', modelHash: 'b'.repeat(64), rounds: [round], contributors },
    corrections: corrections as ModelTrace['corrections'],
  };
}

const CULPRIT = contributor('v-culprit', {
  status: 'revoked',
  incidents: [{ incidentId: 'incident-1', taskId: 'price-1', state: 'confirmed' }],
});

describe('The story of a model', () => {
  const hintOf = (...contributors: TracedContributor[]) => modelTraceText(traceOf(contributors)).split('\n').at(-1);

  it('ends with what to do about the most suspicious', () => {
    expect(hintOf(contributor('v-1'), contributor('v-2'))).to.equal(
      '→ sev audit trace v-1; sev incident open --task price-1 --vehicle v-1',
    );
  });

  it('proposes no incident about who is revoked or in one', () => {
    const pending = contributor('v-2', {
      incidents: [{ incidentId: 'incident-2', taskId: 'price-1', state: 'projections' }],
    });
    const cleared = contributor('v-3', {
      incidents: [{ incidentId: 'incident-3', taskId: 'price-1', state: 'cleared' }],
    });
    expect(hintOf(CULPRIT, pending, cleared)).to.equal(
      '→ sev audit trace v-culprit; sev incident open --task price-1 --vehicle v-3',
    );
    const elsewhere = contributor('v-5', {
      incidents: [{ incidentId: 'incident-4', taskId: 'price-2', state: 'open' }],
    });
    expect(hintOf(elsewhere)).to.contain('--vehicle v-5');
    expect(hintOf(CULPRIT, contributor('v-4', { suspicionMilli: 0 }))).to.equal('→ sev audit trace v-culprit');
  });

  it('says of a correction whose reports were taken out of the candidate', () => {
    const textWith = (kept: 'candidate' | 'rollback') =>
      modelTraceText(traceOf([CULPRIT], [{ afterRound: 2, incidentId: 'incident-1', kept }]));
    expect(textWith('candidate')).to.contain(
      'by incident incident-1: the candidate was kept, without the last that v-culprit had reported',
    );
    expect(textWith('rollback')).to.contain('by incident incident-1: the rollback was kept\n');
  });
});
