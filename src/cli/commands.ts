/** Every command with its options and help. */
import { Command, InvalidArgumentError, Option } from "commander";
import { limits } from "../base/limits.ts";
import { addDump, addFsck } from "./fsck-command.ts";
import { addScrub } from "./scrub-command.ts";
import { parseMountOptions, type MountOptions } from "./mount-options.ts";
import { addNode } from "./node-command.ts";
import { programVersion } from "./program-info.ts";
import { addReplicas } from "./replicas-command.ts";
import {
  parseAddress,
  parseAddresses,
  parseBytes,
  parseCount,
  parseHostLabel,
  parseSeconds,
  serverArgument,
} from "./usage.ts";
import type { Address } from "../rpc/types.ts";

export interface Program {
  /** Resolves with the exit status; rejects with CommanderError for a wrong command line. */
  run(argv: readonly string[]): Promise<number>;
}

const defaultNameServer: Address = { host: "127.0.0.1", port: 7400 };

export function buildProgram(): Program {
  let status = 0;
  const program = new Command("dfs")
    .description("A distributed filesystem: a directory on many machines, kept on several storage nodes.")
    .version(programVersion())
    .showHelpAfterError("(see --help)")
    .enablePositionalOptions()
    .exitOverride();
  const secretFile = (): Option =>
    new Option("--secret-file <path>", "file with the cluster's secret (or the environment variable DFS_SECRET)");
  const debug = (): Option => new Option("--debug", "log every request").default(false);
  const downAfter = (): Option =>
    new Option("--down-after <seconds>", "a storage node that is silent for so long gets no new blocks")
      .argParser(parseSeconds)
      .default(limits.nodeDownMillis / 1000);
  const outAfter = (): Option =>
    new Option("--out-after <seconds>", "others take the place of a storage node that is silent for so long")
      .argParser(parseSeconds)
      .default(limits.nodeOutMillis / 1000);
  const minReplicas = (): Option =>
    new Option(
      "--min-replicas <n>",
      "while nodes for more are missing, so many copies are enough to go on; the others are made later (default: all)",
    ).argParser(parseCount(1, limits.replicasMax));
  const say = (line: string): void => {
    console.log(line);
  };

  program
    .command("name-server")
    .description("Serve the metadata of a cluster.")
    .requiredOption("--data <folder>", "where the metadata is kept")
    .option("--listen <host:port>", "where to listen", parseAddress, defaultNameServer)
    .option(
      "--advertise <host:port>",
      "where others reach it; storage nodes tell it to whoever looks for it (default: where it listens)",
      parseAddress,
    )
    .option("--replicas <n>", "copies of every block", parseCount(1, limits.replicasMax), limits.replicasDefault)
    .addOption(minReplicas())
    .addOption(downAfter())
    .addOption(outAfter())
    .option("--recover", "make the folder, which is empty, anew from the storage nodes' copies", false)
    .option("--nodes <host:port,...>", "with --recover: storage nodes of the cluster", parseAddresses)
    .option("--accept-loss", "with --recover: go on without what only missing storage nodes know", false)
    .addOption(secretFile())
    .addOption(debug())
    .action(
      async (options: {
        data: string;
        listen: Address;
        advertise?: Address;
        replicas: number;
        minReplicas?: number;
        downAfter: number;
        outAfter: number;
        recover: boolean;
        nodes?: readonly Address[];
        acceptLoss: boolean;
        secretFile?: string;
        debug: boolean;
      }) => {
        const { recover, nodes, acceptLoss, ...rest } = options;
        if (recover !== (nodes !== undefined) || (acceptLoss && !recover))
          throw new InvalidArgumentError("--recover needs --nodes with addresses of storage nodes, and they need it.");
        const recovery = nodes === undefined ? {} : { recover: { nodes, acceptLoss } };
        status = await (await import("./name-server.ts")).runNameServer({ ...rest, ...recovery });
      },
    );

  program
    .command("storage-node")
    .description("Keep blocks of file content for a cluster.")
    .requiredOption("--data <folder>", "where the blocks are kept")
    .option("--listen <host:port>", "where to listen", parseAddress, { host: "127.0.0.1", port: 7500 })
    .option("--advertise <host:port>", "where others reach it (default: where it listens)", parseAddress)
    .option("--host-label <label>", "nodes with the same label fail together (default: its host)", parseHostLabel)
    .option("--name-server <host:port>", "the cluster's name server; several, separated by commas", parseAddresses, [
      defaultNameServer,
    ])
    .option("--capacity <size>", "how much it may use, for example 500G (default: what the disk has)", parseBytes)
    .option(
      "--scrub-rate <size>",
      "bytes a second that are verified in the background, 0: none (default: everything in two weeks)",
      parseBytes,
    )
    .addOption(secretFile())
    .addOption(debug())
    .action(
      async (options: {
        data: string;
        listen: Address;
        advertise?: Address;
        hostLabel?: string;
        nameServer: readonly Address[];
        capacity?: number;
        scrubRate?: number;
        secretFile?: string;
        debug: boolean;
      }) => {
        status = await (
          await import("./storage-node.ts")
        ).runStorageNode({ ...options, nameServers: options.nameServer });
      },
    );

  program
    .command("mount")
    .description("Mount a cluster as a directory; returns when it is mounted.")
    .argument("<host:port>", serverArgument)
    .argument("<directory>", "where to mount it")
    .option(
      "-o, --option <list>",
      "mount options: memory=512M, timeout=SECONDS, locks=local, noatime, ro, nosuid...",
      collect,
      [],
    )
    .option("-f, --foreground", "stay in the foreground, log to standard error", false)
    .addOption(new Option("--supervised").hideHelp().default(false))
    .addOption(
      new Option("--driver <name>", "how to reach the kernel").choices(["kernel", "fuse-native"]).default("kernel"),
    )
    .option("--log <file>", "log file of the background process (default: /var/log/dfs/mount-...)")
    .addOption(secretFile())
    .addOption(debug())
    .action(
      async (
        source: string,
        mountPoint: string,
        options: {
          option: string[];
          foreground: boolean;
          supervised: boolean;
          driver: MountOptions["driver"];
          log?: string;
          secretFile?: string;
          debug: boolean;
        },
      ) => {
        const addresses = parseAddresses(source);
        const secret = options.secretFile === undefined ? [] : [`secret-file=${options.secretFile}`];
        const texts = [...options.option, ...secret];
        const { runMount } = await import("./mount.ts");
        status = await runMount({
          addresses,
          mountPoint,
          options: parseMountOptions(texts, options.driver),
          foreground: options.foreground,
          supervised: options.supervised,
          debug: options.debug,
          logFile: options.log,
          args: [
            ...["-o", texts.join(",")],
            ...["--driver", options.driver],
            ...(options.debug ? ["--debug"] : []),
            source,
            mountPoint,
          ],
        });
      },
    );

  program
    .command("umount")
    .description("Write everything that is still in memory, unmount, wait for the client to end.")
    .argument("<directory>", "where it is mounted")
    .option("-l, --lazy", "detach now, even if it is in use; do not wait", false)
    .action(async (mountPoint: string, options: { lazy: boolean }) => {
      await (await import("./umount.ts")).umount(mountPoint, options);
    });

  program
    .command("status")
    .description("Show nodes, space, groups and sessions of a cluster.")
    .argument("[host:port]", serverArgument, parseAddresses, [defaultNameServer])
    .option("--json", "for programs", false)
    .addOption(secretFile())
    .action(async (addresses: Address[], options: { json: boolean; secretFile?: string }) => {
      const { fetchStatus, formatStatus } = await import("./status.ts");
      const reply = await fetchStatus(addresses, options.secretFile);
      process.stdout.write(options.json ? `${JSON.stringify(reply, null, 2)}\n` : formatStatus(reply));
    });

  addFsck(program, secretFile(), (fsckStatus) => {
    status = fsckStatus;
  });
  addScrub(program, { secretFile: secretFile(), nameServer: [defaultNameServer], say }, (scrubStatus) => {
    status = scrubStatus;
  });
  addReplicas(program, secretFile);

  addDump(program, secretFile());
  addNode(program, secretFile, [defaultNameServer]);

  const cluster = program.command("cluster").description("A whole cluster on this machine, as `make up` starts it.");
  cluster
    .command("up")
    .description("Start what is not running: name server, storage nodes, mount.")
    .requiredOption("--dir <folder>", "data folders, pid files, logs")
    .requiredOption("--mount <directory>", "where to mount it")
    .option(
      "--port <n>",
      "name server; storage nodes at n+100, n+101...",
      parseCount(1, 65_000),
      defaultNameServer.port,
    )
    .option("--nodes <n>", "storage nodes", parseCount(1, 64), 3)
    .option("--replicas <n>", "copies of every block", parseCount(1, limits.replicasMax), limits.replicasDefault)
    .addOption(minReplicas())
    .option("--capacity <size>", "of each storage node")
    .addOption(downAfter())
    .addOption(outAfter())
    .action(
      async (options: {
        dir: string;
        mount: string;
        port: number;
        nodes: number;
        replicas: number;
        minReplicas?: number;
        downAfter: number;
        outAfter: number;
        capacity?: string;
      }) => {
        if (options.capacity !== undefined) parseBytes(options.capacity);
        const { clusterUp } = await import("./cluster.ts");
        await clusterUp({ ...options, capacity: options.capacity, say });
      },
    );
  cluster
    .command("down")
    .description("Unmount and stop everything; the data stays.")
    .requiredOption("--dir <folder>", "as at up")
    .requiredOption("--mount <directory>", "as at up")
    .option("--port <n>", "as at up", parseCount(1, 65_000), defaultNameServer.port)
    .action(async (options: { dir: string; mount: string; port: number }) => {
      await (await import("./cluster.ts")).clusterDown({ ...options, say });
    });

  return {
    async run(argv) {
      await program.parseAsync(argv);
      return status;
    },
  };
}

function collect(value: string, previous: string[]): string[] {
  return [...previous, value];
}
