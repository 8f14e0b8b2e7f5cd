/**
 * Values of records as JSON and back, without loss:
 *   bytes         in the fields below a string, if they are UTF-8; else {"base64": "..."}
 *   nanoseconds   {"nanos": "1700000000123456789"}
 *   all else      as it is
 */
export type Fields = Readonly<Record<string, unknown>>;

/** Fields of bytes that mostly are text: a string there is UTF-8. */
const textFields: ReadonlySet<string> = new Set(["name", "bytes", "first", "target"]);

export function toJson(fields: Fields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, valueToJson(value, name)]));
}

function valueToJson(value: unknown, field: string): unknown {
  if (typeof value === "bigint") return { nanos: value.toString() };
  if (Buffer.isBuffer(value)) {
    const text = textFields.has(field) ? value.toString("utf8") : undefined;
    const isText = text !== undefined && Buffer.from(text, "utf8").equals(value);
    return isText ? text : { base64: value.toString("base64") };
  }
  if (Array.isArray(value)) return value.map((one) => valueToJson(one, ""));
  if (typeof value === "object" && value !== null) return toJson(value as Fields);
  return value;
}

/** Throws for what is no JSON of a record. */
export function fromJson(json: Readonly<Record<string, unknown>>): Fields {
  return Object.fromEntries(Object.entries(json).map(([name, value]) => [name, valueFromJson(value, name)]));
}

function valueFromJson(value: unknown, field: string): unknown {
  if (typeof value === "string") return textFields.has(field) ? Buffer.from(value, "utf8") : value;
  if (Array.isArray(value)) return value.map((one) => valueFromJson(one, ""));
  if (typeof value !== "object" || value === null) return value;
  const { nanos, base64 } = value as { nanos?: unknown; base64?: unknown };
  if (typeof nanos === "string") return BigInt(nanos);
  if (typeof base64 === "string") return Buffer.from(base64, "base64");
  return fromJson(value as Record<string, unknown>);
}
