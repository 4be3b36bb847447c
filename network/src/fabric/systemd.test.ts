// SPDX-License-Identifier: Apache-2.0
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { quote, renderUnits, unitPath, type UnitOptions } from './systemd.js';

const OPTIONS: UnitOptions = {
  organisation: 'grid',
  network: 'grid',
  user: userInfo().username,
  networkHome: '/srv/sev/net work',
  stateFile: '/srv/sev/net work/fabric/state.json',
  logFile: '/srv/sev/net work/fabric/network.log',
  topologyFile: '/srv/sev/100%/consortium.yaml',
  homes: '/srv/sev/homes',
  node: process.execPath,
  supervisor: '/srv/sev/network/dist/supervisor/main.js',
  sev: '/srv/sev/application/bin/sev.js',
  path: unitPath(process.execPath, { peer: '/opt/fabric/bin/peer', orderer: '/opt/fabric/bin/orderer' }),
  ports: { store: 8100, coordinator: 8200, attester: 8201, batcher: 8202 },
  attesters: { city: 'http://city.example:8201' },
  textfiles: '/var/lib/node_exporter/textfile',
};

/** The value of a setting of a unit. */
function settingOf(unit: string | undefined, name: string): string | undefined {
  return unit
    ?.split('\n')
    .find((line) => line.startsWith(`${name}=`))
    ?.slice(name.length + 1);
}

describe('systemd units', () => {
  const units = renderUnits(OPTIONS);

  it('are there for the network, every service and the figures', () => {
    expect(Object.keys(units)).to.deep.equal([
      'sev-network-grid.service',
      'sev-store-grid.service',
      'sev-attester-grid.service',
      'sev-batcher-grid.service',
      'sev-coordinator-grid@.service',
      'sev-metrics-grid.service',
      'sev-metrics-grid.timer',
    ]);
    const { textfiles: _, ...without } = OPTIONS;
    expect(Object.keys(renderUnits(without))).to.have.length(5);
  });

  it('run the supervisor in the foreground, end it in order and start it again when it fails', () => {
    const unit = units['sev-network-grid.service'];
    expect(settingOf(unit, 'ExecStart')).to.equal(
      `"${process.execPath}" "/srv/sev/network/dist/supervisor/main.js" "/srv/sev/net work" "/srv/sev/100%%/consortium.yaml" "fabric"`,
    );
    expect(unit).to.include('\nKillMode=mixed\nKillSignal=SIGTERM\nTimeoutStopSec=60\n');
    expect(unit).to.include('\nRestart=on-failure\n');
    expect(settingOf(unit, 'ReadWritePaths')).to.equal('"/srv/sev/net work"');
    expect(settingOf(unit, 'ConditionPathExists')).to.equal(OPTIONS.stateFile);
  });

  it('may write nowhere but in their homes, and take no new privileges', () => {
    for (const [name, unit] of Object.entries(units).filter(([each]) => each.endsWith('.service'))) {
      expect(unit, name).to.include('\nNoNewPrivileges=yes\n').and.to.include('\nProtectSystem=strict\n');
      expect(unit, name).to.include('\nCapabilityBoundingSet=\n').and.to.include('\nPrivateTmp=yes\n');
    }
    expect(settingOf(units['sev-attester-grid.service'], 'ReadWritePaths')).to.equal('"/srv/sev/homes/grid"');
  });

  it('name a coordinator after its task, and the attesters of others', () => {
    const start = settingOf(units['sev-coordinator-grid@.service'], 'ExecStart');
    expect(start)
      .to.include('"--attester" "city=http://city.example:8201"')
      .and.to.match(/ --task "%i"$/);
  });

  it('take no value for a specifier or a variable', () => {
    expect(quote('100% of "it" \\')).to.equal('"100%% of \\"it\\" \\\\"');
    const odd = renderUnits({ ...OPTIONS, attesters: { city: 'http://city/$HOME' } });
    expect(settingOf(odd['sev-coordinator-grid@.service'], 'ExecStart')).to.include('http://city/$$HOME');
  });

  it('pass systemd-analyze verify', function () {
    if (spawnSync('systemd-analyze', ['--version']).status !== 0) {
      process.stdout.write('      skipped: systemd-analyze is not on this machine\n');
      this.skip();
    }
    this.timeout(30_000);
    const folder = mkdtempSync(join(tmpdir(), 'sev-units-'));
    try {
      const files = Object.entries(units).map(([name, content]) => {
        writeFileSync(join(folder, name), content);
        return join(folder, name);
      });
      const output = execFileSync('systemd-analyze', ['verify', ...files], { encoding: 'utf8', stdio: 'pipe' });
      expect(output).to.equal('');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
