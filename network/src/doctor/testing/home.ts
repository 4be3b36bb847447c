// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { rootFile } from '../../fabric/enrolment.js';
import { mspFiles, organisationLayout, tlsFiles, type OrganisationLayout } from '../../fabric/layout.js';
import { CertificateAuthority, newKeyPair } from '../../embedded/ca/authority.js';
import { networkDoctor, type DoctorReport } from '../doctor.js';
import type { DoctorOptions } from '../facts.js';

const YEAR_MS = 31_536_000_000;

export function write(file: string, content: string | Uint8Array, mode = 0o644): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content, { mode });
}

/** A home that no network was ever brought up in, with a topology of one organisation; what a test writes is all there is. */
export class TestHome {
  readonly directory = mkdtempSync(join(tmpdir(), 'sev doctor '));
  readonly home = join(this.directory, 'home');
  readonly homes = join(this.directory, 'homes');
  readonly topologyPath = join(this.directory, 'consortium.yaml');
  readonly state: string;
  readonly kind: 'embedded' | 'fabric';

  constructor(kind: 'embedded' | 'fabric' = 'embedded') {
    this.kind = kind;
    this.state = join(this.home, kind);
    this.writeTopology();
  }

  writeTopology(change: (text: string) => string = (text) => text): void {
    const text = `schemaVersion: 1
name: test
channel: testchannel
organisations:
  - name: grid
    mspId: GridMSP
    ports: { gateway: 1, ca: 2, chaincode: 3, peerOperations: 4, caOperations: 5 }
    orderer: { port: 6, admin: 7, operations: 8 }
chaincode: { name: test, version: "1.0", path: ./none }
ordering: { consensus: raft }
`;
    write(this.topologyPath, change(text));
  }

  /** The state's description, as `up` writes it. */
  writeState(change: Record<string, unknown> = {}, gateway = 1): void {
    const ports = { gateway, ca: 2, chaincode: 3, peerOperations: 4, caOperations: 5 };
    const state = {
      kind: `sev-${this.kind}-network`,
      schemaVersion: 1,
      name: 'test',
      channel: 'testchannel',
      organisations: [{ name: 'grid', mspId: 'GridMSP' }],
      portPlan: { offset: 0, ports: { grid: { ...ports, orderer: 6, ordererAdmin: 7, ordererOperations: 8 } } },
      createdAtMs: Date.now(),
      ...change,
    };
    write(join(this.state, 'state.json'), JSON.stringify(state));
  }

  get layout(): OrganisationLayout {
    return organisationLayout(this.state, 'grid');
  }

  /** Both roots, and identity and TLS pair of the peer: what a native network has, as far as checks look at it. */
  async writeNativeKeys(): Promise<{ ca: CertificateAuthority; tlsCa: CertificateAuthority }> {
    const [ca, tlsCa] = await Promise.all(
      ['ca-grid', 'tlsca-grid'].map(async (name) =>
        CertificateAuthority.open(await CertificateAuthority.createRoot('GridMSP', name)),
      ),
    );
    const { layout } = this;
    write(rootFile(layout.ca), ca!.certificatePem);
    write(rootFile(layout.tlsCa), tlsCa!.certificatePem);
    await this.writeLeaf(ca!, mspFiles(layout.peer.msp));
    await this.writeLeaf(tlsCa!, tlsFiles(layout.peer.tls));
    return { ca: ca!, tlsCa: tlsCa! };
  }

  async writeLeaf(ca: CertificateAuthority, files: { key: string; certificate: string }): Promise<string> {
    const { privateKeyPem, publicKeySpki } = newKeyPair();
    const { pem } = await ca.issue({ publicKeySpki, commonName: 'peer', validityMs: YEAR_MS });
    write(files.key, privateKeyPem, 0o600);
    write(files.certificate, pem);
    return pem;
  }

  doctor(options: DoctorOptions = {}): Promise<DoctorReport> {
    const { home, homes, topologyPath } = this;
    return networkDoctor({ home, homes, topologyPath, ...options });
  }

  /** The codes of what is wrong, but for what this machine is to blame for. */
  async problems(options: DoctorOptions = {}): Promise<string[]> {
    const { findings } = await this.doctor(options);
    const isMachine = (code: string): boolean =>
      ['DISK_LOW', 'DISK_FULL', 'INODES_LOW', 'MEMORY_LOW', 'FILE_LIMIT_LOW', 'CLOCK_UNSYNCHRONISED'].includes(code);
    return findings.filter(({ level, code }) => level !== 'ok' && !isMachine(code)).map(({ code }) => code);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
