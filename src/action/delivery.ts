/** How a person was told of what waits for them: the proof that a notification arrived, or that it did not. */

export const DELIVERY_KINDS = ['asked', 'reminded', 'escalated', 'decided', 'ended'] as const;
export type DeliveryKind = (typeof DELIVERY_KINDS)[number];

export interface DeliveryRequest {
  /** The same on every attempt, and to the receiver. At most 255 characters. */
  readonly deliveryId: string;
  readonly tenant: string;
  readonly actionId: string;
  readonly kind: DeliveryKind;
  /** The channel's name in the configuration. */
  readonly channel: string;
  /** How many there have been, this one included. */
  readonly attempts: number;
  readonly status: 'delivered' | 'failed';
  /** What the receiver said, or why it failed. No secret. At most 2000 characters are kept. */
  readonly detail: string;
}

export interface Delivery extends DeliveryRequest {
  /** Of the latest attempt, RFC 3339 UTC, by the ledger's clock. */
  readonly at: string;
}
