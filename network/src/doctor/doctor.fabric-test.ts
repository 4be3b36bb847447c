// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect } from 'chai';
import { CertificateAuthority } from '../embedded/ca/authority.js';
import { upgradeChaincode } from '../fabric/deploy.js';
import { rootFile } from '../fabric/enrolment.js';
import { mspFiles, organisationLayout } from '../fabric/layout.js';
import { rulesFile, scrapeFile } from '../fabric/monitoring.js';
import { rotateNodes } from '../fabric/rotation.js';
import { networkUnits } from '../fabric/systemd-units.js';
import { newTestClient } from '../fabric/testing/client.js';
import { newTestFolder, requireFabric } from '../fabric/testing/network.js';
import { controlNetwork } from '../supervisor/control.js';
import { networkDown } from '../supervisor/down.js';
import { networkPaths } from '../supervisor/paths.js';
import { poll } from '../supervisor/poll.js';
import { networkStatus } from '../supervisor/status.js';
import { networkUp } from '../supervisor/up.js';
import type { DoctorOptions } from './facts.js';
import { networkDoctor } from './doctor.js';
import { peerLedgerFolder } from './ledgers.js';
import { networkMetrics } from './metrics.js';
import { parseMetrics } from './probes.js';

const DEADLINE_MS = 60_000;
/** What this machine is to blame for. */
const MACHINE = ['DISK_LOW', 'DISK_FULL', 'INODES_LOW', 'MEMORY_LOW', 'FILE_LIMIT_LOW', 'CLOCK_UNSYNCHRONISED'];
/** What a process that died and lives again is still known for, until the network is started anew. */
const PAST = ['NODE_RESTARTED', 'NODE_RESTART_LOOP'];

/** Names of metrics in an expression of the rules: words that are no function, keyword or label. */
function metricsIn(expression: string): string[] {
  const names =
    expression.replace(/\{[^}]*\}|\[[^\]]*\]|\b(by|on)\s*\([^)]*\)/g, ' ').match(/\b[a-z]\w*_\w+\b/gi) ?? [];
  return names.filter((name) => !['group_right'].includes(name));
}

function doctorSuite(consensus: 'bft' | 'raft', more: (folder: ReturnType<typeof newTestFolder>) => void): void {
  describe(`sev network doctor on real Fabric with ${consensus}`, function () {
    this.timeout(300_000);
    requireFabric(this);
    const folder = newTestFolder((text) => text.replace('consensus: bft', `consensus: ${consensus}`));
    const { options } = folder;
    const paths = networkPaths(options.home, 'fabric');

    before(async function () {
      if ((await networkUp(options)).running) {
        return;
      }
      this.skip();
    });
    after(() => folder.remove());

    it('finds nothing wrong with a healthy network', async () => {
      const { findings } = await networkDoctor(options);
      const wrong = findings.filter(({ level, code }) => level !== 'ok' && !MACHINE.includes(code));
      expect(wrong).to.deep.equal([]);
      expect(findings.map(({ check }) => check)).to.include.members([
        'ledgers',
        'keys',
        'certificates',
        'nodes',
        'certificate authorities',
        'ordering',
        'heights',
        'chaincode',
      ]);
    });

    it('has rules for figures that the nodes really give', async () => {
      const targets = readFileSync(scrapeFile(paths), 'utf8').match(/127\.0\.0\.1:\d+/g) ?? [];
      expect(targets).to.have.length(12);
      const texts = await Promise.all(targets.map(async (target) => (await fetch(`http://${target}/metrics`)).text()));
      const own = await networkMetrics(options);
      const given = new Set(
        [...texts, own].flatMap((text) => [...parseMetrics(text).keys()]).map((key) => key.split('{')[0]),
      );
      // Prometheus makes the first one itself; there are findings only where something is wrong.
      const known = new Set([...given, 'up', 'sev_doctor_findings']);
      const expressions = [...readFileSync(rulesFile(paths), 'utf8').matchAll(/^ +expr: (.*)$/gm)].map(
        (match) => match[1] ?? '',
      );
      expect(expressions.length).to.be.greaterThan(8);
      for (const expression of expressions) {
        expect(
          metricsIn(expression).filter((name) => !known.has(name)),
          expression,
        ).to.deep.equal([]);
      }
    });

    more(folder);
  });
}

doctorSuite('raft', () => undefined);

doctorSuite('bft', (folder) => {
  const { options } = folder;
  const paths = networkPaths(options.home, 'fabric');
  const layoutOf = (organisation: string) => organisationLayout(paths.state, organisation);

  const problems = async (more: DoctorOptions = {}): Promise<string[]> => {
    const { findings } = await networkDoctor({ ...options, ...more });
    const codes = findings.filter(({ level }) => level !== 'ok').map(({ code }) => code);
    return codes.filter((code) => !MACHINE.includes(code)).sort();
  };
  const present = async (): Promise<string[]> => (await problems()).filter((code) => !PAST.includes(code));
  /** Asks until nothing but the past is wrong. */
  const recovered = async (): Promise<void> => {
    let last: string[] = [];
    await poll(async () => {
      last = await present();
      return last.length === 0 || undefined;
    }, DEADLINE_MS);
    expect(last).to.deep.equal([]);
  };
  const pidOf = async (name: string): Promise<number> =>
    (await networkStatus(options)).nodes.find((node) => node.name === name)?.pid ?? 0;
  const put = async (key: string): Promise<void> => {
    const client = await newTestClient(options.home, 'grid');
    try {
      await client.contract.submitTransaction('put', key, 'written');
    } finally {
      client.close();
    }
  };

  it('names a process that died and was started again, and forgets it at the next start', async () => {
    process.kill(await pidOf('orderer.maker'), 'SIGKILL');
    await poll(async () => ((await problems()).includes('NODE_RESTARTED') ? true : undefined), DEADLINE_MS);
    await recovered();
    expect(await problems()).to.deep.equal(['NODE_RESTARTED']);
  });

  it('names processes that are stopped, and that consensus has no quorum', async () => {
    const pids = await Promise.all([pidOf('orderer.city'), pidOf('orderer.grid')]);
    pids.forEach((pid) => process.kill(pid, 'SIGSTOP'));
    try {
      expect(await present()).to.deep.equal(['NODE_FROZEN', 'NODE_FROZEN', 'ORDERERS_NO_QUORUM']);
    } finally {
      pids.forEach((pid) => process.kill(pid, 'SIGCONT'));
    }
    await recovered();
  });

  it('names processes that do not start again', async () => {
    const files = ['city', 'maker'].map((name) => join(layoutOf(name).orderer.root, 'orderer.yaml'));
    files.forEach((file) => {
      renameSync(file, `${file}.away`);
    });
    process.kill(await pidOf('orderer.city'), 'SIGKILL');
    process.kill(await pidOf('orderer.maker'), 'SIGKILL');
    await poll(async () => ((await present()).length === 3 ? true : undefined), DEADLINE_MS);
    expect(await present()).to.deep.equal(['NODE_DOWN', 'NODE_DOWN', 'ORDERERS_NO_QUORUM']);
    files.forEach((file) => {
      renameSync(`${file}.away`, file);
    });
    await recovered();
  });

  it('names a CA that is away', async () => {
    const pid = await pidOf('ca.city');
    process.kill(pid, 'SIGSTOP');
    try {
      expect(await present()).to.deep.equal(['CA_UNREACHABLE', 'NODE_FROZEN']);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await recovered();
  });

  it('tells code that only lies there from code that runs without having been approved', async () => {
    const file = join(folder.chaincode, 'index.js');
    const approved = readFileSync(file);
    appendFileSync(file, '\n// something else\n');
    expect(await present()).to.deep.equal(Array(4).fill('CHAINCODE_CODE_CHANGED'));
    const name =
      (await networkStatus(options)).nodes.find((node) => node.name.startsWith('chaincode.grid.'))?.name ?? '';
    process.kill(await pidOf(name), 'SIGKILL');
    const found = await poll(
      async () => ((await present()).includes('CHAINCODE_CODE_UNAPPROVED') ? present() : undefined),
      DEADLINE_MS,
    );
    expect(found).to.deep.equal([...Array<string>(3).fill('CHAINCODE_CODE_CHANGED'), 'CHAINCODE_CODE_UNAPPROVED']);
    writeFileSync(file, approved);
    expect(await present()).to.deep.equal(['CHAINCODE_CODE_UNAPPROVED']);
    await controlNetwork(paths, { action: 'restart', nodes: [name] });
    await recovered();
  });

  it('misses programs that are no longer on PATH, and nothing else for their sake', async () => {
    expect([...new Set((await problems({ path: '' })).filter((code) => !PAST.includes(code)))]).to.deep.equal([
      'FABRIC_MISSING',
    ]);
  });

  it('finds nothing wrong after an upgrade of the chaincode', async () => {
    const file = join(folder.chaincode, 'index.js');
    appendFileSync(file, '\n// another version\n');
    expect((await upgradeChaincode(options)).committed).to.equal(true);
    await recovered();
  });

  it('finds nothing wrong after a rotation of certificates, and names one that was cut short', async () => {
    await rotateNodes(['grid'], options);
    await recovered();
    const next = join(layoutOf('grid').orderer.root, 'next');
    mkdirSync(next);
    expect(await present()).to.deep.equal(['ROTATION_UNFINISHED']);
    rmdirSync(next);
  });

  it('names a dead supervisor and the nodes that live on; the next start clears that up', async () => {
    process.kill((await networkStatus(options)).pid ?? 0, 'SIGKILL');
    await poll(async () => ((await networkStatus(options)).running ? undefined : true), DEADLINE_MS);
    expect(await problems()).to.deep.equal(['BACKGROUND_DEAD', 'ORPHANS']);
    await networkUp(options);
    expect(await problems()).to.deep.equal([]);
  });

  describe('while it is down', () => {
    before(async () => {
      await put('before');
      await networkDown(options);
    });

    it('finds nothing wrong', async () => {
      expect(await problems()).to.deep.equal([]);
    });

    it('names who took a port', async () => {
      const { portPlan } = JSON.parse(readFileSync(paths.stateFile, 'utf8')) as {
        portPlan: { ports: { grid: { ca: number } } };
      };
      const server = createServer().listen(portPlan.ports.grid.ca, '127.0.0.1');
      await once(server, 'listening');
      const { findings } = await networkDoctor(options);
      server.close();
      const finding = findings.find(({ code }) => code === 'PORT_IN_USE');
      expect(finding?.found).to.include('(ca of grid)').and.to.include(`process ${process.pid.toString()}`);
    });

    it('names keys that are newer than the ledger', async () => {
      const file = rootFile(layoutOf('city').ca);
      const root = readFileSync(file);
      writeFileSync(file, (await CertificateAuthority.createRoot('CityMSP', 'ca-city')).certificatePem);
      // Administrator, peer, orderer, and TLS of the CA itself.
      const foreign = Array<string>(4).fill('CERTIFICATE_FOREIGN');
      expect(await problems()).to.deep.equal([...foreign, 'PROFILE_DIFFERS', 'ROOT_NOT_IN_CHANNEL']);
      writeFileSync(file, root);
    });

    it('names an orderer with another certificate than the channel expects', async () => {
      const [own, peer] = [mspFiles(layoutOf('grid').orderer.msp), mspFiles(layoutOf('grid').peer.msp)];
      const before = [readFileSync(own.key), readFileSync(own.certificate)] as const;
      writeFileSync(own.key, readFileSync(peer.key));
      writeFileSync(own.certificate, readFileSync(peer.certificate));
      expect(await problems()).to.deep.equal(['CONSENTER_DIFFERS']);
      writeFileSync(own.key, before[0]);
      writeFileSync(own.certificate, before[1]);
    });

    it('names ledgers of another network, and such that differ', async () => {
      const file = join(peerLedgerFolder({ layout: layoutOf('city') }, 'sevchannel'), 'blockfile_000000');
      const blocks = readFileSync(file);
      const changed = (at: number): Buffer => {
        const copy = Buffer.from(blocks);
        copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
        return copy;
      };
      const starts = blockStarts(blocks);
      // After the number and its length, a byte each: within the data hash.
      const hashAt = (index: number): number => (starts.at(index) ?? 0) + 5;
      writeFileSync(file, changed(hashAt(0)));
      expect(await problems()).to.deep.equal(['LEDGER_FOREIGN']);
      writeFileSync(file, changed(hashAt(-1)));
      expect(await problems()).to.deep.equal(['LEDGERS_DIVERGE']);
      writeFileSync(file, Buffer.concat([blocks.subarray(0, 1_000), Buffer.alloc(200, 0xff)]));
      expect(await problems()).to.include('LEDGER_UNREADABLE');
      writeFileSync(file, blocks);
      expect(await problems()).to.deep.equal([]);
    });

    it('names orderers that were set back', async () => {
      const names = ['grid', 'maker', 'city', 'regulator'];
      const data = names.map((name) => layoutOf(name).orderer.data);
      data.forEach((each) => {
        cpSync(each, `${each}.old`, { recursive: true });
      });
      await networkUp(options);
      await put('after');
      await networkDown(options);
      data.forEach((each) => {
        renameSync(each, `${each}.new`);
        renameSync(`${each}.old`, each);
      });
      expect(await problems()).to.deep.equal(['ORDERERS_OLDER']);
      data.forEach((each) => {
        rmSync(each, { recursive: true });
        renameSync(`${each}.new`, each);
      });
      expect(await problems()).to.deep.equal([]);
    });

    it('runs from the command and environment of its systemd unit, and ends in order', async () => {
      const units = await networkUnits(
        {
          organisation: 'grid',
          user: 'sev',
          homes: join(options.home, 'homes'),
          sev: '/sev',
          ports: { store: 1, coordinator: 2, attester: 3, batcher: 4 },
        },
        options,
      );
      const unit = units['sev-network-sev.service'] ?? '';
      const unquoted = (text: string): string[] =>
        [...text.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map((match) => match[1] ?? '');
      const [program = '', ...args] = unquoted(/^ExecStart=(.*)$/m.exec(unit)?.[1] ?? '');
      const pairs = [...unit.matchAll(/^Environment=(.*)$/gm)].flatMap((match) => unquoted(match[1] ?? ''));
      const env = Object.fromEntries(pairs.map((text) => text.split(/=(.*)/s).slice(0, 2) as [string, string]));
      const child = spawn(program, args, { env, stdio: 'ignore', detached: true });
      const ended = once(child, 'exit');
      const isUp = await poll(async () => (await networkStatus(options)).running || undefined, 120_000);
      expect(isUp).to.equal(true);
      expect(await problems()).to.deep.equal([]);
      child.kill('SIGTERM');
      expect(await ended).to.deep.equal([0, null]);
      expect(await problems()).to.deep.equal([]);
    });
  });
});

/** Where the blocks of a file begin, after their lengths. */
function blockStarts(file: Buffer): number[] {
  const starts: number[] = [];
  for (let position = 0; position < file.length;) {
    let length = 0;
    for (let factor = 1, byte = 0x80; byte >= 0x80; factor *= 128, position++) {
      byte = file.readUInt8(position);
      length += (byte & 0x7f) * factor;
    }
    starts.push(position);
    position += length;
  }
  return starts;
}
