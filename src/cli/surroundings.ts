/** What every process of a cluster is constructed with: the real clock, randomness, network and secret. */
import { readFileSync } from "node:fs";
import { systemClock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { systemRandom } from "../base/random.ts";
import type { Surroundings } from "../rpc/open.ts";
import type { Address } from "../rpc/types.ts";
import { createWebSocketTransport } from "../rpc/websocket-transport.ts";
import { createAuthenticator, isLoopback } from "../security/secret.ts";
import { CommandFailure } from "./failure.ts";

const leastSecretBytes = 16;

/**
 * The cluster secret comes from the file, else from DFS_SECRET, never from a command line, where `ps` shows it.
 * @param serving the address that this process listens on, if it does
 */
export function createSurroundings(
  log: Log,
  options: { secretFile?: string | undefined; serving?: Address },
): Surroundings {
  const secret = readSecret(options.secretFile);
  if (secret === undefined && options.serving !== undefined && !isLoopback(options.serving.host)) {
    throw new CommandFailure(
      `${options.serving.host} is not a loopback address: set a cluster secret (--secret-file or DFS_SECRET) to listen there`,
    );
  }
  return {
    transport: createWebSocketTransport(),
    clock: systemClock,
    random: systemRandom,
    log,
    authenticator: secret === undefined ? undefined : createAuthenticator(secret),
  };
}

function readSecret(file: string | undefined): string | undefined {
  let secret = process.env["DFS_SECRET"];
  if (file !== undefined) {
    try {
      secret = readFileSync(file, "utf8").trim();
    } catch (cause) {
      throw new CommandFailure(`cannot read the secret file ${file}`, { cause });
    }
  }
  if (secret === undefined) return undefined;
  if (Buffer.byteLength(secret) < leastSecretBytes) {
    throw new CommandFailure(`the cluster secret is shorter than ${String(leastSecretBytes)} bytes`);
  }
  return secret;
}
