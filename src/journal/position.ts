/** A place in the journal: everything up to batch `index` happened, and the record that contains it has this CRC. */
export interface Position {
  readonly epoch: number;
  readonly index: number;
  readonly crc: number;
}

/** Before the first batch. */
export const origin: Position = { epoch: 0, index: 0, crc: 0 };

export function positionText(position: Position): string {
  return `${String(position.index)} (epoch ${String(position.epoch)})`;
}
