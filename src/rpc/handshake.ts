/**
 * The first messages of a connection: who is there, which protocol version, and proof that both know the cluster's
 * secret. The connecting side speaks first; the accepting side proves itself first.
 *
 *   connecting -> hello { hello, nonce }          accepting -> hello { hello, nonce, proof }
 *   connecting -> proof { proof }                 accepting -> ready { version }
 *
 * A proof is an HMAC over both hellos, both nonces and the direction (see security/), so nothing can be reflected or
 * used twice; it is empty where no secret is set, and then both sides have to agree on that.
 */
import { Packr } from "msgpackr";
import { z } from "zod";
import type { Clock } from "../base/clock.ts";
import { FsError } from "../base/errno.ts";
import { limits } from "../base/limits.ts";
import type { Random } from "../base/random.ts";
import { decodeFrame, encodeFrame, FrameError, frameKinds, type FrameKind } from "./frames.ts";
import type { Connection, Hello } from "./types.ts";

/** Protocol versions of this program, newest first. */
export const protocolVersions: readonly number[] = [1];

/** Proves knowledge of a secret over a transcript; `security/` makes one. */
export interface Authenticator {
  prove(transcript: Uint8Array): Buffer;
  check(transcript: Uint8Array, proof: Uint8Array): boolean;
}

export interface HandshakeOptions {
  readonly hello: Omit<Hello, "versions">;
  readonly authenticator: Authenticator | undefined;
  readonly clock: Clock;
  readonly random: Random;
}

const buffer = z.custom<Buffer>((value) => Buffer.isBuffer(value) && value.length <= 64);
const helloSchema = z.object({
  role: z.enum(["name-server", "storage-node", "client", "admin"]),
  versions: z.array(z.number().int()).min(1).max(16),
  id: z.string().max(255),
});
const helloMessage = z.object({ hello: helloSchema, nonce: buffer, proof: buffer.optional() });
const proofMessage = z.object({ proof: buffer });
const readyMessage = z.object({ version: z.number().int() });

const nonceBytes = 16;

export interface Introduced {
  readonly remote: Hello;
  /** Messages that came behind the handshake's last one; further ones are added until the connection is taken over. */
  readonly early: Buffer[];
}

/** The connecting side. Rejects with EPROTO (versions), EPERM (secret), ETIMEDOUT, ECONNRESET. */
export function introduce(connection: Connection, options: HandshakeOptions): Promise<Introduced> {
  return conversation(connection, options.clock, async (next, send) => {
    const mine = {
      hello: { ...options.hello, versions: [...protocolVersions] },
      nonce: options.random.bytes(nonceBytes),
    };
    send(frameKinds.hello, mine);
    const theirs = helloMessage.parse(await next(frameKinds.hello));
    const transcript = (direction: string): Buffer => transcriptOf(direction, mine, theirs);
    commonVersion(theirs.hello);
    checkProof(options.authenticator, transcript("accepting"), theirs.proof);
    send(frameKinds.proof, { proof: prove(options.authenticator, transcript("connecting")) });
    readyMessage.parse(await next(frameKinds.ready));
    return theirs.hello;
  });
}

/** The accepting side. */
export function receive(connection: Connection, options: HandshakeOptions): Promise<Introduced> {
  return conversation(connection, options.clock, async (next, send) => {
    const theirs = helloMessage.parse(await next(frameKinds.hello));
    const version = commonVersion(theirs.hello);
    const mine = {
      hello: { ...options.hello, versions: [...protocolVersions] },
      nonce: options.random.bytes(nonceBytes),
    };
    const transcript = (direction: string): Buffer => transcriptOf(direction, theirs, mine);
    send(frameKinds.hello, { ...mine, proof: prove(options.authenticator, transcript("accepting")) });
    const { proof } = proofMessage.parse(await next(frameKinds.proof));
    checkProof(options.authenticator, transcript("connecting"), proof);
    send(frameKinds.ready, { version });
    return theirs.hello;
  });
}

function prove(authenticator: Authenticator | undefined, transcript: Buffer): Buffer {
  return authenticator?.prove(transcript) ?? Buffer.alloc(0);
}

function checkProof(authenticator: Authenticator | undefined, transcript: Buffer, proof: Buffer | undefined): void {
  const given = proof ?? Buffer.alloc(0);
  if (authenticator === undefined) {
    if (given.length > 0) throw new FsError("EPERM", "the other side has a cluster secret, this one has none: set it");
  } else if (!authenticator.check(transcript, given)) {
    throw new FsError("EPERM", "the other side does not know this cluster's secret");
  }
}

function commonVersion(hello: Hello): number {
  const version = protocolVersions.find((candidate) => hello.versions.includes(candidate));
  if (version === undefined) {
    const theirs = hello.versions.join(", ");
    throw new FsError("EPROTO", `protocol versions ${theirs} are not spoken here (${protocolVersions.join(", ")} are)`);
  }
  return version;
}

type Introduction = z.infer<typeof helloMessage>;
const packr = new Packr({ useRecords: false });

function transcriptOf(direction: string, connecting: Introduction, accepting: Introduction): Buffer {
  const { hello: c } = connecting;
  const { hello: a } = accepting;
  return packr.pack([direction, c.role, c.id, c.versions, connecting.nonce, a.role, a.id, a.versions, accepting.nonce]);
}

type Next = (kind: FrameKind) => Promise<unknown>;
type Send = (kind: FrameKind, message: unknown) => void;

/** Messages that may wait while the handshake is being finished: the other side may go on talking right behind it. */
const earlyMessagesMax = 64;

/** Runs `talk` with the connection's messages, up to `limits.connectMillis`; closes the connection if it fails. */
async function conversation(
  connection: Connection,
  clock: Clock,
  talk: (next: Next, send: Send) => Promise<Hello>,
): Promise<Introduced> {
  const arrived: Buffer[] = [];
  let waiting: { resolve: (bytes: Buffer) => void; reject: (error: Error) => void } | undefined;
  let failure: Error | undefined;
  const fail = (error: Error): void => {
    failure ??= error;
    waiting?.reject(failure);
    waiting = undefined;
  };
  connection.onClose = (reason) => {
    fail(new FsError("ECONNRESET", `closed during the handshake: ${reason}`));
  };
  connection.onMessage = (bytes) => {
    if (waiting === undefined) {
      if (arrived.push(bytes) > earlyMessagesMax) fail(new FrameError("too many messages during the handshake"));
    } else {
      waiting.resolve(bytes);
      waiting = undefined;
    }
  };
  const timer = clock.after(limits.connectMillis, () => {
    fail(new FsError("ETIMEDOUT", "the handshake took too long"));
  });
  const next: Next = async (kind) => {
    const bytes =
      arrived.shift() ??
      (await new Promise<Buffer>((resolve, reject) => {
        if (failure === undefined) waiting = { resolve, reject };
        else reject(failure);
      }));
    const frame = decodeFrame(bytes);
    if (frame.kind === frameKinds.error) throw refusal(frame.message);
    if (frame.kind !== kind) throw new FrameError(`kind ${String(frame.kind)} during the handshake`);
    return frame.message;
  };
  const send: Send = (kind, message) => {
    connection.send([encodeFrame(kind, 0, { message })]);
  };
  try {
    const remote = await talk(next, send);
    return { remote, early: arrived };
  } catch (cause) {
    const error = cause instanceof FsError ? cause : new FsError("EPROTO", "not a dfs handshake", { cause });
    if (!(failure instanceof FsError)) send(frameKinds.error, [error.errno, error.message]);
    connection.close(error.message);
    throw error;
  } finally {
    timer.cancel();
  }
}

function refusal(message: unknown): FsError {
  const [errno, text] = Array.isArray(message) ? (message as unknown[]) : [];
  return new FsError(
    errno === "EPERM" ? "EPERM" : "EPROTO",
    `refused by the other side: ${typeof text === "string" ? text : "no reason given"}`,
  );
}
