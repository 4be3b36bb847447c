// SPDX-License-Identifier: Apache-2.0
import { mspFiles, tlsFiles, type Member } from './layout.js';
import { peerAddress } from './peer-config.js';
import type { FabricPrograms } from './programs.js';
import type { PublicPart } from './public-part.js';
import { runProgram } from './run-program.js';

/** Where transactions are sent for ordering: an orderer, and the root of its TLS certificate. */
export interface OrdererTarget {
  readonly address: string;
  readonly tlsRootFile: string;
}

/** Runs Fabric's `peer` command as an organisation's administrator, against its own peer. */
export interface OrganisationAdmin {
  readonly member: Member;
  /** @throws NetworkError PROGRAM_FAILED */
  peer(args: readonly string[]): Promise<string>;
  /** The same for commands that send a transaction to an orderer. */
  ordered(args: readonly string[]): Promise<string>;
  /** `osnadmin` against its own orderer. */
  osnadmin(args: readonly string[]): Promise<string>;
}

export function organisationAdmin(
  programs: FabricPrograms,
  member: Member,
  orderer: OrdererTarget | undefined,
): OrganisationAdmin {
  const { layout, organisation, ports } = member;
  const env = {
    FABRIC_CFG_PATH: layout.peer.root,
    FABRIC_LOGGING_SPEC: 'error',
    CORE_PEER_ADDRESS: peerAddress(member),
    CORE_PEER_LOCALMSPID: organisation.mspId,
    CORE_PEER_MSPCONFIGPATH: layout.adminMsp,
    CORE_PEER_TLS_ENABLED: 'true',
    CORE_PEER_TLS_ROOTCERT_FILE: mspFiles(layout.channelMsp).tlsCa,
  };
  const peer = (args: readonly string[]): Promise<string> =>
    runProgram(programs.peer, args, { env, cwd: layout.peer.root });
  const tls = tlsFiles(layout.orderer.tls);
  return {
    member,
    peer,
    ordered: (args) =>
      peer([
        ...args,
        ...(orderer === undefined ? [] : ['--orderer', orderer.address, '--tls', '--cafile', orderer.tlsRootFile]),
      ]),
    osnadmin: (args) =>
      runProgram(programs.osnadmin, [
        ...args,
        '--orderer-address',
        `localhost:${(ports.ordererAdmin ?? 0).toString()}`,
        '--ca-file',
        tls.ca,
        '--client-cert',
        tls.certificate,
        '--client-key',
        tls.key,
      ]),
  };
}

/** `--peerAddresses … --tlsRootCertFiles …` of the peers that are to endorse. */
export function endorsersOf(parts: readonly PublicPart[], tlsRootFile: (part: PublicPart) => string): string[] {
  return parts.flatMap((part) => [
    '--peerAddresses',
    `${part.peer.host}:${part.peer.port.toString()}`,
    '--tlsRootCertFiles',
    tlsRootFile(part),
  ]);
}
