/** What the judge finds wrong. */
export const FAULTS = ['lost', 'duplicated', 'overspent', 'oversent', 'unexplained'] as const;
export type Fault = (typeof FAULTS)[number];

export interface Finding {
  readonly fault: Fault | 'receipts';
  /** Empty when it is about none in particular. */
  readonly actionId: string;
  readonly what: string;
}
