/**
 * The cluster secret: whoever knows it is a part of the cluster. Proved by HMAC-SHA-256 over the handshake's transcript
 * (both roles, both ids, both nonces, the direction), never sent.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

/** Fits `Authenticator` of rpc/handshake.ts. */
export interface SecretAuthenticator {
  prove(transcript: Uint8Array): Buffer;
  check(transcript: Uint8Array, proof: Uint8Array): boolean;
}

export function createAuthenticator(secret: string): SecretAuthenticator {
  const prove = (transcript: Uint8Array): Buffer => createHmac("sha256", secret).update(transcript).digest();
  return {
    prove,
    check: (transcript, proof) => proof.length === 32 && timingSafeEqual(prove(transcript), proof),
  };
}

/** 127.0.0.0/8, ::1 and localhost. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}
