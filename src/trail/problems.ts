/** What can be wrong with a trail, by stable names that every verifier of the format gives. */

/** By the code, what `at` counts: entries, unless said otherwise. */
export const TRAIL_PROBLEMS = {
  format: 'The file does not begin as a trail.',
  line: 'A line is none that a trail has. Counts lines.',
  end: 'The file ends before its end, or says another number of entries or checkpoints than it has.',
  missing: 'Entries are missing. The first of them.',
  order: 'An entry is repeated, or out of order.',
  entry_hash: "An entry's text is not what its hash is of.",
  entry_shape: 'An entry is none.',
  entry_tenant: 'An entry is of another tenant.',
  entry_seq: 'An entry is stored under another number than it says.',
  entry_link: 'An entry does not name the one before it.',
  evidence: "An entry's evidence is not what its digest is of.",
  receipt_signature: 'A receipt does not verify.',
  receipt_place: 'A receipt says another tenant, action or number than its entry.',
  receipt_link: 'A receipt does not name the receipt before it.',
  receipt_missing: 'A receipt has no entry. The entry after it.',
  grant_entry:
    'A grant has two entries, or the receipt of its action does not name the one that it has. The second of them.',
  checkpoint_signature: 'A checkpoint does not verify. The number of entries before it.',
  checkpoint_tenant: 'A checkpoint is of another tenant.',
  checkpoint_order: 'A checkpoint is repeated, or older than the one before.',
  checkpoint_link: 'A checkpoint does not name the one before it.',
  root: 'Entries are not those that were signed. The size of the first checkpoint that says so.',
  truncated: 'A checkpoint covers more entries than there are. Its size.',
  fork: 'Another trail was shown elsewhere. The size of the anchored checkpoint.',
  anchor_signature: 'An anchored checkpoint does not verify. The number of the anchor.',
  timestamp: 'The time stamp of an anchored checkpoint does not verify. The number of the anchor.',
  key_period: 'A signature was made when its key was not good.',
  key_revoked: 'A signature was made with a key that was revoked, and nothing shows that it was made before.',
  proof: 'A proof does not lead from what it proves to a signed root.',
} as const;
export type TrailProblemCode = keyof typeof TRAIL_PROBLEMS;

export interface TrailProblem {
  readonly code: TrailProblemCode;
  /** Where. What it counts, TRAIL_PROBLEMS says. */
  readonly at: number;
  /** One sentence for people. */
  readonly problem: string;
}
