export interface Tool {
  readonly name: string;
  readonly package: string;
  readonly command?: string;
  readonly library?: string;
}
export const tools: readonly Tool[];
export function hasTool(name: string): boolean;
export function missingTools(): readonly Tool[];
