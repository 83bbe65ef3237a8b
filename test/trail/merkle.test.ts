/** Merkle trees against the test vectors of RFC 6962's reference implementation, and against themselves for every size. */
import { describe, expect, test } from 'vitest';
import {
  consistencyProof,
  Frontier,
  inclusionProof,
  leafHash,
  rootOf,
  verifyConsistency,
  verifyInclusion,
} from '../../src/trail/merkle.js';

/** The leaves of certificate-transparency's merkle_tree_test.cc, and the roots over the first n of them. */
const INPUTS = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

const leaves = INPUTS.map((hex) => leafHash(Buffer.from(hex, 'hex')));

test('roots are those of the reference, all at once, one after another, and from the right edge alone', () => {
  const growing = new Frontier();
  for (const [size, root] of ROOTS.entries()) {
    expect(rootOf(leaves.slice(0, size)).toString('hex')).toBe(root);
    expect(growing.root().toString('hex')).toBe(root);
    expect(new Frontier(growing.size, growing.peaks).root().toString('hex')).toBe(root);
    if (size < leaves.length) growing.append(leaves[size] as Buffer);
  }
  expect(() => new Frontier(3, [leaves[0] as Buffer])).toThrow(RangeError);
});

test('the path and the consistency proof of the reference', () => {
  // Leaf 5 of 8, and 6 leaves of 8 (there counted from 1).
  expect(inclusionProof(leaves, 5).map((node) => node.toString('hex'))).toEqual([
    'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  ]);
  expect(consistencyProof(leaves, 6).map((node) => node.toString('hex'))).toEqual([
    '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
    'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  ]);
});

describe('for every size up to 20', () => {
  const many = Array.from({ length: 20 }, (_, n) => leafHash(`leaf ${n}`));
  const other = leafHash('another');

  test('each leaf has a path to the root, good for that leaf, place and root alone', () => {
    for (let size = 1; size <= many.length; size++) {
      const tree = many.slice(0, size);
      const root = rootOf(tree);
      for (const [index, leaf] of tree.entries()) {
        const proof = inclusionProof(tree, index);
        expect(verifyInclusion({ leaf, index, size, root }, proof)).toBe(true);
        expect(verifyInclusion({ leaf: other, index, size, root }, proof)).toBe(false);
        expect(verifyInclusion({ leaf, index: index + 1, size, root }, proof)).toBe(false);
        expect(verifyInclusion({ leaf, index, size, root: other }, proof)).toBe(false);
        expect(verifyInclusion({ leaf, index, size, root }, [...proof, other])).toBe(false);
        expect(verifyInclusion({ leaf, index, size, root }, proof.slice(1))).toBe(size === 1);
      }
    }
  });

  test('each tree is the beginning of each later one, and of none with another leaf', () => {
    const changed = many.with(2, other);
    for (let size = 1; size <= many.length; size++) {
      const second = { size, root: rootOf(many.slice(0, size)) };
      for (let before = 1; before <= size; before++) {
        const first = { size: before, root: rootOf(many.slice(0, before)) };
        const proof = consistencyProof(many.slice(0, size), before);
        expect(verifyConsistency(first, second, proof)).toBe(true);
        expect(verifyConsistency({ ...first, root: other }, second, proof)).toBe(false);
        expect(verifyConsistency(first, { ...second, root: other }, proof)).toBe(false);
        expect(verifyConsistency(first, second, [...proof, other])).toBe(false);
        const forged = { size: before, root: rootOf(changed.slice(0, before)) };
        expect(verifyConsistency(forged, second, proof)).toBe(before < 3);
      }
    }
  });
});
