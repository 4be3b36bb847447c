// SPDX-License-Identifier: Apache-2.0

/** How much a finding matters: an error keeps something from working now, a warning will or may. */
export type ProblemLevel = 'warning' | 'error';

interface CodeDescription {
  readonly level: ProblemLevel;
  readonly meaning: string;
  /** What to do about it. */
  readonly advice: string;
}

/** Everything that `doctor` finds wrong; the codes are stable. */
export const DOCTOR_CODES = {
  CHECK_FAILED: {
    level: 'error',
    meaning: 'A check itself could not be carried out.',
    advice: 'Mend what the message names (often a permission), and run doctor again as the user who runs the network.',
  },

  NODE_VERSION: {
    level: 'error',
    meaning: 'Node.js is older than this program needs.',
    advice: 'Install a newer release of Node.js and put it first on PATH.',
  },
  FILE_LIMIT_LOW: {
    level: 'warning',
    meaning: 'A process may open few files only.',
    advice: 'Raise the limit: `ulimit -n 65536`, or LimitNOFILE in the unit.',
  },
  FILES_NEAR_LIMIT: {
    level: 'error',
    meaning: 'A node has almost as many files open as it may.',
    advice: 'Raise the limit (LimitNOFILE, `ulimit -n`) and start the network again.',
  },
  DISK_LOW: { level: 'warning', meaning: 'Little disk space is left.', advice: 'Free space, or enlarge the disk.' },
  DISK_FULL: {
    level: 'error',
    meaning: 'Hardly any disk space is left: nodes stop when they cannot write.',
    advice: 'Free space at once; `sev network down` first, so that no write is cut short.',
  },
  INODES_LOW: {
    level: 'warning',
    meaning: 'The file system has few files left to give.',
    advice: 'Delete what is not needed: each stored object and each snapshot is a file.',
  },
  MEMORY_LOW: {
    level: 'warning',
    meaning: 'Less memory is available than the network takes.',
    advice: 'End other programs, or use a bigger machine; docs/operations.md has what each process takes.',
  },
  HOST_UNRESOLVED: {
    level: 'error',
    meaning: 'A host of the topology has no address.',
    advice: 'Add it to DNS or to /etc/hosts, or mend `host` in the topology.',
  },
  LOCALHOST_IPV6_ONLY: {
    level: 'error',
    meaning: 'localhost does not stand for 127.0.0.1, on which the nodes listen.',
    advice: 'Add `127.0.0.1 localhost` to /etc/hosts.',
  },
  LOCALHOST_FOREIGN: {
    level: 'error',
    meaning: 'localhost stands for an address of another machine.',
    advice: 'Let /etc/hosts say `127.0.0.1 localhost`.',
  },

  CLOCK_SKEW: {
    level: 'error',
    meaning: 'This clock and another differ by more than transactions tolerate (60 s at the peers).',
    advice: 'Set the clocks: run an NTP client on every machine.',
  },
  CLOCK_DRIFT: {
    level: 'warning',
    meaning: 'This clock and another differ by seconds.',
    advice: 'Let an NTP client run on every machine.',
  },
  CLOCK_SET_BACK: {
    level: 'error',
    meaning: 'What was written earlier is dated in the future: this clock is behind, or was ahead.',
    advice: 'Set the clock; certificates and deadlines depend on it.',
  },
  CLOCK_UNSYNCHRONISED: {
    level: 'warning',
    meaning: 'The system says that nothing keeps its clock right.',
    advice: 'Enable an NTP client: `timedatectl set-ntp true`, or chrony.',
  },

  NETWORK_KIND_INVALID: {
    level: 'error',
    meaning: 'NETWORK is none of auto, fabric, embedded.',
    advice: 'Set NETWORK to one of them, or leave it out.',
  },
  FABRIC_MISSING: {
    level: 'error',
    meaning: "One of Fabric's programs is not on PATH.",
    advice:
      'Install the official releases of Hyperledger Fabric 3.1 and Hyperledger Fabric CA 1.5 and put their bin folder on PATH, or set NETWORK=embedded for a new network.',
  },
  FABRIC_VERSION: {
    level: 'error',
    meaning: "One of Fabric's programs is of a version that will not do.",
    advice: 'Install the release that is named, and put its bin folder first on PATH.',
  },
  PROGRAM_REPLACED: {
    level: 'warning',
    meaning: 'A node still runs a program that was replaced on disk.',
    advice: 'Start it again to run the new one: `sev network restart <node>`.',
  },

  STATE_UNREADABLE: {
    level: 'error',
    meaning: 'The state directory belongs to something else, or its description is damaged.',
    advice: 'Choose another home (SEV_NETWORK_HOME), or restore the directory from its backup.',
  },
  STATE_NEWER: {
    level: 'error',
    meaning: 'The state directory was written by a newer version of this program.',
    advice: 'Run that version; an older one does not touch it.',
  },
  STATE_TWO_KINDS: {
    level: 'error',
    meaning: 'The home holds a native and an embedded network.',
    advice: 'Move one of the two folders away, or choose another home.',
  },
  TOPOLOGY_INVALID: {
    level: 'error',
    meaning: 'The topology file does not have the documented form.',
    advice: 'Mend the line that is named.',
  },
  TOPOLOGY_DIFFERS: {
    level: 'error',
    meaning: 'The state was made for another topology.',
    advice: 'Name the topology it was made for (--topology, SEV_TOPOLOGY), or choose another home.',
  },
  PROFILE_DIFFERS: {
    level: 'error',
    meaning: 'connection.json, which applications read, does not describe this network.',
    advice: 'Run `sev network up`: it writes the profile again.',
  },

  PORT_IN_USE: {
    level: 'error',
    meaning: 'Another program listens on a port of the network.',
    advice: 'End that program, or move a new network with SEV_PORT_OFFSET.',
  },

  START_FAILED: {
    level: 'error',
    meaning: 'The last start failed.',
    advice: 'Mend what it names, then `sev network up`.',
  },
  NETWORK_STARTING: {
    level: 'warning',
    meaning: 'The network is starting or stopping.',
    advice: 'Wait, and run doctor again.',
  },
  BACKGROUND_DEAD: {
    level: 'error',
    meaning: 'The process that runs the network ended without stopping it.',
    advice: 'Run `sev network up`: it clears up and starts again. The end of its log says why it ended.',
  },
  BACKGROUND_SILENT: {
    level: 'error',
    meaning: 'The process that runs the network lives and does not answer.',
    advice: 'Run `sev network down`, then `sev network up`.',
  },
  ORPHANS: {
    level: 'error',
    meaning: 'Nodes run on although the process that supervised them is gone: nobody restarts them.',
    advice: 'Run `sev network up`, or `sev network down`: both end them first.',
  },

  NODE_DOWN: {
    level: 'error',
    meaning: 'A process of the network does not run, or is not ready.',
    advice: 'Read its log (`sev network logs <node>`); it is started again by itself until it stays up.',
  },
  NODE_RESTARTED: {
    level: 'warning',
    meaning: 'A process died and was started again.',
    advice: 'Its log says why it died.',
  },
  NODE_RESTART_LOOP: {
    level: 'error',
    meaning: 'A process dies again and again.',
    advice: 'Its log says why; stop the network before you mend its files.',
  },
  NODE_ZOMBIE: {
    level: 'error',
    meaning: 'A process is dead and nobody has taken notice of it.',
    advice: 'Run `sev network down`, then `sev network up`.',
  },
  NODE_FROZEN: {
    level: 'error',
    meaning: 'A process is stopped: it holds its ports and does nothing.',
    advice: 'Continue it (`kill -CONT <pid>`), or end it (`kill -9 <pid>`): it is started again.',
  },
  NODE_UNHEALTHY: {
    level: 'error',
    meaning: 'A process runs and does not say that it is well.',
    advice: 'Read its log; `sev network restart <node>` starts it again.',
  },

  CA_UNREACHABLE: {
    level: 'error',
    meaning: 'A certificate authority does not answer: nobody can be enrolled or revoked there.',
    advice: 'Look whether its process runs, and at its log.',
  },
  CA_UNTRUSTED: {
    level: 'error',
    meaning: 'A certificate authority shows a certificate that does not come from the root in connection.json.',
    advice: 'Another CA answers on its port, or its keys were replaced: restore them, or run `sev network up`.',
  },

  ORDERER_UNREACHABLE: {
    level: 'warning',
    meaning: 'An orderer of another organisation takes no connections.',
    advice: 'Tell its operator; while a quorum is left, the channel goes on.',
  },
  ORDERERS_NO_QUORUM: {
    level: 'error',
    meaning: 'Fewer orderers run than consensus needs: nothing is ordered.',
    advice: 'Bring the missing orderers back; their logs say why they do not run.',
  },
  ORDERERS_NO_LEADER: {
    level: 'error',
    meaning: 'The orderers have no leader: nothing is ordered.',
    advice:
      'An election takes seconds; if there is none after that, look at clocks, certificates and logs of the orderers.',
  },
  NODE_BEHIND: {
    level: 'warning',
    meaning: 'A node lacks blocks that others have, and does not catch up at once.',
    advice: 'It may be busy: ask again. Otherwise its log says why it gets no blocks.',
  },

  LEDGER_WITHOUT_KEYS: {
    level: 'error',
    meaning: 'There is a ledger, but the keys it was made with are gone.',
    advice:
      "Restore the organisation's folder from its backup, or delete keys and ledgers together: `sev network clean`.",
  },
  KEY_MISSING: {
    level: 'error',
    meaning: 'A certificate has no key beside it.',
    advice: 'Restore the key from the backup, or delete the certificate too: the next `up` enrols the node anew.',
  },
  KEY_DIFFERS: {
    level: 'error',
    meaning: 'A key does not belong to the certificate beside it.',
    advice: 'Restore both from one backup, or delete both: the next `up` enrols the node anew.',
  },
  KEY_EXPOSED: {
    level: 'warning',
    meaning: 'Others on this machine can read a private key.',
    advice: 'chmod 600 the file; if others use the machine, replace the certificate and its key.',
  },
  CERTIFICATE_FOREIGN: {
    level: 'error',
    meaning: 'A certificate does not come from the present root of its CA: keys of different times are mixed.',
    advice:
      "Restore the organisation's folder from one backup, or delete keys and ledgers together: `sev network clean`.",
  },
  ROOT_NOT_IN_CHANNEL: {
    level: 'error',
    meaning:
      'The channel on the ledger knows another root for an organisation: its keys and its ledger do not belong together.',
    advice: 'Restore keys and ledgers from one backup, or delete both together: `sev network clean`.',
  },
  CONSENTER_DIFFERS: {
    level: 'error',
    meaning: 'The channel expects another certificate of an orderer than the one it has: the others do not let it in.',
    advice: 'Restore the certificate and its key from the backup; new ones come in by `sev network rotate` only.',
  },
  ROTATION_UNFINISHED: {
    level: 'warning',
    meaning: 'New certificates of an orderer wait to be put in the place of the old ones: a rotation was cut short.',
    advice: 'Run `sev network rotate` for the organisation again: it goes on where it stopped.',
  },
  LEDGER_FOREIGN: {
    level: 'error',
    meaning: 'A ledger begins with another block than the rest of the network.',
    advice:
      "Restore the node's data folder from a backup of this network, or let the peer join anew: `sev network rejoin`.",
  },
  LEDGERS_DIVERGE: {
    level: 'error',
    meaning: 'Two nodes hold different blocks under the same number.',
    advice:
      'Stop both and keep their files: compare them with `ledgerutil compare`, then build the wrong one anew: `sev network rejoin`.',
  },
  ORDERERS_OLDER: {
    level: 'error',
    meaning: "Peers have blocks that no orderer has: the orderers' ledgers were set back.",
    advice: "Restore the orderers' data folders from the latest backup; new blocks would not fit the peers' ledgers.",
  },
  LEDGER_UNREADABLE: {
    level: 'error',
    meaning: 'The files of a ledger cannot be read as blocks.',
    advice: "Restore the node's data folder, or let the peer join anew: `sev network rejoin`.",
  },

  CERTIFICATE_EXPIRED: {
    level: 'error',
    meaning: 'A certificate has ended.',
    advice: 'Nodes: `sev network rotate`; vehicles: `sev vehicle rotate`; roots: docs/operations.md, certificates.',
  },
  CERTIFICATE_EXPIRES: {
    level: 'warning',
    meaning: 'A certificate ends soon.',
    advice: 'Nodes: `sev network rotate`; vehicles: `sev vehicle rotate`; roots: docs/operations.md, certificates.',
  },
  CERTIFICATE_EARLY: {
    level: 'error',
    meaning: 'A certificate does not hold yet: this clock is behind.',
    advice: 'Set the clock.',
  },
  WALLET_FOREIGN: {
    level: 'error',
    meaning: "An identity in a home does not come from this network's CA.",
    advice:
      'The home belongs to an earlier network: move it away and run `sev network up`, which enrols its identities anew.',
  },

  CHAINCODE_NOT_DEPLOYED: {
    level: 'error',
    meaning: 'The channel has no such chaincode.',
    advice: 'Run `sev network up` (all organisations in one home) or `sev network deploy`.',
  },
  CHAINCODE_NOT_APPROVED: {
    level: 'error',
    meaning:
      'An organisation has not approved the chaincode that the channel has committed: its peer does not endorse.',
    advice: 'Check the code, then approve it: `sev network deploy`.',
  },
  CHAINCODE_PROCESS_MISSING: {
    level: 'error',
    meaning: 'An organisation runs no process of the package that it approved.',
    advice: 'Run `sev network deploy` with the code that was approved.',
  },
  CHAINCODE_PROCESS_DOWN: {
    level: 'error',
    meaning: 'A chaincode process does not run.',
    advice: 'Read its log; it is started again by itself until it stays up.',
  },
  CHAINCODE_PACKAGE_DIFFERS: {
    level: 'error',
    meaning: 'The package on the peer is not what its id or its deployment says.',
    advice: "Restore the peer's data folder and the chaincode folder from one backup, or deploy again.",
  },
  CHAINCODE_CODE_UNAPPROVED: {
    level: 'error',
    meaning: 'A chaincode process runs other code than the package that was approved.',
    advice:
      'Put the approved code back and restart the process, or deploy the new code as an upgrade: `sev network upgrade`.',
  },
  CHAINCODE_CODE_CHANGED: {
    level: 'warning',
    meaning: "The chaincode's folder holds other code than was approved: the next start of the process would run it.",
    advice: 'Put the approved code back, or deploy the new code as an upgrade: `sev network upgrade`.',
  },
  CHAINCODE_CODE_MISSING: {
    level: 'error',
    meaning: "The chaincode's folder cannot be run: it is gone, or not compiled.",
    advice: 'Put the code back where the deployment expects it, and compile it.',
  },
} as const satisfies Record<string, CodeDescription>;

export type DoctorCode = keyof typeof DOCTOR_CODES;
