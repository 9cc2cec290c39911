// Reads Prometheus' text format, and quantiles out of its histograms.

/** Samples by name: `[{ labels, value }]`. Comments and what is no sample are left out. */
export function read(text) {
  const families = new Map();
  for (const line of text.split("\n")) {
    const [, name, inside, value] = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/.exec(line) ?? [];
    if (!name) continue;
    const labels = {};
    for (const [, label, quoted] of (inside ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) labels[label] = quoted.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
    const samples = families.get(name) ?? [];
    samples.push({ labels, value: value === "+Inf" ? Infinity : Number(value) });
    families.set(name, samples);
  }
  return families;
}

const fits = (labels, wanted) => Object.entries(wanted).every(([label, value]) => labels[label] === value);

/** The sum of a family's samples with these labels; 0 where there are none. */
export const sum = (families, name, wanted = {}) => (families.get(name) ?? []).reduce((total, { labels, value }) => (fits(labels, wanted) ? total + value : total), 0);

/** The largest of them; 0 where there are none. */
export const most = (families, name) => (families.get(name) ?? []).reduce((largest, { value }) => Math.max(largest, value), 0);

/** Counts by upper bound of a histogram, those of several label sets added: `[[bound, count]]`, cumulative, ascending. */
export function buckets(families, name, wanted = {}) {
  const counts = new Map();
  for (const { labels, value } of families.get(`${name}_bucket`) ?? []) {
    if (!fits(labels, wanted)) continue;
    const bound = labels.le === "+Inf" ? Infinity : Number(labels.le);
    counts.set(bound, (counts.get(bound) ?? 0) + value);
  }
  return [...counts].sort(([a], [b]) => a - b);
}

/** What was counted between two looks at the same histogram. A server that began anew counts from nothing. */
export function since(before, now) {
  const earlier = new Map(before);
  const begun = (earlier.get(Infinity) ?? 0) > (now.at(-1)?.[1] ?? 0);
  return begun ? now : now.map(([bound, count]) => [bound, count - (earlier.get(bound) ?? 0)]);
}

/** The value below which this share of the samples lies, linear within a bucket as Prometheus has it; null without samples. */
export function quantile(cumulative, share) {
  const all = cumulative.at(-1)?.[1] ?? 0;
  if (!all) return null;
  let [from, below] = [0, 0];
  for (const [bound, count] of cumulative) {
    if (count >= share * all) return bound === Infinity ? from : from + ((bound - from) * (share * all - below)) / (count - below || 1);
    [from, below] = [bound, count];
  }
  return from;
}
