/** Reading what people type: addresses, sizes, numbers. A mistake is a UsageError: one sentence, exit status 2. */
import { InvalidArgumentError } from "commander";
import { limits } from "../base/limits.ts";
import type { Address } from "../rpc/types.ts";

/** `HOST:PORT`, `[IPv6]:PORT`, `:PORT` or `PORT` (loopback). */
export function parseAddress(text: string): Address {
  const match = /^(?:(?:\[([^\]]+)\]|([^:/]*)):)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new InvalidArgumentError(`Expected HOST:PORT, not ${JSON.stringify(text)}.`);
  }
  const named = match[1] ?? match[2];
  return { host: named === undefined || named === "" ? "127.0.0.1" : named, port };
}

/** One or several, separated by commas. */
export function parseAddresses(text: string): Address[] {
  return text.split(",").map(parseAddress);
}

/** How commands explain where they look for the name server. */
export const serverArgument = "the name server, or a storage node that knows it; several, separated by commas";

export function formatAddress({ host, port }: Address): string {
  return `${host.includes(":") ? `[${host}]` : host}:${String(port)}`;
}

export function formatAddresses(addresses: readonly Address[]): string {
  return addresses.map(formatAddress).join(",");
}

const units: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** Bytes: `1000`, `64M`, `10GiB`; K, M, G, T are powers of 1024. */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text);
  const unit = units[match?.[2]?.toLowerCase() ?? "?"];
  if (match === null || unit === undefined) {
    throw new InvalidArgumentError(`Expected a size such as 500M or 10G, not ${JSON.stringify(text)}.`);
  }
  return Math.floor(Number(match[1]) * unit);
}

/** Which nodes fail together: a name of a machine or a rack. */
export function parseHostLabel(text: string): string {
  if (text.length > 0 && text.length <= limits.hostLabelMax && !/[\p{Cc}\s]/u.test(text)) return text;
  throw new InvalidArgumentError(
    `Expected a word of at most ${String(limits.hostLabelMax)} characters, not ${JSON.stringify(text)}.`,
  );
}

/** A time of at least a tenth of a second: `10`, `0.5`. */
export function parseSeconds(text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
  if (value >= 0.1 && value <= 1e9) return value;
  throw new InvalidArgumentError(`Expected a number of seconds, not ${JSON.stringify(text)}.`);
}

export function parseCount(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN;
    if (value >= least && value <= most) return value;
    const range = `${String(least)} to ${String(most)}`;
    throw new InvalidArgumentError(`Expected a number from ${range}, not ${JSON.stringify(text)}.`);
  };
}

export function formatBytes(bytes: number): string {
  let value = bytes;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (value < 1024) return `${value >= 100 || unit === "B" ? value.toFixed(0) : value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(1)} TiB`;
}
