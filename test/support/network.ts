/**
 * Machines as network namespaces: one hub with a switch, and machines with a cable each, which a test may pull. Nothing of
 * it touches the network of the machine that the test runs on. Processes are started in a namespace with `inside`; what
 * they mount is seen by all (only the network is their own).
 *
 * A namespace is named after the process of its test, so that a later run finds what an interrupted one left.
 */
import { execFileSync, spawnSync } from "node:child_process";

const prefix = "dfs-test-net";
const hubAddress = "10.213.0.1";

export interface Machine {
  readonly address: string;
  /** The command that runs a program there. */
  inside(command: readonly string[]): readonly [string, ...string[]];
}

export interface ConnectedMachine extends Machine {
  /** Nothing gets through, and nobody is told. */
  readonly cut: () => void;
  readonly reconnect: () => void;
  /** Nothing gets through between it and the hub itself; it and the other machines reach each other as before. */
  readonly partFromHub: () => void;
  readonly meetHub: () => void;
  /** What its cable carries, in each direction: so much a second, and of the packets so many in a hundred not. */
  readonly impair: (how: { readonly kilobits?: number; readonly lossPercent?: number }) => void;
  readonly mend: () => void;
}

export interface Network {
  readonly hub: Machine;
  readonly machines: readonly ConnectedMachine[];
  /** Ends what runs in them, and removes them. */
  remove(): void;
}

/** Why there can be none here, or undefined. */
export const cannotBuildNetworks = ((): string | undefined => {
  if (process.getuid?.() !== 0) return "network namespaces need root";
  for (const tool of ["ip", "nsenter", "tc", "iptables"]) {
    if (spawnSync(tool, ["--help"], { stdio: "ignore" }).error !== undefined) return `${tool} is not installed`;
  }
  const probe = `${prefix}-${String(process.pid)}-probe`;
  const made = spawnSync("ip", ["netns", "add", probe], { encoding: "utf8" });
  if (made.status !== 0) return `there are no network namespaces: ${made.stderr.trim()}`;
  ip("netns", "delete", probe);
  return undefined;
})();

export function buildNetwork(machineCount: number): Network {
  removeLeftovers();
  const name = (which: string): string => `${prefix}-${String(process.pid)}-${which}`;
  const hub = name("hub");
  const names = Array.from({ length: machineCount }, (_, i) => name(String(i + 1)));
  const network: Network = {
    hub: machine(hub, hubAddress),
    machines: names.map((namespace, i) => ({
      ...machine(namespace, `10.213.0.${String(i + 2)}`),
      cut() {
        ip("-n", hub, "link", "set", cable(i), "down");
      },
      reconnect() {
        ip("-n", hub, "link", "set", cable(i), "up");
      },
      partFromHub() {
        for (const rule of partingRules(i)) inNamespace(hub, "iptables", "-A", ...rule);
      },
      meetHub() {
        for (const rule of partingRules(i)) inNamespace(hub, "iptables", "-D", ...rule);
      },
      impair({ kilobits, lossPercent = 0 }) {
        if (kilobits !== undefined) {
          const rate = ["rate", `${String(kilobits)}kbit`, "burst", "16kb", "latency", "400ms"];
          inNamespace(hub, "tc", "qdisc", "replace", "dev", cable(i), "root", "tbf", ...rate);
          inNamespace(namespace, "tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", ...rate);
        }
        if (lossPercent === 0) return;
        const loss = ["-m", "statistic", "--mode", "random", "--probability", String(lossPercent / 100), "-j", "DROP"];
        for (const chain of ["INPUT", "OUTPUT"]) inNamespace(namespace, "iptables", "-A", chain, ...loss);
      },
      mend() {
        for (const [where, device] of [
          [hub, cable(i)],
          [namespace, "eth0"],
        ] as const) {
          spawnSync("nsenter", [`--net=/run/netns/${where}`, "--", "tc", "qdisc", "delete", "dev", device, "root"]);
        }
        inNamespace(namespace, "iptables", "-F");
      },
    })),
    remove() {
      for (const namespace of [...names, hub]) removeNamespace(namespace);
    },
  };
  try {
    ip("netns", "add", hub);
    ip("-n", hub, "link", "set", "lo", "up");
    ip("-n", hub, "link", "add", "switch", "type", "bridge");
    ip("-n", hub, "address", "add", `${hubAddress}/24`, "dev", "switch");
    ip("-n", hub, "link", "set", "switch", "up");
    for (const [i, namespace] of names.entries()) connect(hub, namespace, i);
  } catch (error) {
    network.remove();
    throw error;
  }
  return network;
}

function connect(hub: string, namespace: string, i: number): void {
  ip("netns", "add", namespace);
  ip("-n", hub, "link", "add", cable(i), "type", "veth", "peer", "name", "eth0", "netns", namespace);
  ip("-n", hub, "link", "set", cable(i), "master", "switch", "up");
  ip("-n", namespace, "address", "add", `10.213.0.${String(i + 2)}/24`, "dev", "eth0");
  ip("-n", namespace, "link", "set", "eth0", "up");
  ip("-n", namespace, "link", "set", "lo", "up");
}

function machine(namespace: string, address: string): Machine {
  return {
    address,
    // Not `ip netns exec`: that hides from others what is mounted inside.
    inside: (command) => ["nsenter", `--net=/run/netns/${namespace}`, "--", ...command],
  };
}

function partingRules(i: number): string[][] {
  const address = `10.213.0.${String(i + 2)}`;
  return [
    ["INPUT", "-s", address, "-j", "DROP"],
    ["OUTPUT", "-d", address, "-j", "DROP"],
  ];
}

function inNamespace(namespace: string, ...command: string[]): void {
  execFileSync("nsenter", [`--net=/run/netns/${namespace}`, "--", ...command], { stdio: ["ignore", "pipe", "pipe"] });
}

/** The hub's end of it. */
function cable(i: number): string {
  return `cable${String(i + 1)}`;
}

function removeLeftovers(): void {
  for (const line of ip("netns", "list").split("\n")) {
    const [namespace = ""] = line.split(" ");
    const owner = new RegExp(`^${prefix}-(\\d+)-`).exec(namespace)?.[1];
    if (owner !== undefined && (Number(owner) === process.pid || !isAlive(Number(owner)))) removeNamespace(namespace);
  }
}

function removeNamespace(namespace: string): void {
  // Before it is there, and after it has gone, there is nothing to end.
  const { stdout } = spawnSync("ip", ["netns", "pids", namespace], { encoding: "utf8" });
  for (const pid of stdout.split("\n").filter((line) => line !== "")) {
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }
  spawnSync("ip", ["netns", "delete", namespace], { stdio: "ignore" });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function ip(...args: string[]): string {
  return execFileSync("ip", args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}
