/**
 * Every bound of the system in one place, so that their proportions can be seen. Each has a test that reaches it.
 * Sizes are bytes, times milliseconds.
 */
const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

export const limits = {
  /** One directory entry's name (Linux NAME_MAX). */
  nameBytesMax: 255,
  /** Symlink target (Linux PATH_MAX without its NUL). */
  symlinkBytesMax: 4095,
  /** Largest file: sizes stay exact as a double. */
  fileBytesMax: 2 ** 53 - 1,
  /** Hard links of one inode (ext4 has 65,000). */
  linksMax: 65_000,
  xattrNameBytesMax: 255,
  /** Linux XATTR_SIZE_MAX. */
  xattrValueBytesMax: 64 * KiB,
  /** Linux XATTR_LIST_MAX. */
  xattrListBytesMax: 64 * KiB,
  supplementaryGroupsMax: 65_536,

  /** One block. */
  blockBytesMax: 4 * MiB,
  /** What one checksum covers. */
  checksumUnitBytes: 4 * KiB,
  /** One inline extent's content: with its header it fits four LMDB pages. */
  inlineBytesMax: 16_300 - 64,
  /** Inline content that one writeExtents request may carry. */
  inlineBytesPerRequestMax: 256 * KiB,
  /** Extents in one request or reply. */
  extentsPerMessageMax: 1_024,
  /** Files whose content may be told beside that of one that is read, and about how many bytes of it. */
  readAlongFilesMax: 64,
  readAlongBytesMax: 192 * KiB,
  /** What a transaction may change. */
  transactionKeysMax: 4_096,
  transactionBytesMax: 4 * MiB,
  /** Extents of one 4 MiB stretch of a file beyond which the client rewrites the stretch as one block. */
  extentsPerBlockMax: 64,
  /** Default copies of every block. */
  replicasDefault: 2,
  replicasMax: 5,
  /** Nodes of a group: one more while a member takes the place of another. */
  groupNodesMax: 6,
  /** Characters of a storage node's host label. */
  hostLabelMax: 63,

  /** One WebSocket message; larger ones close the connection. */
  frameBytesMax: 1 * MiB,
  /** A payload travels in pieces of this size, so that a small message never waits long. */
  payloadFrameBytes: 256 * KiB,
  /** Unsent bytes per connection beyond which payload pieces wait. */
  payloadInFlightBytesMax: 512 * KiB,
  /** The packed part (no payload) of one message. */
  messageBytesMax: 768 * KiB,
  /** A message's whole payload. */
  payloadBytesMax: 4 * MiB + 64 * KiB,
  /** Unanswered calls per connection, each way; further ones wait at the caller, and close the connection at the callee. */
  callsInFlightMax: 1_024,

  /** Changing requests of one session in flight: one remembered reply each. */
  sessionSlots: 64,
  sessionTtlMillis: 30_000,
  heartbeatMillis: 5_000,
  sessionsMax: 1_024,
  /** Lock ranges that one session may hold, and requests for which it may wait. */
  locksPerSessionMax: 65_536,
  lockWaitersPerSessionMax: 512,
  /** Inodes that one session may cache. */
  leasesPerSessionMax: 131_072,
  /** Requests of one session that wait for leases, and the inodes that one request needs. */
  leaseWaitersPerSessionMax: 1_024,
  leaseWantsMax: 16,
  /** Changes that one batch of the ahead log carries. */
  aheadBatchMax: 256,
  /** Changes that were answered and are not known to be durable at the server; beyond it changing waits. */
  aheadEntriesMax: 4_096,
  /** Their bytes on the wire. */
  aheadBytesInFlightMax: 1 * MiB,
  /** How long a change is kept back so that others travel with it. */
  aheadMillis: 10,
  /** Inode numbers that a session has at hand for changes to come. */
  reservedInodesMax: 4_096,
  /** Recalls, answers to recalls, or leases that are reclaimed, in one message. */
  leaseNewsMax: 1_024,
  /** Parts of an inode that one recall names; beyond it everything is recalled. */
  recallScopesMax: 16,
  /** A session that leaves a recall without acknowledgement or progress of a flush for so long ends, and in any case after the longer time. */
  recallMillis: 10_000,
  recallMillisMax: 120_000,
  /** Inodes about which one session has still to be asked; beyond it the orphan table is searched again. */
  orphanQuestionsMax: 8_192,
  /** Placement groups of a cluster: the map of all of them is one message. */
  groupsMax: 8_192,
  /** A storage node that is silent for so long gets no new blocks. */
  nodeDownMillis: 10_000,
  /** One that is silent for so long is out: other nodes take its place. */
  nodeOutMillis: 600_000,
  nodeHeartbeatMillis: 2_000,
  connectMillis: 5_000,
  callMillis: 30_000,
  /** How long a block write looks for a healthy group with space before it fails. */
  blockWriteMillis: 60_000,
  /** A reader asks the next replica too when the first has not answered for so long. */
  readHedgeMillis: 2_000,
  /** A storage node that failed is left out for a while, at most so long, where others can serve. */
  nodeAvoidMillisMax: 10_000,
  /** Longest pause between two attempts to reach the name server. */
  reconnectMillisMax: 1_000,
  /** Storage nodes that are asked at a time where the name server is, and the longest pause between two such questions. */
  nodesAskedMax: 8,
  askNodesMillisMax: 10_000,
  /** Calls of one client that wait for a connection or for a slot. */
  waitingCallsMax: 65_536,
  /** Block numbers that one client keeps at hand. */
  blockNumbersMax: 1_024,

  /** How long one round of comparing all that storage nodes hold with what is named takes at least. */
  compareRoundMillis: 6 * 3_600_000,
  /** Pieces of which a block is put together when content is rewritten: the swap of their extents is one transaction. */
  composePiecesMax: 1_024,
  /** Blocks of which less than half is alive that are remembered; of more a search through all blocks finds them again. */
  halfDeadBlocksMax: 65_536,
  /** So long after it is noted such a block is rewritten at the earliest: what dies quickly need not be copied. */
  halfDeadMillis: 10_000,
  /** What inline content may take in the metadata store before the oldest is packed into blocks. */
  inlineTableBytesMax: 4 * GiB,
  /** How fast content is rewritten while there is space enough. */
  rewriteBytesPerSecond: 32 * MiB,
  /** Blocks that are named in one order or request about blocks. */
  blocksPerOrderMax: 256,
  /** Copies that wait to be verified, and blocks that are known to be lost; further ones are found again later. */
  suspectsMax: 65_536,
  /** Damaged blocks that a storage node remembers; what is beyond is found again by its next scrub. */
  damagedBlocksMax: 4_096,
  /** Complaints of clients about single blocks that wait to be looked into; further ones are dropped. */
  complaintsMax: 1_024,
  /** Blocks in one answer of a storage node about what it holds. */
  blocksListedMax: 4_096,

  /** Things found by a check that wait for whoever asked for it. */
  fsckQueueMax: 256,
  /** Findings of one round of a check that are told and repaired one by one; the rest is counted. */
  fsckFindingsMax: 10_000,
  /** Inodes, block records or moved contents that one pass of a check keeps in memory. */
  fsckStretch: 1_000_000,
  /** A check that nobody asks about for so long ends. */
  fsckIdleMillis: 60_000,
  /** The metadata store is read and verified: so long after the start, so often, at this rate. */
  metadataScrubAfterMillis: 600_000,
  metadataScrubMillis: 24 * 3_600_000,
  metadataScrubBytesPerSecond: 16 * 1024 * 1024,

  /** A deleted block stays readable for so long, for readers with an older layout. */
  reclaimGraceMillis: 5_000,

  /** The client's buffers and caches together. */
  clientMemoryBytes: 512 * MiB,
  clientDirtyBytesMax: 192 * MiB,
  clientCleanBytesMax: 192 * MiB,
  clientDirtyAgeMillis: 5_000,

  /** Overlay of changes that LMDB does not have yet; beyond it operations wait. */
  overlayBytesMax: 64 * MiB,
  journalFileBytes: 64 * MiB,
  /** Storage nodes that keep the register of the journal's copies: all. */
  registerNodesMax: 1_024,
  /** Files of a storage node's copy of the journal, and records that travel to it together. */
  journalCopyFileBytes: 16 * MiB,
  journalSendBytesMax: 1 * MiB,
  /** Newest records that the name server keeps in memory for members that are a little behind; others read the files. */
  journalRecentBytes: 16 * MiB,
  /** A member of the journal's copies that leaves a record unanswered for so long is left out. */
  memberSilentMillis: 1_000,
  /** A name server serves only while enough nodes have confirmed its epoch within this time... */
  confirmedMillis: 10_000,
  /** ...and asks them so often. */
  confirmMillis: 2_000,
  /** So long after it has raised the epoch a recovered one waits before it serves: the one before may still trust. */
  takeoverMillis: 15_000,
  /** Lost nodes, and mounts, may know epochs that nobody knows who is left: a server that accepts the loss goes so far ahead. */
  lossEpochs: 1_000,
  /** A starting name server waits so long for all nodes, then only for as many as it needs. */
  allNodesMillis: 5_000,
  segmentBytes: 256 * MiB,
  /** A storage node's memory for block writes that are not durable yet; further ones wait. */
  blockWriteBytesMax: 64 * MiB,
  /** What may wait so; beyond it a write is refused with EAGAIN. */
  blockWriteWaitingBytesMax: 256 * MiB,
  /** Replies of a storage node that one connection has not taken yet; its further reads wait. */
  blockReadBytesMax: 32 * MiB,
  /** Unused memory that a storage node keeps. */
  storageNodePoolBytes: 64 * MiB,
  /** Other storage nodes that a storage node keeps connections to. */
  neighboursMax: 64,
  neighbourConnectMillis: 3_000,
  /** Segment files that a storage node keeps open for reading. */
  openSegmentsMax: 256,
  /** Checksums of blocks that a storage node remembers (1 KiB for each MiB of blocks). */
  checksumCacheBytes: 16 * MiB,
  /** Blocks that the index on disk does not know yet; then it is committed, and at 4 times as many writes wait for that. */
  indexPendingMax: 2_048,
  /** The same in bytes of segments: what a start after a crash reads again. */
  indexBehindBytesMax: 64 * MiB,
  indexCommitMillis: 1_000,
  /** Disk space that a storage node's index keeps for itself, so that blocks can be removed when the disk is full. */
  indexRoomBytes: 4 * MiB,
  /** How fast segments are compacted while there is space enough. */
  compactionBytesPerSecond: 48 * MiB,
  nameServerReserveBytes: 1 * GiB,

  /** FUSE: largest WRITE and READ. */
  fuseWriteBytesMax: 1 * MiB,
  /** Inodes whose attributes the client keeps, beyond those that are open. */
  clientAttributesMax: 131_072,
  /** Names (present or absent) that the client remembers. */
  clientDentriesMax: 131_072,
  /** Inodes whose attributes came with a listing and that nobody has looked up yet. */
  clientForeseenMax: 16_384,
  /** Names of one directory that are listed ahead of lookups; larger directories are asked name by name. */
  clientListAheadNamesMax: 4_096,
  /** Files that nobody has open and whose extents the client still remembers. */
  clientIdleContentsMax: 8_192,
  /** Xattrs remembered per inode, and the largest value among them. */
  clientXattrsMax: 8,
  clientXattrBytesMax: 1 * KiB,
  /** Removed inodes that wait to be released at the name server; beyond it removals wait. */
  clientOrphansMax: 65_536,
  /** Access times that wait to be sent; beyond it reads set none. */
  clientAccessTimesMax: 4_096,
  clientAccessTimeDelayMillis: 5_000,
  /** Processes remembered as in need of their supplementary groups. */
  clientGroupedProcessesMax: 256,
  /** What one readdir asks of the name server. */
  directoryPageBytes: 128 * KiB,
  /** Notifications to the kernel in flight when everything is forgotten. */
  kernelNotificationsMax: 256,
  /**
   * A driver that its supervisor has not heard for so long is replaced: early enough for the next one to drop the kernel's
   * caches before the session can expire. It says something every `driverBeatMillis`.
   */
  driverSilentMillis: 15_000,
  driverBeatMillis: 1_000,
  /** Drivers of one mount that may die within a time; after one more the mount ends. */
  driverRestartsMax: 5,
  driverRestartsMillis: 60_000,
  /** Kernel validity of what the client may cache (shorter than the session's life). */
  kernelValidityMillis: 20_000,
  /** So long before its session may end, a client that is not answered stops believing what it cached, and drops it. */
  trustMarginMillis: 3_000,
  /** The same for names on kernels that cannot be told to forget them (before Linux 6.16): a second session waits for it. */
  kernelNameValidityMillis: 1_000,
} as const;
