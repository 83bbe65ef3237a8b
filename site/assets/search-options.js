/** How sections are indexed and found: the same when the site is built and in the browser. */

export const OPTIONS = {
  fields: ['heading', 'page', 'text'],
  storeFields: ['url', 'page', 'heading', 'excerpt'],
  searchOptions: {
    boost: { heading: 4, page: 3 },
    prefix: (term) => term.length > 2,
    fuzzy: (term) => (term.length > 4 ? 0.15 : false),
    combineWith: 'AND',
  },
};
