/**
 * Bounds what all files' layouts together remember: beyond it the least recently used ones are forgotten whole.
 * Weights are bytes.
 */
export interface Weighed {
  readonly weight: number;
  /** Forgets everything (its weight becomes 0). */
  forget(): void;
}

export class LayoutBudget {
  /** Sum of the weights that were told. */
  bytes = 0;
  readonly bytesMax: number;
  /** In order of use, the last used at the end, with the weight last told. */
  readonly #weights = new Map<Weighed, number>();

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  /** The layout was used, or its weight changed. Others may be forgotten by it, never itself. */
  use(layout: Weighed): void {
    this.bytes += layout.weight - (this.#weights.get(layout) ?? 0);
    this.#weights.delete(layout);
    if (layout.weight > 0) this.#weights.set(layout, layout.weight);
    for (const other of this.#weights.keys()) {
      if (this.bytes <= this.bytesMax || other === layout) return;
      other.forget();
    }
  }
}
