// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'chai';
import pico from 'picocolors';
import { exampleReport } from '../testing/report.js';
import { niceScale } from './plot-scale.js';
import { reportJsonSchema, reportSchema, type Report } from './report.js';
import { plotOf, summaryText } from './summary.js';
import { accuracySvg } from './svg.js';
import { terminalPlot } from './terminal-plot.js';
import { writeReport } from './write-report.js';

const plain = pico.createColors(false);
const fromRoot = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

function validator(): (report: unknown) => boolean {
  const ajv = new Ajv2020({ strict: false, formats: { 'date-time': true } });
  const validate = ajv.compile(reportJsonSchema());
  return (report) => validate(report);
}

describe('report schema', () => {
  it('accepts a report and has every field that the report has', () => {
    expect(reportSchema.parse(exampleReport())).to.deep.equal(exampleReport());
    expect(validator()(exampleReport())).to.equal(true);
  });

  it('refuses a report that lacks a field, has one too many, or holds something that is not a number', () => {
    const check = validator();
    const { audit: _audit, ...withoutAudit } = exampleReport();
    const [first] = exampleReport().rounds;
    const broken: unknown[] = [
      withoutAudit,
      { ...exampleReport(), surprise: 1 },
      { ...exampleReport(), vehicles: 'four' },
      { ...exampleReport(), rounds: [{ ...first, modelHash: 'abc' }] },
      { ...exampleReport(), network: { ...exampleReport().network, trust: 'full' } },
    ];
    for (const report of broken) {
      expect(check(report), JSON.stringify(report).slice(0, 80)).to.equal(false);
    }
  });

  it('names who attacked on purpose in an exercise, and so does the summary', () => {
    const hostile = { attack: 'label-flip', share: 0.5, vehicles: ['v-one', 'v-two'] };
    const report = { ...exampleReport(), hostile };
    expect(reportSchema.parse(report)).to.deep.equal(report);
    expect(summaryText(report)).to.contain(
      'EXERCISE: 2 of 4 vehicles attack on purpose, by label-flip: v-one, v-two\n',
    );
    expect(plotOf(report).subtitle).to.contain('2 of 4 vehicles attack by label-flip');
    expect(summaryText(exampleReport())).not.to.contain('EXERCISE');
    const noisy = { attack: 'noisy-validator', share: 0.25, vehicles: [], validators: ['city'] };
    const text = summaryText({ ...exampleReport(), hostile: noisy });
    expect(text).to.contain('EXERCISE: 1 of 4 validators attack on purpose, by noisy-validator: city\n');
  });

  it('is the one published in docs/report.schema.json', async () => {
    const published = JSON.parse(await readFile(fromRoot('docs/report.schema.json'), 'utf8')) as unknown;
    expect(published).to.deep.equal(JSON.parse(JSON.stringify(reportJsonSchema())));
  });
});

describe('plots', () => {
  it('choose scales of round values that cover everything', () => {
    expect(niceScale([0.41, 0.861], 5)).to.deep.equal({ low: 0.4, high: 0.9, ticks: [0.4, 0.5, 0.6, 0.7, 0.8, 0.9] });
    expect(niceScale([0.5, 0.5], 5).high).to.be.greaterThan(0.5);
    expect(niceScale([Number.NaN], 5)).to.deep.include({ low: 0, high: 1 });
  });

  it('draw the SVG that is kept as a snapshot', async () => {
    const path = fromRoot('application/src/report/accuracy.snapshot.svg');
    expect(accuracySvg(plotOf(exampleReport()))).to.equal(await readFile(path, 'utf8'));
  });

  it('escape what comes from outside', () => {
    const report: Report = { ...exampleReport(), data: { source: '<script>&"', rows: 1, testRows: 1 } };
    const svg = accuracySvg(plotOf(report));
    expect(svg).to.contain('&lt;script&gt;&amp;&quot;').and.not.to.contain('<script>');
  });

  it('draw the terminal plot that is kept here', () => {
    const text = terminalPlot(plotOf(exampleReport()), plain);
    expect(text.split('\n')).to.deep.equal([
      '  R² by round   ● federated 0.787   ─ central 0.861   · alone 0.620',
      '  0.90 ┤',
      '       ┤─────────────────',
      '  0.80 ┤                ●',
      '       ┤            ●',
      '  0.70 ┤        ●',
      '       ┤    ●',
      '       ┤·················',
      '  0.60 ┤',
      '       ┤',
      '  0.50 ┤',
      '       ┤',
      '  0.40 ┤●',
      '        1               5 round',
    ]);
  });

  it('show the federation alone where there are no baselines', () => {
    const { baselines: _, ...report } = exampleReport();
    const plot = plotOf(report);
    for (const text of [accuracySvg(plot), terminalPlot(plot, plain)]) {
      expect(text)
        .to.contain('federated 0.787')
        .and.not.to.match(/central|alone|NaN/);
    }
    expect(summaryText(report)).to.contain('no baselines, as was asked for').and.not.to.contain('central');
  });

  it('survive a diverged round', () => {
    const report = exampleReport();
    report.rounds[2]!.r2 = -36_913;
    expect(accuracySvg(plotOf(report))).not.to.contain('NaN');
    expect(terminalPlot(plotOf(report), plain)).to.contain('●');
  });
});

describe('summary', () => {
  it('says the privacy mode, the trust and what the audit found', () => {
    const text = summaryText(exampleReport());
    expect(text).to.contain('plain: updates are visible to the store, the coordinator and the attesters');
    expect(text).to.contain('trust: single-operator');
    expect(text).to.contain('audit ok: 31 items checked');
  });

  it('shows no colour by itself', () => {
    expect(summaryText(exampleReport())).not.to.contain('\u001b[');
  });
});

describe('writing a report', () => {
  it('leaves report and plot, and swaps runs/latest to the newest', async () => {
    const runs = await mkdtemp(join(tmpdir(), 'sev-runs-'));
    try {
      await writeReport(runs, new Date('2026-01-02T03:04:05Z'), exampleReport());
      const second = { ...exampleReport(), taskId: 'price-0001' };
      await writeReport(runs, new Date('2026-01-02T03:05:05Z'), second);
      expect(await readlink(join(runs, 'latest'))).to.equal('20260102T030505Z-price-0001');
      const read = JSON.parse(await readFile(join(runs, 'latest', 'report.json'), 'utf8')) as unknown;
      expect(read).to.deep.equal(second);
      expect(await readFile(join(runs, 'latest', 'accuracy.svg'), 'utf8')).to.match(/^<svg /);
    } finally {
      await rm(runs, { recursive: true, force: true });
    }
  });
});
